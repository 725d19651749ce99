#include "bgr_rows.h"

#include <cstring>

#include "kernels.h"

namespace edgecount {

BgrRows::BgrRows(const ImageView& image, std::size_t window) : image_(image) {
    stride_ = image.pixels == Pixels::bgr ? image.row_stride : 3 * image.width;
    if (image.pixels != Pixels::bgr) converted_.resize(window * stride_);
}

const std::uint8_t* BgrRows::rows(std::size_t first, std::size_t count) {
    if (image_.pixels == Pixels::bgr) return image_.row(first);

    const std::size_t kept = first_ <= first && first < end_ ? end_ - first : 0;
    std::memmove(converted_.data(), converted_.data() + (end_ - kept - first_) * stride_,
                 kept * stride_);
    first_ = first;
    for (end_ = first + kept; end_ < first + count; ++end_) {
        const std::uint8_t* chroma = image_.chroma + end_ / 2 * image_.chroma_stride;
        kernels().images.nv12_row(image_.row(end_), chroma, image_.width,
                                  converted_.data() + (end_ - first_) * stride_);
    }
    return converted_.data();
}

}  // namespace edgecount
