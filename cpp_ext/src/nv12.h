// NV12 to BGR: BT.601 in limited range, in the fixed point of OpenCV.
#pragma once

#include <cstdint>

// The same integers on the CPU and on a GPU.
#if defined(__CUDACC__)
#define EDGECOUNT_BOTH __host__ __device__
#else
#define EDGECOUNT_BOTH
#endif

namespace edgecount {

constexpr int kYuvShift = 20;

/// What the U and V of a pixel add to its channels, half a unit for rounding included.
struct ChromaShare {
    std::int32_t blue;
    std::int32_t green;
    std::int32_t red;
};

static inline EDGECOUNT_BOTH ChromaShare chroma_share(std::int32_t u, std::int32_t v) {
    constexpr std::int32_t half = 1 << (kYuvShift - 1);
    return {half + 2116026 * (u - 128), half - 852492 * (v - 128) - 409993 * (u - 128),
            half + 1673527 * (v - 128)};
}

/// Luma as the channels share it. All sums stay within 30 bits.
static inline EDGECOUNT_BOTH std::int32_t luma_share(std::int32_t y) {
    return 1220542 * (y > 16 ? y - 16 : 0);
}

static inline EDGECOUNT_BOTH std::uint8_t channel_of(std::int32_t luma, std::int32_t chroma) {
    const std::int32_t value = (luma + chroma) >> kYuvShift;
    return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

}  // namespace edgecount
