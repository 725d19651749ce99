#include "edgecount/count_maps.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "density.h"
#include "float_environment.h"
#include "fusion.h"
#include "kernels.h"
#include "map_checks.h"
#include "message.h"
#include "peak_sums.h"
#include "peaks.h"

namespace edgecount {
namespace {

void check_options(const CountOptions& options) {
    if (options.window != 3 && options.window != 5 && options.window != 7) {
        reject("window: expected 3, 5 or 7, got ", options.window);
    }
    check_threshold(options.threshold);
    // Densities are float32, and so is what a GPU divides them by.
    const auto unit = static_cast<float>(options.unit);
    if (!(unit >= std::numeric_limits<float>::min()) || !std::isfinite(unit)) {
        reject("unit: expected a finite number above 0, from 1.2e-38 to 3.4e38, got ", options.unit);
    }
    if (!std::isfinite(options.fuse_low) || !std::isfinite(options.fuse_high)) {
        reject("fuse_low, fuse_high: expected finite numbers, got ", options.fuse_low, " and ",
               options.fuse_high);
    }
}

void check_planes(const char* name, const Planes& map, std::size_t count, const Planes& like) {
    if (map.count != count) reject(name, ": expected ", count, " planes, got ", map.count);
    if (map.height != like.height || map.width != like.width) {
        reject(name, ": expected maps of ", like.height, " x ", like.width, " cells, got ",
               map.height, " x ", map.width);
    }
}

bool is_coverage(float value) { return (value >= 0.0F) & (value <= 1.0F); }

/// What is the same for every image of a batch.
class Counter {
public:
    Counter(const Maps& maps, const CountOptions& options)
        : maps_(maps),
          options_(options),
          fuse_(fuses(maps, options)),
          grid_(fusion_grid(maps, options)),
          peak_sums_(maps.heatmap, mask_grid(maps),
                     maps.heatmap.present() ? grid_ratio(maps.heatmap, mask_grid(maps)) : 1, grid_,
                     maps.masks) {}

    ImageCount count(std::size_t image) const {
        ImageCount result;
        Peaks found;
        if (maps_.heatmap.present()) {
            found =
                find_peaks(maps_.heatmap, maps_.offset, image, options_, peak_sums_.needs_cells());
        }
        const std::vector<std::vector<double>> peaks = peak_sums_.run(found);
        result.peak_count = static_cast<std::int64_t>(found.count);
        result.peaks = std::move(found.points);

        const std::vector<std::vector<double>> density = people(image);
        const std::vector<double> weights = density_weights(density[0]);

        result.whole = fuse_cells(density[0], peaks[0], weights);
        for (std::size_t region = 0; region < maps_.masks.count; ++region) {
            result.regions.push_back(fuse_cells(density[1 + region], peaks[1 + region], weights));
        }
        return result;
    }

private:
    /// The density of the whole and of each region, in people per grid cell.
    std::vector<std::vector<double>> people(std::size_t image) const {
        if (!maps_.density.present()) {
            return std::vector<std::vector<double>>(1 + maps_.masks.count,
                                                    std::vector<double>(grid_.size()));
        }
        std::vector<std::vector<double>> sums =
            sum_density(maps_.density, image, maps_.masks, grid_);
        if (options_.unit == 1.0) return sums;
        for (std::vector<double>& cells : sums) {
            for (double& sum : cells) sum /= options_.unit;
        }
        return sums;
    }

    std::vector<double> density_weights(const std::vector<double>& people) const {
        if (fuse_) return fusion_weights(people, mask_grid(maps_), grid_, options_);
        return std::vector<double>(grid_.size(), maps_.density.present() ? 1.0 : 0.0);
    }

    const Maps& maps_;
    const CountOptions& options_;
    bool fuse_;
    Grid grid_;
    PeakSums peak_sums_;
};

}  // namespace

const Planes& mask_grid(const Maps& maps) {
    return maps.density.present() ? maps.density : maps.heatmap;
}

bool fuses(const Maps& maps, const CountOptions& options) {
    return options.fuse_cell != 0 && maps.heatmap.present() && maps.density.present();
}

void check_threshold(float threshold) {
    if (!(threshold >= 0.0F) || !std::isfinite(threshold)) {
        reject("threshold: expected a finite number of at least 0, got ", threshold);
    }
}

void check_masks(const Planes& masks, const Planes& like) {
    check_planes("masks", masks, masks.count, like);
    const float* values = static_cast<const float*>(masks.data);
    const std::size_t n = masks.count * masks.cells();
    if (kernels().sums.are_coverage(values, n)) return;
    const float* first = std::find_if_not(values, values + n, is_coverage);
    reject("masks: expected coverage in [0, 1], got ", *first, " in mask ",
           static_cast<std::size_t>(first - values) / masks.cells());
}

Grid fusion_grid(const Maps& maps, const CountOptions& options) {
    const Planes& plane = mask_grid(maps);
    if (!fuses(maps, options)) return {plane.height, plane.width, 0, 0};
    const std::size_t width = options.fuse_width != 0 ? options.fuse_width : options.fuse_cell;
    return {plane.height, plane.width, options.fuse_cell, width};
}

void check_maps(const Maps& maps, const CountOptions& options) {
    check_options(options);
    if (!maps.heatmap.present() && !maps.density.present()) {
        reject("heatmap, density: expected at least one of the two, got neither");
    }
    if (maps.heatmap.present()) check_planes("heatmap", maps.heatmap, maps.batch, maps.heatmap);
    if (maps.density.present()) check_planes("density", maps.density, maps.batch, maps.density);
    if (maps.offset.present()) {
        if (!maps.heatmap.present()) reject("offset: expected a heatmap beside it, got none");
        check_planes("offset", maps.offset, 2 * maps.batch, maps.heatmap);
    }
    if (maps.masks.present()) check_masks(maps.masks, mask_grid(maps));
}

std::vector<ImageCount> count_maps(const Maps& maps, const CountOptions& options) {
    check_maps(maps, options);
    if (maps.batch == 0) return {};
    const FloatEnvironment environment;
    const Counter counter(maps, options);
    std::vector<ImageCount> results;
    results.reserve(maps.batch);
    for (std::size_t image = 0; image < maps.batch; ++image) {
        results.push_back(counter.count(image));
    }
    return results;
}

}  // namespace edgecount
