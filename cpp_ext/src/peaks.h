// Peaks of a heatmap: the cells, and where between the cells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "edgecount/maps.h"

namespace edgecount {

struct PeakCell {
    std::uint32_t x;
    std::uint32_t y;
};

struct Peaks {
    std::size_t count = 0;        ///< Of all peaks.
    std::vector<Peak> points;     ///< The first `capacity` of them, in raster order.
    std::vector<PeakCell> cells;  ///< The cells of all of them, when they are kept.
};

/// Finds the peaks of one image.
///
/// A peak is above the threshold, greater than every cell of its window that comes earlier in
/// raster order and not less than the later ones. Cells outside the map do not exist.
///
/// With an offset map a point is the peak's cell plus its offset. Without, on each axis, it is the
/// top of the parabola through the peak and its two neighbours, at most half a cell from the centre
/// of the cell; on a border the centre.
///
/// Throws std::invalid_argument naming "heatmap" when a value is not finite, else "offset" when the
/// offset of a point is not.
Peaks find_peaks(const Planes& heatmap, const Planes& offset, std::size_t image,
                 const CountOptions& options, bool keep_cells);

}  // namespace edgecount
