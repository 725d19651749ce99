// The rows of an image as BGR, whatever its pixels are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "edgecount/preprocess.h"

namespace edgecount {

/// Gives rows of a BGR image in place, and converts those of others a few at a time.
class BgrRows {
public:
    /// At most `window` rows will be asked for at once.
    BgrRows(const ImageView& image, std::size_t window);

    /// The rows from `first` on, `stride()` bytes apart, until the next call. Those of the last
    /// call are not converted again.
    const std::uint8_t* rows(std::size_t first, std::size_t count);
    std::size_t stride() const { return stride_; }

private:
    const ImageView& image_;
    std::size_t stride_;
    std::vector<std::uint8_t> converted_;  // Rows first_ .. end_ - 1.
    std::size_t first_ = 0;
    std::size_t end_ = 0;
};

}  // namespace edgecount
