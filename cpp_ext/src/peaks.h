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
/// And it must stand out: within kAround cells, no path of near ties leads from it to a cell that
/// beats it, which is one with a higher score, or with the same one earlier in raster order. A path
/// goes from a cell to any of its eight neighbours, through cells that nearly tie with the peak (see
/// near_ties.h) or are above it. Without this, the last bits of floats would make many peaks of a
/// plateau: a sigmoid has them where a network is sure of a head, and any network where a picture is
/// of one colour. In other words, the height of a peak over the pass to a higher one, its prominence,
/// must be more than rounding. So a plateau of up to kAround cells across has one peak, whatever its
/// last bits are. The highest cell is that peak; which of a plateau's that is, they still decide.
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
