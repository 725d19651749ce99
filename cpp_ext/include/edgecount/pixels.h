// The formats of pixels.
#pragma once

#include <cstddef>

namespace edgecount {

/// What the bytes of an image are. NV12 is a plane of luma and, half as high, one of interleaved U
/// and V: what video decoders and cameras give. OpenCV takes it for BT.601 in limited range.
enum class Pixels {
    bgr,
    rgb,
    bgrx,  ///< Four bytes, the last one of which is not looked at.
    rgbx,
    grey,  ///< Three equal channels in one byte.
    nv12_bt601,
    nv12_bt601_full,  ///< Luma goes from 0 to 255, not from 16 to 235.
    nv12_bt709,
    nv12_bt709_full,
};

constexpr bool is_nv12(Pixels pixels) { return pixels >= Pixels::nv12_bt601; }

/// Of the plane that `ImageView::data` points to.
constexpr std::size_t bytes_per_pixel(Pixels pixels) {
    if (pixels == Pixels::bgr || pixels == Pixels::rgb) return 3;
    return pixels == Pixels::bgrx || pixels == Pixels::rgbx ? 4 : 1;
}

/// All formats and their names in Python.
struct NamedPixels {
    const char* name;
    Pixels pixels;
};
constexpr NamedPixels kPixelFormats[] = {
    {"bgr", Pixels::bgr},
    {"rgb", Pixels::rgb},
    {"bgrx", Pixels::bgrx},
    {"rgbx", Pixels::rgbx},
    {"grey", Pixels::grey},
    {"nv12_bt601", Pixels::nv12_bt601},
    {"nv12_bt601_full", Pixels::nv12_bt601_full},
    {"nv12_bt709", Pixels::nv12_bt709},
    {"nv12_bt709_full", Pixels::nv12_bt709_full},
};

constexpr const char* name_of(Pixels pixels) {
    return kPixelFormats[static_cast<std::size_t>(pixels)].name;
}

constexpr bool is_red_first(Pixels pixels) {
    return pixels == Pixels::rgb || pixels == Pixels::rgbx;
}

}  // namespace edgecount
