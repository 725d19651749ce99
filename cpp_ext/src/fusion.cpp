#include "fusion.h"

#include <algorithm>

#include "kernels.h"
#include "message.h"
#include "sum_arithmetic.h"

namespace edgecount {
namespace {

bool fits(const Planes& heatmap, const Planes& plane, std::size_t ratio, std::size_t rounding) {
    return (heatmap.height + rounding) / ratio == plane.height &&
           (heatmap.width + rounding) / ratio == plane.width;
}

}  // namespace

std::size_t grid_ratio(const Planes& heatmap, const Planes& plane) {
    const std::size_t largest = std::max<std::size_t>({heatmap.height, heatmap.width, 1});
    for (std::size_t ratio = 1; ratio < 2 * largest; ratio *= 2) {
        if (fits(heatmap, plane, ratio, ratio - 1)) return ratio;
    }
    for (std::size_t ratio = 1; ratio <= largest; ratio *= 2) {
        if (fits(heatmap, plane, ratio, 0)) return ratio;
    }
    for (std::size_t ratio = 3; ratio <= largest; ++ratio) {
        if (fits(heatmap, plane, ratio, ratio - 1)) return ratio;
    }
    reject("density: expected the heatmap's ", heatmap.height, " x ", heatmap.width,
           " cells divided by one whole number, got ", plane.height, " x ", plane.width);
}

std::vector<double> fusion_weights(const std::vector<double>& people, const Planes& plane,
                                   const Grid& grid, const CountOptions& options) {
    const double low = options.fuse_low;
    const double high = options.fuse_high;
    const std::size_t full_columns = plane.width / grid.cell_width;
    std::vector<double> weights;
    if (grid.size() == 0) return weights;  // of a map without columns there may be many rows
    weights.reserve(grid.size());
    for (std::size_t row = 0; row < grid.rows; ++row) {
        const double* cells = people.data() + weights.size();
        weights.resize(weights.size() + grid.columns);
        double* out = weights.data() + weights.size() - grid.columns;
        const std::size_t height =
            std::min(grid.cell_height, plane.height - row * grid.cell_height);
        const std::size_t full = height == grid.cell_height ? full_columns : 0;
        kernels().sums.weigh_cells(cells, full, low, high, out);
        for (std::size_t column = full; column < grid.columns; ++column) {
            const std::size_t width =
                std::min(grid.cell_width, plane.width - column * grid.cell_width);
            const double share =
                static_cast<double>(height * width) /
                (static_cast<double>(grid.cell_height) * static_cast<double>(grid.cell_width));
            out[column] = density_weight(cells[column] / share, low, high);
        }
    }
    return weights;
}

Tally fuse_cells(const std::vector<double>& density, const std::vector<double>& peaks,
                 const std::vector<double>& weights) {
    return kernels().sums.fuse_cells(density.data(), peaks.data(), weights.data(), weights.size());
}

}  // namespace edgecount
