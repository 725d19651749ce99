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

/// Arrays whose rows are peaks or boxes, of `columns` floats, one for each image.
template <std::size_t columns, typename Row>
auto rows_of(std::vector<std::vector<Row>> MapCounts::* member) {
    static_assert(sizeof(Row) == columns * sizeof(float), "an item is a row of floats");
    return [member](nb::handle self) {
        nb::list arrays;
        for (std::vector<Row>& rows : nb::cast<MapCounts&>(self).*member) {
            const std::size_t shape[2] = {rows.size(), columns};
            arrays.append(view<float>(rows.data(), shape, self));
        }
        return arrays;
    };
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
        counts.boxes.push_back(std::move(image.boxes));
    }
    return counts;
}

void bind_map_counts(nb::module_& module) {
    nb::class_<MapCounts>(
        module, "MapCounts",
        "The peaks and counts of a batch of B images with R regions, as `count_maps` and "
        "`count_boxes` return them.")
        .def_prop_ro(
            "peaks", rows_of<3>(&MapCounts::peaks),
            "B arrays (n, 3) float32: x, y in heatmap cells and the score, in raster order. Of "
            "`count_boxes` the centres in pixels of the network, by descending score.")
        .def_prop_ro("boxes", rows_of<4>(&MapCounts::boxes),
                     "B arrays (n, 4) float32: left, top, right and bottom of the boxes whose "
                     "centres the peaks are, in pixels of the network; (0, 4) of `count_maps`.")
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
