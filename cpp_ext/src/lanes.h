// A few 16-bit keys at a time and four doubles, for the loops that compilers do not vectorise:
// comparisons to bits, and lanes that are folded into one sum.
//
// Included by files that are compiled for different instruction sets; everything is local to each,
// or the linker might give the code of one set to another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace edgecount {
namespace {

#if defined(__AVX2__) && !defined(EDGECOUNT_PLAIN_LANES)

// Two vectors, because the comparisons of two make one vector of bytes, and that makes bits.
struct Lanes {
    __m256i low;
    __m256i high;
};
constexpr std::size_t kLanes = 32;
inline Lanes load(const std::int16_t* keys) {
    const auto* at = reinterpret_cast<const __m256i*>(keys);
    return {_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
}
inline void store(std::int16_t* keys, Lanes lanes) {
    auto* at = reinterpret_cast<__m256i*>(keys);
    _mm256_storeu_si256(at, lanes.low);
    _mm256_storeu_si256(at + 1, lanes.high);
}
inline Lanes fill(std::int16_t key) { return {_mm256_set1_epi16(key), _mm256_set1_epi16(key)}; }
inline Lanes larger(Lanes a, Lanes b) {
    return {_mm256_max_epi16(a.low, b.low), _mm256_max_epi16(a.high, b.high)};
}
inline __m256i load_16_upper(const float* cells) {
    const auto* at = reinterpret_cast<const __m256i*>(cells);
    const __m256i low = _mm256_srai_epi32(_mm256_loadu_si256(at), 16);
    const __m256i high = _mm256_srai_epi32(_mm256_loadu_si256(at + 1), 16);
    // Packing works on each half of the vectors; the permutation puts the quarters in order.
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
}
/// The upper halves of floats.
inline Lanes load_upper(const float* cells) {
    return {load_16_upper(cells), load_16_upper(cells + 16)};
}
/// Without the sign bits.
inline Lanes magnitude(Lanes lanes) {
    const __m256i mask = _mm256_set1_epi16(0x7fff);
    return {_mm256_and_si256(lanes.low, mask), _mm256_and_si256(lanes.high, mask)};
}
/// Bit i: a[i] == b[i].
inline std::uint64_t equal_bits(Lanes a, Lanes b) {
    const __m256i low = _mm256_cmpeq_epi16(a.low, b.low);
    const __m256i high = _mm256_cmpeq_epi16(a.high, b.high);
    const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xd8);
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(bytes));
}

struct Doubles {
    __m256d all;
};
inline Doubles load(const double* values) { return {_mm256_loadu_pd(values)}; }
inline Doubles operator+(Doubles a, Doubles b) { return {_mm256_add_pd(a.all, b.all)}; }
/// Adds the upper half to the lower, until one is left.
inline double fold(Doubles doubles) {
    const __m128d half =
        _mm_add_pd(_mm256_castpd256_pd128(doubles.all), _mm256_extractf128_pd(doubles.all, 1));
    return _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)));
}

#elif (defined(__SSE2__) || defined(_M_X64)) && !defined(EDGECOUNT_PLAIN_LANES)

struct Lanes {
    __m128i low;
    __m128i high;
};
constexpr std::size_t kLanes = 16;
inline Lanes load(const std::int16_t* keys) {
    const auto* at = reinterpret_cast<const __m128i*>(keys);
    return {_mm_loadu_si128(at), _mm_loadu_si128(at + 1)};
}
inline void store(std::int16_t* keys, Lanes lanes) {
    auto* at = reinterpret_cast<__m128i*>(keys);
    _mm_storeu_si128(at, lanes.low);
    _mm_storeu_si128(at + 1, lanes.high);
}
inline Lanes fill(std::int16_t key) { return {_mm_set1_epi16(key), _mm_set1_epi16(key)}; }
inline Lanes larger(Lanes a, Lanes b) {
    return {_mm_max_epi16(a.low, b.low), _mm_max_epi16(a.high, b.high)};
}
inline __m128i load_8_upper(const float* cells) {
    const auto* at = reinterpret_cast<const __m128i*>(cells);
    return _mm_packs_epi32(_mm_srai_epi32(_mm_loadu_si128(at), 16),
                           _mm_srai_epi32(_mm_loadu_si128(at + 1), 16));
}
inline Lanes load_upper(const float* cells) {
    return {load_8_upper(cells), load_8_upper(cells + 8)};
}
inline Lanes magnitude(Lanes lanes) {
    const __m128i mask = _mm_set1_epi16(0x7fff);
    return {_mm_and_si128(lanes.low, mask), _mm_and_si128(lanes.high, mask)};
}
inline std::uint64_t equal_bits(Lanes a, Lanes b) {
    const __m128i low = _mm_cmpeq_epi16(a.low, b.low);
    const __m128i high = _mm_cmpeq_epi16(a.high, b.high);
    return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high)));
}

struct Doubles {
    __m128d low;
    __m128d high;
};
inline Doubles load(const double* values) {
    return {_mm_loadu_pd(values), _mm_loadu_pd(values + 2)};
}
inline Doubles operator+(Doubles a, Doubles b) {
    return {_mm_add_pd(a.low, b.low), _mm_add_pd(a.high, b.high)};
}
inline double fold(Doubles doubles) {
    const __m128d half = _mm_add_pd(doubles.low, doubles.high);
    return _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)));
}

#elif defined(__aarch64__) && !defined(EDGECOUNT_PLAIN_LANES)

