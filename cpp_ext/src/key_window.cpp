#include "key_window.h"

#include <algorithm>
#include <iterator>

#include "keys.h"

namespace edgecount {

// The padding and the row outside keep the value that they are made with.
KeyWindow::KeyWindow(const Planes& map, std::size_t plane, std::size_t radius)
    : map_(map),
      plane_(plane),
      kernels_(kernels().peaks.cells(map.scalar)),
      radius_(static_cast<std::ptrdiff_t>(radius)),
      blocks_((map.width + kBlock - 1) / kBlock),
      stride_(blocks_ * kBlock + 2 * kMargin),
      count_(radius == 1 ? 4 : 8),
      keys_((count_ + 1) * stride_, kOutside),
      maxima_((count_ + 1) * stride_, kOutside) {}

void KeyWindow::load(std::size_t y) {
    std::int16_t* keys = keys_.data() + slot(static_cast<std::ptrdiff_t>(y));
    kernels_.make_keys(map_.row(plane_, y), keys, map_.width, largest_);
}

bool KeyWindow::finite() const {
    const std::int16_t infinity = map_.scalar == Scalar::float32 ? kFloatInfinity : kHalfInfinity;
    return *std::max_element(std::begin(largest_), std::end(largest_)) < infinity;
}

ScanRows KeyWindow::around(std::ptrdiff_t y) {
    ScanRows rows{};
    rows.row = keys_.data() + slot(y);
    rows.next = keys_.data() + slot(y + radius_);
    for (std::ptrdiff_t i = 0; i < 2 * radius_; ++i) {
        rows.maxima[i] = maxima_.data() + slot(y - radius_ + i);
    }
    rows.next_maxima = maxima_.data() + slot(y + radius_);
    return rows;
}

}  // namespace edgecount
