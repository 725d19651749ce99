#include "edgecount/count_boxes.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
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

constexpr const char* kCountBoxesDoc =
    R"(Count the heads of a batch of images on the CPU, by a detector's boxes.

A candidate is a cell's box whose score is above `threshold` (as a float32). Its sides are
(column + 0.5 - left) * stride, (row + 0.5 - top) * stride, (column + 0.5 + right) * stride and
(row + 0.5 + bottom) * stride, in float32; boxes without area in the frame are dropped. Candidates
are looked at by descending score, ties by level, row, column and box of the cell, and one is dropped if its
intersection with a kept one, in double, is more than `iou` times their union: greedy suppression
over all levels together, without a limit on the number of candidates. The result has the same bits
on every run and processor.

Args:
    levels: A sequence of (scores, boxes, stride), one for each stride of the network, finest
        first: scores (B, A, h, w), the probabilities of the A boxes of each cell; boxes
        (B, 4 * A, h, w), of box a in channels 4 * a to 4 * a + 3 the distances from the centre of
        the cell to the left, top, right and bottom side, in cells, of either sign; and the pixels
        to a cell. Each array is float32 or float16.
    masks: (R, h, w) float32, the share in [0, 1] of each cell of the first level that lies in the
        region. A box belongs to the cell in which its centre lies, or the nearest one.
    threshold: Scores are strictly above it; at least 0.
    iou: Overlap in [0, 1] that a box may have with one of a higher score.
    capacity: Most boxes listed per image; 0 for all. The rest still counts.
    size: (width, height) of the frame in pixels of the network, right of and below which there is
        padding, into which coarse cells reach; None: no limit.

Returns:
    A `MapCounts` with `boxes`, their centres as `peaks`, counts and counts per region.

Raises:
    TypeError: An argument is not an array, or has another dtype.
    ValueError: A shape, an option or the memory order is wrong, items are not aligned, a mask is
        not in [0, 1], a score is not finite (NaN or infinity), or a side of a candidate is not. The
        message names the map, such as "levels[0].scores", and the image.)";

/// Keeps the arrays alive while the kernels read them without the GIL.
struct Arguments {
    BoxMaps maps;
    std::vector<AnyArray> arrays;

    const AnyArray& add(const char* name, nb::handle object) {
        arrays.push_back(as_array(name, object));
        return arrays.back();
    }
};

BoxLevel read_level(Arguments& arguments, nb::handle object, const std::string& at) {
    const nb::object level = nb::steal(PySequence_Tuple(object.ptr()));
    if (!level.is_valid() || nb::len(level) != 3) {
        PyErr_Clear();
        raise_type(at.c_str(), "(scores, boxes, stride)", object);
    }
    BoxLevel read;
    const std::string names[2] = {at + ".scores", at + ".boxes"};
    const AnyArray scores = arguments.add(names[0].c_str(), level[0]);
    read.scores = as_planes(names[0].c_str(), scores, 4, "(B, A, h, w)");
    read.anchors = scores.shape(1);
    if (read.anchors == 0) {
        throw std::invalid_argument(names[0] + ": expected one box or more for each cell, got " +
                                    shape_name(scores));
    }
    const AnyArray boxes = arguments.add(names[1].c_str(), level[1]);
    read.boxes = as_planes(names[1].c_str(), boxes, 4, "(B, 4 * A, h, w)");
    if (boxes.shape(0) != scores.shape(0) || boxes.shape(1) != 4 * read.anchors) {
        throw std::invalid_argument(names[1] + ": expected shape (B, 4 * A, h, w) beside scores " +
                                    shape_name(scores) + ", got " + shape_name(boxes));
    }
    std::int64_t stride = 0;
    if (!nb::try_cast(nb::object(level[2]), stride, false)) {
        raise_type((at + ".stride").c_str(), "a whole number", nb::object(level[2]));
    }
    read.stride = as_size((at + ".stride").c_str(), stride);
    return read;
}

void read_maps(Arguments& arguments, nb::handle levels, nb::handle masks) {
    const nb::object sequence = nb::steal(PySequence_Tuple(levels.ptr()));
    if (!sequence.is_valid()) {
        PyErr_Clear();
        raise_type("levels", "a list of (scores, boxes, stride)", levels);
    }
    BoxMaps& maps = arguments.maps;
    for (std::size_t i = 0; i < nb::len(sequence); ++i) {
        const std::string at = "levels[" + std::to_string(i) + "]";
        maps.levels.push_back(read_level(arguments, nb::object(sequence[i]), at));
    }
    if (!maps.levels.empty()) maps.batch = maps.levels[0].scores.count / maps.levels[0].anchors;
    if (masks.is_none()) return;
    const AnyArray& coverage = arguments.add("masks", masks);
    maps.masks = as_planes("masks", coverage, 3, "(R, h, w)");
    require_dtype<float>("masks", coverage.dtype());
}

MapCounts count_boxes_python(nb::handle levels, nb::handle masks, double threshold, double iou,
                             std::int64_t capacity,
                             std::optional<std::pair<float, float>> size) {
    BoxOptions options;
    if (size) std::tie(options.width, options.height) = *size;
    options.threshold = static_cast<float>(threshold) + 0.0F;  // not -0, whose sign bit orders it
    options.iou = iou;
    options.capacity = as_size("capacity", capacity, 0);
    Arguments arguments;
    read_maps(arguments, levels, masks);
    std::vector<ImageCount> images;
    {
        ReleasedGil unlocked;
        images = count_boxes(arguments.maps, options);
    }
    return rearrange(std::move(images), arguments.maps.masks.count);
}

}  // namespace

void bind_count_boxes(nb::module_& module) {
    module.def("count_boxes", &count_boxes_python, "levels"_a, "masks"_a = nb::none(),
               nb::kw_only(), "threshold"_a = 0.4, "iou"_a = 0.5, "capacity"_a = 0,
               "size"_a = nb::none(), kCountBoxesDoc);
}

}  // namespace edgecount
