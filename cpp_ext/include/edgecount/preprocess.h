// Camera frames to network inputs: resize, pad, normalise and reorder in one pass.
#pragma once

#include <cstddef>
#include <cstdint>

#include "edgecount/pixels.h"

namespace edgecount {

/// An 8-bit image; rows may lie apart, pixels may not.
struct ImageView {
    const std::uint8_t* data = nullptr;  ///< Pixels, or luma.
    std::size_t height = 0;              ///< Even for NV12, like the width.
    std::size_t width = 0;
    std::size_t row_stride = 0;  ///< Bytes from one row to the next.
    Pixels pixels = Pixels::bgr;
    const std::uint8_t* chroma = nullptr;  ///< Of NV12: height / 2 rows of width bytes.
    std::size_t chroma_stride = 0;         ///< Bytes from one row of chroma to the next.

    const std::uint8_t* row(std::size_t y) const { return data + y * row_stride; }
};

struct PreprocessOptions {
    std::size_t out_height = 0;  ///< Of the network input.
    std::size_t out_width = 0;
    std::size_t resized_height = 0;  ///< Of the image inside it, at the top left.
    std::size_t resized_width = 0;
    float mean[3] = {0.0F, 0.0F, 0.0F};   ///< In output channel order.
    float scale[3] = {1.0F, 1.0F, 1.0F};  ///< Multiplies after the mean is taken off.
    bool swap_rb = false;                 ///< Output channel 0 is red, not blue.
    float pad_value = 0.0F;               ///< Beyond the image, already normalised.
};

/// Writes the network input of one image: float32, 3 x out_height x out_width, C order.
///
/// The resize is a separable triangle filter with half-pixel centres, widened when it shrinks: what
/// torch.nn.functional.interpolate(mode="bilinear", antialias=True) does to a float image. Needs
/// temporary memory for one row. Throws std::invalid_argument when the sizes do not fit.
void preprocess(const ImageView& image, const PreprocessOptions& options, float* out);

}  // namespace edgecount
