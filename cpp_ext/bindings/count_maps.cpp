#include "edgecount/count_maps.h"

#include <nanobind/nanobind.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "gil.h"
#include "map_counts.h"
#include "options.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgecount {
namespace {

constexpr const char* kCountMapsDoc =
    R"(Count the people of a batch of maps on the CPU, in one pass over each map.

A peak is a cell above `threshold` (as a float32) that is greater than every cell of its window
that comes earlier in raster order, and not less than the later ones; cells outside the map do not
exist. It must stand out besides: within 31 cells, no path of cells that nearly tie with it (by 1024
steps of float32, about 1e-4 of it, or two of float16) leads to a higher one, or to an equal one
that is earlier. So the last bits of a plateau, which rounding decides, make no peaks. Where both
maps are given and `fuse_cell` is not 0, density and peaks are blended per rectangle
of `fuse_cell` x `fuse_width` density cells: count = sum of w * D + (1 - w) * P. This is the
two-stream fusion of RAZ-Net (Liu et al., CVPR 2019): the denser the rectangle, the more its density
weighs. The weight itself is edgecount's: a smoothstep of the people per full rectangle, which those
at the right and bottom are scaled up to, from `fuse_low` to `fuse_high`,
to be fitted on validation images. Otherwise the count is the density's sum, or the number of peaks
when there is no density. Sums have the same bits on every run and processor.

Args:
    heatmap: (B, H, W) float32 or float16, the head probabilities.
    offset: (B, 2, H, W) of the heatmap's dtype: dx and dy of the head from the top-left corner of
        its cell, in cells. Without it a parabola through the peak and its neighbours gives the
        position, within half a cell of the centre; on a border the centre.
    density: (B, H / k, W / k) float32 or float16 for a whole k, rounded up or, for a power of two,
        also down: people per cell times `unit`.
    masks: (R, h, w) float32, the share in [0, 1] of each cell that lies in the region, on the grid
        of the density or, without one, of the heatmap.
    window: Side of the peak window in cells: 3, 5 or 7.
    threshold: Peaks are strictly above it; at least 0.
    capacity: Most peaks listed per image; 0 for all. The rest still counts.
    unit: Density value of one person; above 0.
    fuse_cell: Height of a fusion cell in density cells; 0 for no fusion.
    fuse_width: Its width in density cells; 0 for a square.
    fuse_low: People per fusion cell up to which the peaks alone count.
    fuse_high: People per fusion cell from which the density alone counts. If it is not above
        `fuse_low`, the density counts in cells with more than `fuse_low` people.

Returns:
    A `MapCounts` with peaks, counts and counts per region.

Raises:
    TypeError: An argument is not an array, or has another dtype.
    ValueError: A shape, an option or the memory order is wrong, items are not aligned, a mask is
        not in [0, 1], or a map holds a non-finite value (NaN or infinity; offsets are looked at
        only where a listed peak is). The message names the map and the image.)";

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
                            std::int64_t fuse_width, double fuse_low, double fuse_high) {
    const CountOptions options = read_count_options(window, threshold, capacity, unit, fuse_cell,
                                                    fuse_width, fuse_low, fuse_high);
    Arguments arguments;
    read_maps(arguments, heatmap, offset, density, masks);
    std::vector<ImageCount> images;
    {
        ReleasedGil unlocked;
        images = count_maps(arguments.maps, options);
    }
    return rearrange(std::move(images), arguments.maps.masks.count);
}

}  // namespace

void bind_count_maps(nb::module_& module) {
    module.def("count_maps", &count_maps_python, "heatmap"_a = nb::none(), "offset"_a = nb::none(),
               "density"_a = nb::none(), "masks"_a = nb::none(), nb::kw_only(), "window"_a = 3,
               "threshold"_a = 0.4, "capacity"_a = 0, "unit"_a = 1.0, "fuse_cell"_a = 0,
               "fuse_width"_a = 0, "fuse_low"_a = 0.0, "fuse_high"_a = 0.0, kCountMapsDoc);
}

}  // namespace edgecount
