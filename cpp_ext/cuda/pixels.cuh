// Pixels of a frame as threads read them, and values as they write them: four at a time, by words
// where the memory is aligned for it.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "nv12.h"

namespace edgecount::cuda {
namespace {

/// Pixels that a thread reads together.
constexpr unsigned kQuad = 4;

/// How the kernels read pixels; in which order three channels lie is a matter of `Normalisation`.
enum class Layout { three, four, grey, nv12 };

struct Frame {
    const std::uint8_t* data;
    std::size_t row_stride;
    const std::uint8_t* chroma;
    std::size_t chroma_stride;
    YuvToBgr colours;  ///< Of NV12.
    bool aligned;      ///< All rows begin at a whole word.
};

/// 2^23. A float from there on counts in whole numbers, so that its low byte is one of a pixel: one
/// instruction makes the float, where a conversion is slow on many GPUs.
constexpr std::uint32_t kBiasBits = 0x4B000000;
constexpr float kBias = 8388608.0F;

/// Four pixels of a row, each channel as kBias plus its value.
struct Quad {
    float biased[kQuad][3];
};

/// kBias plus a byte of a word.
__device__ float biased_byte(std::uint32_t word, unsigned index) {
    return __uint_as_float(__byte_perm(word, kBiasBits, 0x7440U + index));
}

/// Four pixels of NV12, from their luma and their chroma.
__device__ Quad bgr_of(const YuvToBgr& by, std::uint32_t luma, std::uint32_t chroma) {
    const auto byte = [](std::uint32_t word, unsigned index) {
        return static_cast<std::int32_t>(word >> (8 * index) & 0xFFU);
    };
    Quad quad;
    for (unsigned i = 0; i < kQuad; ++i) {
        const ChromaShare share =
            chroma_share(by, byte(chroma, i & 2U), byte(chroma, (i & 2U) + 1));
        const std::int32_t light = luma_share(by, byte(luma, i));
        const std::uint32_t bgr[3] = {channel_of(light, share.blue), channel_of(light, share.green),
                                      channel_of(light, share.red)};
        for (unsigned channel = 0; channel < 3; ++channel) {
            quad.biased[i][channel] = __uint_as_float(kBiasBits + bgr[channel]);
        }
    }
    return quad;
}

/// Reads up to four bytes as one word, in one load if all are there; those that are not are 0.
template <bool whole>
__device__ std::uint32_t read_word(const std::uint8_t* from, unsigned bytes) {
    if (whole) return *reinterpret_cast<const std::uint32_t*>(from);
    std::uint32_t word = 0;
    for (unsigned i = 0; i < 4; ++i) {
        if (i < bytes) word |= static_cast<std::uint32_t>(from[i]) << (8 * i);
    }
    return word;
}

/// Up to four pixels of a row from a column on that is a multiple of four.
struct QuadPlace {
    const std::uint8_t* pixels;
    const std::uint8_t* chroma;  ///< Of NV12.
    unsigned left;               ///< Pixels from there to the end of the row, at least one.
};

/// Bytes of a pixel, of NV12 in each plane.
template <Layout layout>
constexpr unsigned kBytes = layout == Layout::three ? 3 : layout == Layout::four ? 4 : 1;

template <Layout layout>
__device__ QuadPlace quad_place(const Frame& frame, unsigned width, unsigned y, unsigned x) {
    const std::size_t column = x;
    QuadPlace place{frame.data + y * frame.row_stride + kBytes<layout> * column, nullptr,
                    width - x};
    if (layout == Layout::nv12) place.chroma = frame.chroma + y / 2 * frame.chroma_stride + column;
    return place;
}

/// Moves from row y to the next one.
template <Layout layout>
__device__ void move_down(const Frame& frame, unsigned y, QuadPlace& place) {
    place.pixels += frame.row_stride;
    if (layout == Layout::nv12 && y % 2 == 1) place.chroma += frame.chroma_stride;
}

/// Whether a quad can be read by words.
__device__ bool is_whole(const Frame& frame, const QuadPlace& place) {
    return frame.aligned && place.left >= kQuad;
}

/// Reads a quad; pixels beyond the row are 0. `whole` is what is_whole() says: where rows are read
/// in a loop, one question does for all.
template <Layout layout, bool whole>
__device__ Quad read_quad(const Frame& frame, const QuadPlace& place) {
    constexpr unsigned bytes = kBytes<layout>;
    const unsigned left = bytes * place.left;
    std::uint32_t words[bytes];
    for (unsigned i = 0; i < bytes; ++i) {
        words[i] = read_word<whole>(place.pixels + 4 * i, left > 4 * i ? left - 4 * i : 0);
    }
    if constexpr (layout == Layout::nv12) {
        return bgr_of(frame.colours, words[0], read_word<whole>(place.chroma, left));
    } else {
        Quad quad;
        for (unsigned i = 0; i < 3 * kQuad; ++i) {
            const unsigned byte = bytes * (i / 3) + (bytes == 1 ? 0 : i % 3);
            quad.biased[i / 3][i % 3] = biased_byte(words[byte / 4], byte % 4);
        }
        return quad;
    }
}

__device__ void write(float* to, float value) { *to = value; }
__device__ void write(__half* to, float value) { *to = __float2half_rn(value); }

__device__ void write_quad(float* to, const float (&values)[kQuad]) {
    *reinterpret_cast<float4*>(to) = make_float4(values[0], values[1], values[2], values[3]);
}
__device__ void write_quad(__half* to, const float (&values)[kQuad]) {
    ushort4 halves;
    halves.x = __half_as_ushort(__float2half_rn(values[0]));
    halves.y = __half_as_ushort(__float2half_rn(values[1]));
    halves.z = __half_as_ushort(__float2half_rn(values[2]));
    halves.w = __half_as_ushort(__float2half_rn(values[3]));
    *reinterpret_cast<ushort4*>(to) = halves;
}

/// Writes the first n of four values that lie side by side.
template <typename Out>
__device__ void write_values(Out* to, const float (&values)[kQuad], unsigned n) {
    if (n >= kQuad && reinterpret_cast<std::uintptr_t>(to) % (kQuad * sizeof(Out)) == 0) {
        write_quad(to, values);
        return;
    }
    for (unsigned i = 0; i < kQuad; ++i) {
        if (i < n) write(to + i, values[i]);
    }
}

}  // namespace
}  // namespace edgecount::cuda
