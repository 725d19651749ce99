#include "fusion.h"

#include <algorithm>

#include "lane_sum.h"
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
    std::vector<double> weights(grid.size());
    for (std::size_t row = 0; row < grid.rows; ++row) {
        const std::size_t height =
            std::min(grid.cell_height, plane.height - row * grid.cell_height);
        for (std::size_t column = 0; column < grid.columns; ++column) {
            const std::size_t width =
                std::min(grid.cell_width, plane.width - column * grid.cell_width);
            const double share =
                static_cast<double>(height * width) /
                (static_cast<double>(grid.cell_height) * static_cast<double>(grid.cell_width));
            const std::size_t index = row * grid.columns + column;
            weights[index] =
                density_weight(people[index] / share, options.fuse_low, options.fuse_high);
        }
    }
    return weights;
}

Tally fuse_cells(const std::vector<double>& density, const std::vector<double>& peaks,
                 const std::vector<double>& weights) {
    const std::size_t n = weights.size();
    std::vector<double> counts(n);
    for (std::size_t i = 0; i < n; ++i) counts[i] = blend(weights[i], density[i], peaks[i]);
    return {lane_sum<kBlockLanes>(counts.data(), n), lane_sum<kBlockLanes>(density.data(), n),
            lane_sum<kBlockLanes>(peaks.data(), n)};
}

}  // namespace edgecount
