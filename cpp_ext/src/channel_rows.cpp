#include "channel_rows.h"

#include <cstring>

#include "edgecount/pixels.h"
#include "kernels.h"
#include "nv12.h"

namespace edgecount {
namespace {

/// Writes the low three bytes of n words, words over each other: that is one store a pixel.
template <typename Word>
void pack_words(std::size_t n, std::uint8_t* out, Word word_of) {
    for (std::size_t x = 0; x + 1 < n; ++x) {
        const std::uint32_t word = word_of(x);
        std::memcpy(out + 3 * x, &word, 4);
    }
    const std::uint32_t last = word_of(n - 1);
    std::memcpy(out + 3 * (n - 1), &last, 3);
}

}  // namespace

ChannelRows::ChannelRows(const ImageView& image, std::size_t window)
    : image_(image), in_place_(bytes_per_pixel(image.pixels) == 3) {
    stride_ = in_place_ ? image.row_stride : 3 * image.width;
    if (!in_place_) converted_.resize(window * stride_);
}

void ChannelRows::convert(std::size_t y, std::uint8_t* out) const {
    const std::uint8_t* row = image_.row(y);
    if (is_nv12(image_.pixels)) {
        const std::uint8_t* chroma = image_.chroma + y / 2 * image_.chroma_stride;
        kernels().images.nv12_row(row, chroma, image_.width, yuv_to_bgr(image_.pixels), out);
    } else if (image_.pixels == Pixels::grey) {
        pack_words(image_.width, out, [row](std::size_t x) { return 0x010101U * row[x]; });
    } else {
        pack_words(image_.width, out, [row](std::size_t x) {
            std::uint32_t word;
            std::memcpy(&word, row + 4 * x, 4);
            return word;
        });
    }
}

const std::uint8_t* ChannelRows::rows(std::size_t first, std::size_t count) {
    if (in_place_) return image_.row(first);

    const std::size_t kept = first_ <= first && first < end_ ? end_ - first : 0;
    std::memmove(converted_.data(), converted_.data() + (end_ - kept - first_) * stride_,
                 kept * stride_);
    first_ = first;
    for (end_ = first + kept; end_ < first + count; ++end_) {
        convert(end_, converted_.data() + (end_ - first_) * stride_);
    }
    return converted_.data();
}

}  // namespace edgecount
