#include "edgecount/count_maps.h"

#include <nanobind/nanobind.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgecount {
namespace {

/// The counts as the arrays that Python sees. They are handed out as views, so that a call pays
/// only for those that are looked at.
struct MapCounts {
    std::vector<std::vector<Peak>> peaks;
    std::size_t regions = 0;
    std::vector<std::int64_t> peak_count;
    std::vector<std::uint8_t> overflow;  // bool; a vector of bool has no array of them inside
    std::vector<double> density_sum;
    std::vector<double> count;
    std::vector<double> region_count;
    std::vector<double> region_density;
    std::vector<double> region_peaks;
};

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

/// Keeps the arrays alive while the kernels read them without the GIL.
struct Arguments {
    Maps maps;
    std::vector<AnyArray> arrays;

    Planes add(const char* name, nb::handle object, std::size_t ndim, const char* axes) {
        if (object.is_none()) return {};
        arrays.push_back(as_array(name, object));
        return as_planes(name, arrays.back(), ndim, axes);
    }
};

void read_maps(Arguments& arguments, nb::handle heatmap, nb::handle offset, nb::handle density,
               nb::handle masks) {
    Maps& maps = arguments.maps;
    maps.heatmap = arguments.add("heatmap", heatmap, 3, "(B, H, W)");
    maps.offset = arguments.add("offset", offset, 4, "(B, 2, H, W)");
    if (maps.offset.present() && arguments.arrays.back().shape(1) != 2) {
        throw std::invalid_argument("offset: expected shape (B, 2, H, W), got " +
                                    shape_name(arguments.arrays.back()));
    }
    if (maps.heatmap.present() && maps.offset.present() &&
        maps.heatmap.scalar != maps.offset.scalar) {
        throw nb::type_error("offset: expected the dtype of the heatmap, got another");
    }
    maps.density = arguments.add("density", density, 3, "(B, H, W)");
    maps.masks = arguments.add("masks", masks, 3, "(R, H, W)");
    if (maps.masks.present()) require_dtype<float>("masks", arguments.arrays.back().dtype());
    maps.batch = maps.heatmap.present() ? maps.heatmap.count : maps.density.count;
}

std::size_t not_negative(const char* name, std::int64_t value) {
    if (value < 0) {
        throw std::invalid_argument(std::string(name) + ": expected 0 or more, got " +
                                    std::to_string(value));
    }
    return static_cast<std::size_t>(value);
}

MapCounts count_maps_python(nb::handle heatmap, nb::handle offset, nb::handle density,
                            nb::handle masks, std::int64_t window, double threshold,
                            std::int64_t capacity, double unit, std::int64_t fuse_cell,
                            double fuse_low, double fuse_high) {
    CountOptions options;
    options.window = not_negative("window", window);
    options.threshold = static_cast<float>(threshold);
    options.capacity = not_negative("capacity", capacity);
    options.unit = unit;
    options.fuse_cell = not_negative("fuse_cell", fuse_cell);
    options.fuse_low = fuse_low;
    options.fuse_high = fuse_high;

    Arguments arguments;
    read_maps(arguments, heatmap, offset, density, masks);
    std::vector<ImageCount> images;
    {
        nb::gil_scoped_release unlocked;
        images = count_maps(arguments.maps, options);
    }
    return rearrange(std::move(images), arguments.maps.masks.count);
}

}  // namespace

void bind_count_maps(nb::module_& module) {
    nb::class_<MapCounts>(module, "MapCounts",
                          "What `count_maps` found in a batch of B images with R regions.")
        .def_prop_ro("peaks", &peaks_of)
        .def_prop_ro("peak_count", per_image<std::int64_t>(&MapCounts::peak_count))
        .def_prop_ro("overflow", per_image<bool>(&MapCounts::overflow))
        .def_prop_ro("density_sum", per_image<double>(&MapCounts::density_sum))
        .def_prop_ro("count", per_image<double>(&MapCounts::count))
        .def_prop_ro("region_count", per_region(&MapCounts::region_count))
        .def_prop_ro("region_density", per_region(&MapCounts::region_density))
        .def_prop_ro("region_peaks", per_region(&MapCounts::region_peaks));

    module.def("count_maps", &count_maps_python, "heatmap"_a = nb::none(), "offset"_a = nb::none(),
               "density"_a = nb::none(), "masks"_a = nb::none(), nb::kw_only(), "window"_a = 3,
               "threshold"_a = 0.4, "capacity"_a = 0, "unit"_a = 1.0, "fuse_cell"_a = 0,
               "fuse_low"_a = 0.0, "fuse_high"_a = 0.0,
               "Counts the people of a batch of maps. The stub has the details.");
}

}  // namespace edgecount
