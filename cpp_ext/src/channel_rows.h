// The rows of an image as three bytes a pixel, whatever its pixels are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "edgecount/preprocess.h"

namespace edgecount {

/// Gives rows of three interleaved channels: those of BGR and RGB in place, all others converted, a
/// few at a time. The channels keep their order; NV12 becomes BGR.
class ChannelRows {
public:
    /// At most `window` rows will be asked for at once.
    ChannelRows(const ImageView& image, std::size_t window);

    /// The rows from `first` on, `stride()` bytes apart, until the next call. Those of the last
    /// call are not converted again.
    const std::uint8_t* rows(std::size_t first, std::size_t count);
    std::size_t stride() const { return stride_; }

private:
    void convert(std::size_t y, std::uint8_t* out) const;

    const ImageView& image_;
    bool in_place_;
    std::size_t stride_;
    std::vector<std::uint8_t> converted_;  // Rows first_ .. end_ - 1.
    std::size_t first_ = 0;
    std::size_t end_ = 0;
};

}  // namespace edgecount