// Four vectors: making bits takes five instructions for two vectors of bytes, as for one.
struct Lanes {
    int16x8_t parts[4];
};
constexpr std::size_t kLanes = 32;
inline Lanes load(const std::int16_t* keys) {
    return {{vld1q_s16(keys), vld1q_s16(keys + 8), vld1q_s16(keys + 16), vld1q_s16(keys + 24)}};
}
inline void store(std::int16_t* keys, Lanes lanes) {
    for (std::size_t i = 0; i < 4; ++i) vst1q_s16(keys + 8 * i, lanes.parts[i]);
}
inline Lanes fill(std::int16_t key) {
    const int16x8_t part = vdupq_n_s16(key);
    return {{part, part, part, part}};
}
inline Lanes larger(Lanes a, Lanes b) {
    return {{vmaxq_s16(a.parts[0], b.parts[0]), vmaxq_s16(a.parts[1], b.parts[1]),
             vmaxq_s16(a.parts[2], b.parts[2]), vmaxq_s16(a.parts[3], b.parts[3])}};
}
inline int16x8_t load_8_upper(const float* cells) {
    // Read as halves of words, of which every other one is an upper half.
    const int16x8_t low = vreinterpretq_s16_f32(vld1q_f32(cells));
    const int16x8_t high = vreinterpretq_s16_f32(vld1q_f32(cells + 4));
    return vuzp2q_s16(low, high);
}
inline Lanes load_upper(const float* cells) {
    return {{load_8_upper(cells), load_8_upper(cells + 8), load_8_upper(cells + 16),
             load_8_upper(cells + 24)}};
}
inline Lanes magnitude(Lanes lanes) {
    const int16x8_t mask = vdupq_n_s16(0x7fff);
    for (int16x8_t& part : lanes.parts) part = vandq_s16(part, mask);
    return lanes;
}
inline uint8x16_t equal_bytes(int16x8_t a, int16x8_t b, int16x8_t c, int16x8_t d) {
    return vuzp1q_u8(vreinterpretq_u8_u16(vceqq_s16(a, b)), vreinterpretq_u8_u16(vceqq_s16(c, d)));
}
inline std::uint64_t equal_bits(Lanes a, Lanes b) {
    const uint8x16_t low = equal_bytes(a.parts[0], b.parts[0], a.parts[1], b.parts[1]);
    const uint8x16_t high = equal_bytes(a.parts[2], b.parts[2], a.parts[3], b.parts[3]);
    // A bit for each byte; three sums of neighbours put those of eight bytes into one.
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201U));
    uint8x16_t sums = vpaddq_u8(vandq_u8(low, bit), vandq_u8(high, bit));
    sums = vpaddq_u8(sums, sums);
    sums = vpaddq_u8(sums, sums);
    return vgetq_lane_u32(vreinterpretq_u32_u8(sums), 0);
}

struct Doubles {
    float64x2_t low;
    float64x2_t high;
};
inline Doubles load(const double* values) { return {vld1q_f64(values), vld1q_f64(values + 2)}; }
inline Doubles operator+(Doubles a, Doubles b) {
    return {vaddq_f64(a.low, b.low), vaddq_f64(a.high, b.high)};
}
inline double fold(Doubles doubles) { return vpaddd_f64(vaddq_f64(doubles.low, doubles.high)); }

#else

// For other processors: small enough for compilers to keep in registers and to vectorise.
struct Lanes {
    std::int16_t keys[16];
};
constexpr std::size_t kLanes = 16;
inline Lanes load(const std::int16_t* keys) {
    Lanes lanes;
    std::memcpy(lanes.keys, keys, sizeof lanes.keys);
    return lanes;
}
inline void store(std::int16_t* keys, const Lanes& lanes) {
    std::memcpy(keys, lanes.keys, sizeof lanes.keys);
}
inline Lanes fill(std::int16_t key) {
    Lanes lanes;
    for (std::int16_t& lane : lanes.keys) lane = key;
    return lanes;
}
inline Lanes larger(const Lanes& a, const Lanes& b) {
    Lanes lanes;
    for (std::size_t i = 0; i < kLanes; ++i) {
        lanes.keys[i] = a.keys[i] > b.keys[i] ? a.keys[i] : b.keys[i];
    }
    return lanes;
}
inline Lanes load_upper(const float* cells) {
    Lanes lanes;
    for (std::size_t i = 0; i < kLanes; ++i) {
        std::uint32_t bits;
        std::memcpy(&bits, cells + i, sizeof bits);
        lanes.keys[i] = static_cast<std::int16_t>(bits >> 16);
    }
    return lanes;
}
inline Lanes magnitude(const Lanes& lanes) {
    Lanes magnitudes;
    for (std::size_t i = 0; i < kLanes; ++i) magnitudes.keys[i] = lanes.keys[i] & 0x7fff;
    return magnitudes;
}
inline std::uint64_t equal_bits(const Lanes& a, const Lanes& b) {
    std::uint8_t equal[kLanes];
    for (std::size_t i = 0; i < kLanes; ++i) equal[i] = a.keys[i] == b.keys[i] ? 1 : 0;
    std::uint64_t bytes[2];
    std::memcpy(bytes, equal, sizeof bytes);
    // The product moves bit 0 of byte i to bit 56 + i; the order of the bytes is little-endian, as
    // on every processor that this is for.
    constexpr std::uint64_t gather = 0x0102040810204080U;
    return bytes[0] * gather >> 56 | bytes[1] * gather >> 56 << 8;
}

struct Doubles {
    double values[4];
};
inline Doubles load(const double* values) {
    return {{values[0], values[1], values[2], values[3]}};
}
inline Doubles operator+(const Doubles& a, const Doubles& b) {
    return {{a.values[0] + b.values[0], a.values[1] + b.values[1], a.values[2] + b.values[2],
             a.values[3] + b.values[3]}};
}
inline double fold(const Doubles& doubles) {
    const double* values = doubles.values;
    return (values[0] + values[2]) + (values[1] + values[3]);
}

#endif

}  // namespace
}  // namespace edgecount
