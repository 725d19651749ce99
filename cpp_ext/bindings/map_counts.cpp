#include "map_counts.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <utility>

#include "bindings.h"

namespace nb = nanobind;

namespace edgecount {
namespace {

/// A NumPy array of Ts over memory of `owner`, which it keeps alive.
template <typename T, std::size_t N>
nb::object view(void* data, const std::size_t (&shape)[N], nb::handle owner) {
    return nb::cast(nb::ndarray<nb::numpy, T>(data, N, shape, owner));
}

template <typename T, typename Value>
auto per_image(std::vector<Value> MapCounts::* member) {
    return [member](nb::handle self) {
        auto& values = nb::cast<MapCounts&>(self).*member;
        const std::size_t shape[1] = {values.size()};
        return view<T>(values.data(), shape, self);
    };
}

auto per_region(std::vector<double> MapCounts::* member) {
    return [member](nb::handle self) {
        auto& counts = nb::cast<MapCounts&>(self);
        const std::size_t shape[2] = {counts.peaks.size(), counts.regions};
        return view<double>((counts.*member).data(), shape, self);
    };
}

nb::list peaks_of(nb::handle self) {
    static_assert(sizeof(Peak) == 3 * sizeof(float), "a peak is a row of three floats");
    nb::list arrays;
    for (std::vector<Peak>& peaks : nb::cast<MapCounts&>(self).peaks) {
        const std::size_t shape[2] = {peaks.size(), 3};
        arrays.append(view<float>(peaks.data(), shape, self));
    }
    return arrays;
}

}  // namespace

MapCounts rearrange(std::vector<ImageCount>&& images, std::size_t regions) {
    MapCounts counts;
    counts.regions = regions;
    for (ImageCount& image : images) {
        counts.peak_count.push_back(image.peak_count);
        counts.overflow.push_back(image.overflow() ? 1 : 0);
        counts.density_sum.push_back(image.whole.density);
        counts.count.push_back(image.whole.count);
        for (const Tally& region : image.regions) {
            counts.region_count.push_back(region.count);
            counts.region_density.push_back(region.density);
            counts.region_peaks.push_back(region.peaks);
        }
        counts.peaks.push_back(std::move(image.peaks));
    }
    return counts;
}

void bind_map_counts(nb::module_& module) {
    nb::class_<MapCounts>(
        module, "MapCounts",
        "The peaks and counts of a batch of B images with R regions, as `count_maps` returns them.")
        .def_prop_ro(
            "peaks", &peaks_of,
            "B arrays (n, 3) float32: x, y in heatmap cells and the score, in raster order.")
        .def_prop_ro("peak_count", per_image<std::int64_t>(&MapCounts::peak_count),
                     "(B,) int64: all peaks, also those beyond the capacity.")
        .def_prop_ro("overflow", per_image<bool>(&MapCounts::overflow),
                     "(B,) bool: whether the capacity cut the list of peaks.")
        .def_prop_ro("density_sum", per_image<double>(&MapCounts::density_sum),
                     "(B,) float64: people by the density; 0 without one.")
        .def_prop_ro("count", per_image<double>(&MapCounts::count),
                     "(B,) float64: people, fused from density and peaks where both are given.")
        .def_prop_ro("region_count", per_region(&MapCounts::region_count),
                     "(B, R) float64: `count` per region.")
        .def_prop_ro("region_density", per_region(&MapCounts::region_density),
                     "(B, R) float64: `density_sum` per region.")
        .def_prop_ro("region_peaks", per_region(&MapCounts::region_peaks),
                     "(B, R) float64: peaks per region, each weighted by its cell's coverage.");
}

}  // namespace edgecount
