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

/// Factors of luma and chroma, in units of 2^-20.
struct YuvToBgr {
    std::int32_t black;  ///< The luma that is black; what is below it is black too.
    std::int32_t luma;
    std::int32_t blue_u;
    std::int32_t green_u;
    std::int32_t green_v;
    std::int32_t red_v;
};

/// The factors of an NV12 format.
///
/// With the shares Kr and Kb of red and blue in luma (ITU-R BT.601-7: 0.299 and 0.114, BT.709-6:
/// 0.2126 and 0.0722) and Kg = 1 - Kr - Kb they are
///     red_v = 2 (1 - Kr) c,   green_v = -2 (1 - Kr) Kr / Kg c,
///     blue_u = 2 (1 - Kb) c,  green_u = -2 (1 - Kb) Kb / Kg c,
/// where c is 255 / 224 and luma 255 / 219 in limited range and both are 1 in full range, rounded
/// to whole numbers. BT.601 in limited range has the three decimals of OpenCV's cvtColor instead
/// (1.164, 1.596, -0.813, 2.018, -0.391): frames that OpenCV decoded must count the same.
static constexpr YuvToBgr yuv_to_bgr(Pixels pixels) {
    switch (pixels) {
        case Pixels::nv12_bt601_full: return {0, 1048576, 1858077, -360853, -748826, 1470104};
        case Pixels::nv12_bt709: return {16, 1220945, 2215014, -223607, -558796, 1879825};
        case Pixels::nv12_bt709_full: return {0, 1048576, 1945738, -196424, -490864, 1651297};
        default: return {16, 1220542, 2116026, -409993, -852492, 1673527};
    }
}

/// What the U and V of a pixel add to its channels, half a unit for rounding included.
struct ChromaShare {
    std::int32_t blue;
    std::int32_t green;
    std::int32_t red;
};

static inline EDGECOUNT_BOTH ChromaShare chroma_share(const YuvToBgr& by, std::int32_t u,
                                                      std::int32_t v) {
    constexpr std::int32_t half = 1 << (kYuvShift - 1);
    u -= 128;
    v -= 128;
    return {half + by.blue_u * u, half + by.green_v * v + by.green_u * u, half + by.red_v * v};
}

/// Luma as the channels share it. All sums stay within 30 bits.
static inline EDGECOUNT_BOTH std::int32_t luma_share(const YuvToBgr& by, std::int32_t y) {
    return by.luma * (y > by.black ? y - by.black : 0);
}

static inline EDGECOUNT_BOTH std::uint8_t channel_of(std::int32_t luma, std::int32_t chroma) {
    const std::int32_t value = (luma + chroma) >> kYuvShift;
    return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

}  // namespace edgecount
