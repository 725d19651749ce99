// The loops over pixels; kernels_*.cpp include this file with one instruction set each.
//
// Local to each includer, and free of library templates, or the linker might give the code of one
// instruction set to another.
#include <cstring>

#include "kernels.h"
#include "nv12.h"

namespace edgecount {
namespace {

// The BGR of n pixels, an even number, in the low bytes of as many words.
inline void nv12_words(const std::uint8_t* __restrict luma, const std::uint8_t* __restrict chroma,
                       std::size_t n, const YuvToBgr& by, std::uint32_t* __restrict words) {
    for (std::size_t x = 0; x < n; x += 2) {
        const ChromaShare share = chroma_share(by, chroma[x], chroma[x + 1]);
        for (std::size_t i = 0; i < 2; ++i) {
            const std::int32_t light = luma_share(by, luma[x + i]);
            const std::uint32_t blue = channel_of(light, share.blue);
            const std::uint32_t green = channel_of(light, share.green);
            const std::uint32_t red = channel_of(light, share.red);
            words[x + i] = blue | green << 8 | red << 16;
        }
    }
}

void nv12_row(const std::uint8_t* luma, const std::uint8_t* chroma, std::size_t n,
              const YuvToBgr& factors, std::uint8_t* out) {
    // Pixels are packed to words, which is vector code, and words stored over each other: three
    // stores a pixel would take most of the time.
    constexpr std::size_t kWords = 64;
    const YuvToBgr by = factors;  // a copy, which no store to `out` can change
    std::uint32_t words[kWords];
    for (std::size_t x = 0; x < n; x += kWords, out += 3 * kWords) {
        const std::size_t count = n - x < kWords ? n - x : kWords;
        if (count == kWords) {
            nv12_words(luma + x, chroma + x, kWords, by, words);
        } else {
            nv12_words(luma + x, chroma + x, count, by, words);
        }
        for (std::size_t i = 0; i + 1 < count; ++i) std::memcpy(out + 3 * i, words + i, 4);
        std::memcpy(out + 3 * (count - 1), words + (count - 1), 3);
    }
}

void convert_row(const std::uint8_t* __restrict row, std::size_t n, const Normalisation& by,
                 float* const* out) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
        const std::uint8_t* __restrict from = row + by.source[channel];
        float* __restrict to = out[channel];
        const float mean = by.mean[channel];
        const float scale = by.scale[channel];
        for (std::size_t x = 0; x < n; ++x) {
            to[x] = (static_cast<float>(from[3 * x]) - mean) * scale;
        }
    }
}

void blend_rows(const std::uint8_t* rows, std::size_t stride, const float* weights,
                std::size_t taps, float* __restrict out, std::size_t n) {
    // Values whose sums stay in registers while the taps go by.
    constexpr std::size_t kSums = 32;
    std::size_t i = 0;
    for (; i + kSums <= n; i += kSums) {
        float sums[kSums] = {};
        for (std::size_t tap = 0; tap < taps; ++tap) {
            const std::uint8_t* __restrict row = rows + tap * stride + i;
            const float weight = weights[tap];
            for (std::size_t j = 0; j < kSums; ++j) sums[j] += weight * static_cast<float>(row[j]);
        }
        for (std::size_t j = 0; j < kSums; ++j) out[i + j] = sums[j];
    }
    for (; i < n; ++i) {
        float sum = 0.0F;
        for (std::size_t tap = 0; tap < taps; ++tap) {
            sum += weights[tap] * static_cast<float>(rows[tap * stride + i]);
        }
        out[i] = sum;
    }
}

// `taps` is a constant or, for strong shrinking, 0: then `more` taps are counted at run time.
template <std::size_t taps>
void resample_row_by(const float* row, const std::uint32_t* first, const float* weights,
                     std::size_t more, float* __restrict out, std::size_t n) {
    for (std::size_t x = 0; x < n; ++x) {
        const float* pixel = row + 3 * static_cast<std::size_t>(first[x]);
        // The fourth sum is no channel: four floats are one vector, three are none.
        float sums[4] = {0.0F, 0.0F, 0.0F, 0.0F};
        for (std::size_t tap = 0; tap < (taps != 0 ? taps : more); ++tap, pixel += 3, ++weights) {
            for (std::size_t i = 0; i < 4; ++i) sums[i] += *weights * pixel[i];
        }
        for (std::size_t i = 0; i < 4; ++i) out[4 * x + i] = sums[i];
    }
}

void resample_row(const float* row, const std::uint32_t* first, const float* weights,
                  std::size_t taps, float* out, std::size_t n) {
    switch (taps) {
        case 2: return resample_row_by<2>(row, first, weights, taps, out, n);
        case 3: return resample_row_by<3>(row, first, weights, taps, out, n);
        case 4: return resample_row_by<4>(row, first, weights, taps, out, n);
        case 5: return resample_row_by<5>(row, first, weights, taps, out, n);
        case 6: return resample_row_by<6>(row, first, weights, taps, out, n);
        default: return resample_row_by<0>(row, first, weights, taps, out, n);
    }
}

void split_row(const float* __restrict pixels, std::size_t n, const Normalisation& by,
               float* const* out) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
        const float* __restrict from = pixels + by.source[channel];
        float* __restrict to = out[channel];
        const float mean = by.mean[channel];
        const float scale = by.scale[channel];
        for (std::size_t x = 0; x < n; ++x) to[x] = (from[4 * x] - mean) * scale;
    }
}

constexpr ImageKernels image_kernels_here() {
    return {nv12_row, convert_row, blend_rows, resample_row, split_row};
}

}  // namespace
}  // namespace edgecount
