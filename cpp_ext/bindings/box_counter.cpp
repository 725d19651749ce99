#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "device_array.h"
#include "device_planes.h"
#include "edgecount/cuda/count_boxes.h"
#include "gil.h"
#include "held_stream.h"
#include "map_counts.h"
#include "options.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgecount {
namespace {

constexpr const char* kBoxCounterDoc =
    R"(`count_boxes` on a GPU for batches of one shape: the same boxes and sums, bit for bit.

It holds its workspace and results, so it is for one stream at a time. The workspace has room for a
box at every anchor of the maps, 28 bytes each: no number of candidates is too large.

Args:
    batch: Images in a batch.
    levels: A sequence of (A, height, width, stride, scores_dtype, boxes_dtype), one for each stride
        of the network, finest first: the boxes of a cell, the size of the maps in cells, the pixels
        to a cell, and "float32" or "float16" for both maps. At most 16.
    masks: (R, h, w) float32 as for `count_boxes`, in host memory.
    threshold: Scores are strictly above it; at least 0.
    iou: Overlap in [0, 1] that a box may have with one of a higher score.
    capacity: Most boxes listed per image; 0 for all. The rest still counts.
    size: (width, height) of the frame in pixels of the network, as for `count_boxes`.
    listed: Boxes per image that come back in one copy with the counts; more cost another.
    device: Number of the GPU.

Raises:
    TypeError: The masks are not a float32 array, or a dtype is another one.
    ValueError: A size or an option is wrong, or a mask is not in [0, 1], as for `count_boxes`.)";

constexpr const char* kEnqueueDoc =
    R"(Put the counting of a batch into a stream.

The call waits for nothing, allocates nothing on the GPU, and can be captured. The arrays must stay
until the work is done. Rows and planes of the maps may lie apart.

Args:
    levels: A sequence of (scores, boxes), (B, A, h, w) and (B, 4 * A, h, w), for each level.
    stream: A stream of the counter's device.

Raises:
    TypeError: Not a DeviceArray, or another dtype.
    ValueError: Another number of levels, shape, device or memory order.)";

constexpr const char* kReadDoc =
    R"(Return the counts of the last `enqueue` as a `MapCounts`.

Its work must be done: wait for it before.

Args:
    stream: The stream of that work; long lists of boxes are copied in it.

Raises:
    RuntimeError: Nothing was enqueued.
    ValueError: A score is not finite (NaN or infinity), or a side of a candidate is not; the
        message names the map, such as "levels[0].scores", and the image.)";

using Level = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::string,
                         std::string>;
using LevelMaps = std::vector<std::tuple<nb::object, nb::object>>;

/// What the arguments of `enqueue` must be for one level.
struct ExpectedLevel {
    ExpectedMap scores;
    ExpectedMap boxes;
};

/// A cuda::BoxCounter, with what its arguments are checked by.
struct DeviceBoxCounter {
    std::vector<ExpectedLevel> levels;
    std::size_t regions;
    int device;
    std::unique_ptr<cuda::BoxCounter, FreeUnlocked> counter;
    bool has_work = false;  // until then its results are those of nothing
};

std::string name_of(std::size_t level, const char* part) {
    return "levels[" + std::to_string(level) + "]." + part;
}

cuda::BoxLevelShape level_shape(const Level& level, std::size_t number) {
    const auto& [anchors, height, width, stride, scores, boxes] = level;
    const auto name = [number](const char* part) { return name_of(number, part); };
    cuda::BoxLevelShape shape;
    shape.anchors = as_size(name("anchors").c_str(), anchors);
    shape.height = as_size(name("height").c_str(), height, 0);
    shape.width = as_size(name("width").c_str(), width, 0);
    shape.stride = as_size(name("stride").c_str(), stride);
    shape.scores = as_scalar(name("scores_dtype").c_str(), scores);
    shape.boxes = as_scalar(name("boxes_dtype").c_str(), boxes);
    return shape;
}

