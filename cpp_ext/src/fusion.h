// The blend of the two streams, cell by cell (RAZ-Net's two-stream fusion).
#pragma once

#include <cstddef>
#include <vector>

#include "density.h"
#include "edgecount/maps.h"

namespace edgecount {

/// How many heatmap cells along each axis lie in one cell of `plane`.
///
/// Both maps are cut or padded to whole cells, so the ratio is the one (a power of two where
/// several fit) that takes one size to the other when rounded up, or down. Throws
/// std::invalid_argument when there is none.
std::size_t grid_ratio(const Planes& heatmap, const Planes& plane);

/// The weight of the density in each grid cell, from its people per full cell: 0 up to fuse_low, 1
/// from fuse_high on, a smoothstep between; a step just above fuse_low when fuse_high is not above.
std::vector<double> fusion_weights(const std::vector<double>& people, const Planes& plane,
                                   const Grid& grid, const CountOptions& options);

/// Sums over the grid: density, peaks and weight * density + (1 - weight) * peaks.
Tally fuse_cells(const std::vector<double>& density, const std::vector<double>& peaks,
                 const std::vector<double>& weights);

}  // namespace edgecount
