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

/// Pixels that a thread reads together: three words of BGR.
constexpr unsigned kQuad = 4;

struct Frame {
    const std::uint8_t* data;
    std::size_t row_stride;
    const std::uint8_t* chroma;
    std::size_t chroma_stride;
    bool aligned;  ///< All rows begin at a whole word.
};

/// Four pixels of a row.
struct Quad {
    std::uint8_t bgr[kQuad][3];
};

__device__ std::uint8_t byte_of(std::uint32_t word, unsigned index) {
    return static_cast<std::uint8_t>(word >> (8 * index));
}

/// Reads up to four pixels from column x on, a multiple of four; those beyond the row are 0.
template <bool nv12>
__device__ Quad read_quad(const Frame& frame, unsigned width, unsigned y, unsigned x);

template <>
__device__ Quad read_quad<false>(const Frame& frame, unsigned width, unsigned y, unsigned x) {
    const std::uint8_t* from = frame.data + y * frame.row_stride + 3 * static_cast<std::size_t>(x);
    Quad quad{};
    if (frame.aligned && x + kQuad <= width) {
        const auto* words = reinterpret_cast<const std::uint32_t*>(from);
        const std::uint32_t read[3] = {words[0], words[1], words[2]};
        for (unsigned i = 0; i < 3 * kQuad; ++i) {
            quad.bgr[i / 3][i % 3] = byte_of(read[i / 4], i % 4);
        }
        return quad;
    }
    for (unsigned i = 0; i < 3 * kQuad; ++i) {
        if (x + i / 3 < width) quad.bgr[i / 3][i % 3] = from[i];
    }
    return quad;
}

template <>
__device__ Quad read_quad<true>(const Frame& frame, unsigned width, unsigned y, unsigned x) {
    const std::uint8_t* luma = frame.data + y * frame.row_stride + x;
    const std::uint8_t* chroma = frame.chroma + y / 2 * frame.chroma_stride + x;
    std::uint32_t light = 0;
    std::uint32_t colour = 0;
    if (frame.aligned && x + kQuad <= width) {
        light = *reinterpret_cast<const std::uint32_t*>(luma);
        colour = *reinterpret_cast<const std::uint32_t*>(chroma);
    } else {
        for (unsigned i = 0; i < kQuad; ++i) {
            if (x + i >= width) continue;
            light |= static_cast<std::uint32_t>(luma[i]) << (8 * i);
            colour |= static_cast<std::uint32_t>(chroma[i]) << (8 * i);
        }
    }
    Quad quad;
    for (unsigned i = 0; i < kQuad; ++i) {
        const ChromaShare share =
            chroma_share(byte_of(colour, i & 2U), byte_of(colour, (i & 2U) + 1));
        const std::int32_t y_share = luma_share(byte_of(light, i));
        quad.bgr[i][0] = channel_of(y_share, share.blue);
        quad.bgr[i][1] = channel_of(y_share, share.green);
        quad.bgr[i][2] = channel_of(y_share, share.red);
    }
    return quad;
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
