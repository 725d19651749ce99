// The rows around the one that a peak scan is at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "edgecount/maps.h"
#include "kernels.h"

namespace edgecount {

/// The keys of a few rows of a plane, and their slid maxima, in rings that the scan fills as it
/// moves down: the map itself is read once.
class KeyWindow {
public:
    KeyWindow(const Planes& map, std::size_t plane, std::size_t radius);

    /// Reads row y.
    void load(std::size_t y);

    /// Whether all values that were read are finite.
    bool finite() const;

    /// What one step of the scan reads and writes, once row y + radius is loaded. Rows may be
    /// outside the map.
    ScanRows around(std::ptrdiff_t y);

    /// Blocks in a padded row.
    std::size_t blocks() const { return blocks_; }

private:
    /// Where row y is in a ring.
    std::size_t slot(std::ptrdiff_t y) const {
        const bool inside = static_cast<std::size_t>(y) < map_.height;
        return (inside ? static_cast<std::size_t>(y) & (count_ - 1) : count_) * stride_ + kMargin;
    }

    const Planes& map_;
    std::size_t plane_;
    const CellKernels& kernels_;
    std::ptrdiff_t radius_;
    std::size_t blocks_;
    std::size_t stride_;
    std::size_t count_;  // rows in a ring: a power of two; one more is for all that are outside
    std::vector<std::int16_t> keys_;
    std::vector<std::int16_t> maxima_;
    std::int16_t largest_[kLargest] = {};
};

}  // namespace edgecount
