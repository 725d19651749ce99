#include "fusion.h"

#include <algorithm>

#include "message.h"

namespace edgecount {
namespace {

bool fits(const Planes& heatmap, const Planes& plane, std::size_t ratio, std::size_t rounding) {
    return (heatmap.height + rounding) / ratio == plane.height &&
           (heatmap.width + rounding) / ratio == plane.width;
}

double smoothstep(double t) {
    const double clipped = std::clamp(t, 0.0, 1.0);
    return clipped * clipped * (3.0 - 2.0 * clipped);
}

double density_weight(double people, const CountOptions& options) {
    if (options.fuse_high <= options.fuse_low) return people > options.fuse_low ? 1.0 : 0.0;
    return smoothstep((people - options.fuse_low) / (options.fuse_high - options.fuse_low));
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
            weights[index] = density_weight(people[index] / share, options);
        }
    }
    return weights;
}

Tally fuse_cells(const std::vector<double>& density, const std::vector<double>& peaks,
                 const std::vector<double>& weights) {
    Tally tally;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        tally.density += density[i];
        tally.peaks += peaks[i];
        tally.count += weights[i] * density[i] + (1.0 - weights[i]) * peaks[i];
    }
    return tally;
}

}  // namespace edgecount