ExpectedLevel expected_level(std::int64_t batch, const Level& level) {
    const auto& [anchors, height, width, stride, scores, boxes] = level;
    return {{true, {batch, anchors, height, width}, dtype_of_name("scores_dtype", scores)},
            {true, {batch, 4 * anchors, height, width}, dtype_of_name("boxes_dtype", boxes)}};
}

void make(DeviceBoxCounter* self, std::int64_t batch, const std::vector<Level>& levels,
          nb::handle masks, double threshold, double iou, std::int64_t capacity,
          std::optional<std::pair<float, float>> size, std::int64_t listed, int device) {
    cuda::BoxCounterOptions options;
    if (size) std::tie(options.count.width, options.count.height) = *size;
    options.count.threshold = static_cast<float>(threshold) + 0.0F;  // not -0
    options.count.iou = iou;
    options.count.capacity = as_size("capacity", capacity, 0);
    options.listed = as_size("listed", listed, 0);
    const std::size_t images = as_size("batch", batch, 0);
    std::vector<cuda::BoxLevelShape> shapes;
    std::vector<ExpectedLevel> expected;
    for (std::size_t i = 0; i < levels.size(); ++i) {
        shapes.push_back(level_shape(levels[i], i));
        expected.push_back(expected_level(batch, levels[i]));
    }
    AnyArray mask_array;
    Planes planes;
    if (!masks.is_none()) {
        mask_array = as_array("masks", masks);
        planes = as_planes("masks", mask_array, 3, "(R, h, w)");
        require_dtype<float>("masks", mask_array.dtype());
    }
    std::unique_ptr<cuda::BoxCounter, FreeUnlocked> counter;
    {
        const ReleasedGil unlocked;
        counter.reset(new cuda::BoxCounter(images, shapes, planes, options, device));
    }
    new (self)
        DeviceBoxCounter{std::move(expected), planes.count, device, std::move(counter)};
}

void enqueue(DeviceBoxCounter& self, const LevelMaps& levels, const HeldStream& stream) {
    require_device(stream, self.device);
    if (levels.size() != self.levels.size()) {
        throw std::invalid_argument("levels: expected " + std::to_string(self.levels.size()) +
                                    ", as the counter was made for, got " +
                                    std::to_string(levels.size()));
    }
    std::vector<cuda::DeviceLevel> planes;
    for (std::size_t i = 0; i < levels.size(); ++i) {
        const auto& [scores, boxes] = levels[i];
        planes.push_back({as_device_planes(name_of(i, "scores").c_str(), scores,
                                           self.levels[i].scores, self.device),
                          as_device_planes(name_of(i, "boxes").c_str(), boxes,
                                           self.levels[i].boxes, self.device)});
    }
    const ReleasedGil unlocked;
    self.has_work = false;
    self.counter->enqueue(planes, stream);
    self.has_work = true;
}

MapCounts read(DeviceBoxCounter& self, const HeldStream& stream) {
    require_device(stream, self.device);
    if (!self.has_work) {
        throw std::runtime_error("BoxCounter: expected a call of enqueue before, got none");
    }
    std::vector<ImageCount> images;
    {
        const ReleasedGil unlocked;
        images = self.counter->read(stream);
    }
    return rearrange(std::move(images), self.regions);
}

}  // namespace

void bind_box_counter(nb::module_& module) {
    nb::class_<DeviceBoxCounter>(module, "BoxCounter", kBoxCounterDoc)
        .def("__init__", &make, "batch"_a, "levels"_a, nb::kw_only(), "masks"_a = nb::none(),
             "threshold"_a = 0.4, "iou"_a = 0.5, "capacity"_a = 0, "size"_a = nb::none(),
             "listed"_a = 1024, "device"_a = 0)
        .def("enqueue", &enqueue, "levels"_a, "stream"_a, kEnqueueDoc)
        .def("read", &read, "stream"_a, kReadDoc);
}

}  // namespace edgecount
