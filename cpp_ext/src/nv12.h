// NV12 to BGR in whole numbers: the same on the CPU and on a GPU.
#pragma once

#include <cstdint>

#include "edgecount/pixels.h"

#if defined(__CUDACC__)
#define EDGECOUNT_BOTH __host__ __device__
#else
#define EDGECOUNT_BOTH
#endif

namespace edgecount {

constexpr int kYuvShift = 20;

/// The factors of luma and chroma and what is added to each channel, in units of 2^-20.
struct YuvToBgr {
    std::int32_t black;  ///< The luma that is black; what is below it is black too.
    std::int32_t luma;
    std::int32_t blue_u;
    std::int32_t green_u;
    std::int32_t green_v;
    std::int32_t red_v;
    std::int32_t blue;  ///< Takes off what black and no colour (128) give, and rounds by a half.
    std::int32_t green;
    std::int32_t red;
};

static constexpr YuvToBgr yuv_to_bgr(std::int32_t black, std::int32_t luma, std::int32_t blue_u,
                                     std::int32_t green_u, std::int32_t green_v,
                                     std::int32_t red_v) {
    const std::int32_t grey = (1 << (kYuvShift - 1)) - luma * black;
    return {black,
            luma,
            blue_u,
            green_u,
            green_v,
            red_v,
            grey - 128 * blue_u,
            grey - 128 * (green_u + green_v),
            grey - 128 * red_v};
}

/// What makes BGR of an NV12 format.
///
/// With the shares Kr and Kb of red and blue in luma (ITU-R BT.601-7: 0.299 and 0.114, BT.709-6:
/// 0.2126 and 0.0722) and Kg = 1 - Kr - Kb the factors are
///     blue_u = 2 (1 - Kb) c,  green_u = -2 (1 - Kb) Kb / Kg c,
///     red_v = 2 (1 - Kr) c,   green_v = -2 (1 - Kr) Kr / Kg c,
/// where c is 255 / 224 and luma 255 / 219 in limited range and both are 1 in full range, rounded
/// to whole numbers. BT.601 in limited range has the three decimals of OpenCV's cvtColor instead
/// (1.164, 2.018, -0.391, -0.813, 1.596): frames that OpenCV decoded must count the same.
static constexpr YuvToBgr yuv_to_bgr(Pixels pixels) {
    switch (pixels) {
        case Pixels::nv12_bt601_full:
            return yuv_to_bgr(0, 1048576, 1858077, -360853, -748826, 1470104);
        case Pixels::nv12_bt709:
            return yuv_to_bgr(16, 1220945, 2215014, -223607, -558796, 1879825);
        case Pixels::nv12_bt709_full:
            return yuv_to_bgr(0, 1048576, 1945738, -196424, -490864, 1651297);
        default: return yuv_to_bgr(16, 1220542, 2116026, -409993, -852492, 1673527);
    }
}

/// What the U and V of a pixel add to its channels.
struct ChromaShare {
    std::int32_t blue;
    std::int32_t green;
    std::int32_t red;
};

/// All sums stay within 30 bits and a sign.
static inline EDGECOUNT_BOTH ChromaShare chroma_share(const YuvToBgr& by, std::int32_t u,
                                                      std::int32_t v) {
    return {by.blue_u * u + by.blue, by.green_u * u + by.green_v * v + by.green,
            by.red_v * v + by.red};
}

/// Luma as the channels share it.
static inline EDGECOUNT_BOTH std::int32_t luma_share(const YuvToBgr& by, std::int32_t y) {
    return by.luma * (y > by.black ? y : by.black);
}

/// A channel, 0 to 255.
static inline EDGECOUNT_BOTH std::uint32_t channel_of(std::int32_t luma, std::int32_t chroma) {
    // Limited before it is shifted: the shift and a sum with it are then one instruction of a GPU.
    constexpr std::int32_t most = (256 << kYuvShift) - 1;
    const std::int32_t value = luma + chroma;
    return static_cast<std::uint32_t>(value < 0 ? 0 : value > most ? most : value) >> kYuvShift;
}

}  // namespace edgecount
