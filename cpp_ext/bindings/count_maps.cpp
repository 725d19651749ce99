#include "edgecount/count_maps.h"

#include <nanobind/nanobind.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "map_counts.h"
#include "options.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgecount {
namespace {

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

MapCounts count_maps_python(nb::handle heatmap, nb::handle offset, nb::handle density,
                            nb::handle masks, std::int64_t window, double threshold,
                            std::int64_t capacity, double unit, std::int64_t fuse_cell,
                            double fuse_low, double fuse_high) {
    const CountOptions options =
        read_count_options(window, threshold, capacity, unit, fuse_cell, fuse_low, fuse_high);
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
    module.def("count_maps", &count_maps_python, "heatmap"_a = nb::none(), "offset"_a = nb::none(),
               "density"_a = nb::none(), "masks"_a = nb::none(), nb::kw_only(), "window"_a = 3,
               "threshold"_a = 0.4, "capacity"_a = 0, "unit"_a = 1.0, "fuse_cell"_a = 0,
               "fuse_low"_a = 0.0, "fuse_high"_a = 0.0,
               "Counts the people of a batch of maps. Details: edgecount/_ext.pyi.");
}

}  // namespace edgecount
