// Peaks per grid cell and region.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "density.h"
#include "edgecount/maps.h"
#include "peaks.h"

namespace edgecount {

/// Where each row and column of the heatmap lies on a coarser plane and on its grid. Tables,
/// because four divisions per peak would cost more than finding it.
class PeakSums {
public:
    /// `ratio` heatmap cells along each axis lie in one cell of the plane.
    PeakSums(const Planes& heatmap, const Planes& plane, std::size_t ratio, const Grid& grid,
             const Planes& masks);

    /// Sums per grid cell: element 0 of the peaks, element 1 + r of their coverage by mask r.
    std::vector<std::vector<double>> run(const Peaks& peaks) const;

    /// Whether the sums need the cells of the peaks, or only their count.
    bool needs_cells() const { return size_ != 1 || masks_.count != 0; }

private:
    struct Place {
        std::uint32_t plane;
        std::uint32_t grid;
    };

    /// Places of the n rows or columns of the heatmap on a plane of this size, on whose grid a cell
    /// has `side` of them and the next one is `step` further.
    static std::vector<Place> places(std::size_t n, std::size_t ratio, std::size_t size,
                                     std::size_t side, std::size_t step);

    void add_coverage(const Peaks& peaks, std::vector<std::vector<double>>& sums) const;

    /// Calls add(region, grid cell, shares) for every peak and region.
    template <typename Add>
    void for_each_share(const Peaks& peaks, Add add) const;

    std::size_t size_;
    const Planes& masks_;
    std::vector<Place> rows_;  // `grid` is the index of the row's first grid cell
    std::vector<Place> columns_;
};

}  // namespace edgecount
