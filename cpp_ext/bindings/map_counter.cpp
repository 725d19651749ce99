#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "device_array.h"
#include "device_planes.h"
#include "edgecount/cuda/count_maps.h"
#include "gil.h"
#include "held_stream.h"
#include "map_counts.h"
#include "options.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgecount {
namespace {

constexpr const char* kMapCounterDoc =
    R"(`count_maps` on a GPU for batches of one shape: the same peaks and sums, bit for bit.

It holds its workspace and results, so it is for one stream at a time.

Args:
    batch: Images in a batch.
    heatmap: (height, width) of the heatmap in cells; None without one.
    density: (height, width) of the density in cells; None without one.
    offset: Whether there is an offset map.
    masks: (R, h, w) float32 as for `count_maps`, in host memory.
    heatmap_dtype: "float32" or "float16", also of the offset.
    density_dtype: "float32" or "float16".
    window: Side of the peak window in cells: 3, 5 or 7.
    threshold: Peaks are strictly above it; at least 0.
    capacity: Most peaks listed per image; 0 for all. The rest still counts.
    unit: Density value of one person; above 0.
    fuse_cell: Height of a fusion cell in density cells; 0 for no fusion.
    fuse_width: Its width in density cells; 0 for a square.
    fuse_low: People per fusion cell up to which the peaks alone count.
    fuse_high: People per fusion cell from which the density alone counts.
    keep_density: Whether the density comes back, too, see `density`.
    listed: Peaks per image that come back in one copy with the counts; more cost another.
    device: Number of the GPU.

Raises:
    TypeError: The masks are not a float32 array, or a dtype is another one.
    ValueError: A size or an option is wrong, or a mask is not in [0, 1], as for `count_maps`.)";

constexpr const char* kEnqueueDoc =
    R"(Put the counting of a batch into a stream.

The call waits for nothing, allocates nothing on the GPU, and can be captured. The arrays must stay
until the work is done. Rows and planes of the maps may lie apart.

Args:
    heatmap: (B, H, W) of `heatmap_dtype`; None if the counter was made without one.
    offset: (B, 2, H, W) of `heatmap_dtype`; None without one.
    density: (B, h, w) of `density_dtype`; None without one.
    stream: A stream of the counter's device.

Raises:
    TypeError: Not a DeviceArray, or another dtype.
    ValueError: Another shape, device or memory order, or a map that the counter was not made
        for.)";

constexpr const char* kReadDoc =
    R"(Return the counts of the last `enqueue` as a `MapCounts`.

Its work must be done: wait for it before.

Args:
    stream: The stream of that work; long lists of peaks are copied in it.

Raises:
    RuntimeError: Nothing was enqueued.
    ValueError: A map holds a non-finite value (NaN or infinity); the message names the map and the
        image.)";

constexpr const char* kDensityOfDoc =
    R"(Return a copy of one image's `density`, (h, w) float32; None unless it is kept.

Args:
    image: Number of the image in the batch.

Raises:
    IndexError: There is no such image in a batch.)";

using Size = std::optional<std::pair<std::int64_t, std::int64_t>>;

/// A cuda::MapCounter, with what its arguments are checked by.
struct DeviceMapCounter {
    ExpectedMap heatmap;
    ExpectedMap offset;
    ExpectedMap density;
    std::int64_t images;
    std::size_t regions;
    int device;
    std::unique_ptr<cuda::MapCounter, FreeUnlocked> counter;
    bool has_work = false;  // until then its results are those of nothing
};

void require_work(const DeviceMapCounter& self) {
    if (!self.has_work) {
        throw std::runtime_error("MapCounter: expected a call of enqueue before, got none");
    }
}

cuda::MapShape map_shape(const char* name, const Size& size, Scalar scalar) {
    cuda::MapShape shape;
    shape.scalar = scalar;
    if (!size) return shape;
    shape.present = true;
    shape.height = as_size(name, size->first, 0);
    shape.width = as_size(name, size->second, 0);
    return shape;
}

ExpectedMap expected_map(std::int64_t batch, const Size& size, bool offset,
                         const std::string& dtype) {
    ExpectedMap map;
    if (!size) return map;
    map.present = true;
    map.shape = {batch, size->first, size->second};
    if (offset) map.shape.insert(map.shape.begin() + 1, 2);
    map.dtype = dtype_of_name("dtype", dtype);
    return map;
}

void make(DeviceMapCounter* self, std::int64_t batch, const Size& heatmap, const Size& density,
          bool offset, nb::handle masks, const std::string& heatmap_dtype,
          const std::string& density_dtype, std::int64_t window, double threshold,
          std::int64_t capacity, double unit, std::int64_t fuse_cell, std::int64_t fuse_width,
          double fuse_low, double fuse_high, bool keep_density, std::int64_t listed, int device) {
    cuda::CounterOptions options;
    options.count = read_count_options(window, threshold, capacity, unit, fuse_cell, fuse_width,
                                       fuse_low, fuse_high);
    options.keep_density = keep_density;
    options.listed = as_size("listed", listed, 0);
    const std::size_t images = as_size("batch", batch, 0);
    const cuda::MapShape heat =
        map_shape("heatmap", heatmap, as_scalar("heatmap_dtype", heatmap_dtype));
    const cuda::MapShape dense =
        map_shape("density", density, as_scalar("density_dtype", density_dtype));
    if (offset && !heatmap) {
        throw std::invalid_argument("offset: expected a heatmap with it, got None");
    }

    AnyArray mask_array;
    Planes planes;
    if (!masks.is_none()) {
        mask_array = as_array("masks", masks);
        planes = as_planes("masks", mask_array, 3, "(R, H, W)");
        require_dtype<float>("masks", mask_array.dtype());
    }
    const Size offsets = offset ? heatmap : std::nullopt;
    std::unique_ptr<cuda::MapCounter, FreeUnlocked> counter;
    {
        const ReleasedGil unlocked;
        counter.reset(
            new cuda::MapCounter(images, heat, offset, dense, planes, options, device));
    }
    new (self) DeviceMapCounter{expected_map(batch, heatmap, false, heatmap_dtype),
                                expected_map(batch, offsets, true, heatmap_dtype),
                                expected_map(batch, density, false, density_dtype),
                                batch,
                                planes.count,
                                device,
                                std::move(counter)};
}

void enqueue(DeviceMapCounter& self, nb::handle heatmap, nb::handle offset, nb::handle density,
             const HeldStream& stream) {
    require_device(stream, self.device);
    const cuda::DevicePlanes heat = as_device_planes("heatmap", heatmap, self.heatmap, self.device);
    const cuda::DevicePlanes shift = as_device_planes("offset", offset, self.offset, self.device);
    const cuda::DevicePlanes dense =
        as_device_planes("density", density, self.density, self.device);
    const ReleasedGil unlocked;
    self.has_work = false;
    self.counter->enqueue(heat, shift, dense, stream);
    self.has_work = true;
}

MapCounts read(DeviceMapCounter& self, const HeldStream& stream) {
    require_device(stream, self.device);
    require_work(self);
    std::vector<ImageCount> images;
    {
        const ReleasedGil unlocked;
        images = self.counter->read(stream);
    }
    return rearrange(std::move(images), self.regions);
}

/// A copy of cells as an array that owns it.
nb::object as_numpy(const float* from, const std::vector<std::size_t>& shape) {
    std::size_t cells = 1;
    for (const std::size_t size : shape) cells *= size;
    std::unique_ptr<float[]> copy(new float[cells]);  // not filled with zeros first
    std::copy_n(from, cells, copy.get());
    float* data = copy.get();
    const nb::capsule owner(copy.release(),
                            [](void* values) noexcept { delete[] static_cast<float*>(values); });
    return nb::cast(nb::ndarray<nb::numpy, float>(data, shape.size(), shape.data(), owner));
}

nb::object density(const DeviceMapCounter& self) {
    const float* from = self.counter->density();
    if (from == nullptr) return nb::none();
    require_work(self);
    return as_numpy(from, {self.density.shape.begin(), self.density.shape.end()});
}

nb::object density_of(const DeviceMapCounter& self, std::int64_t image) {
    if (image < 0 || image >= self.images) {
        throw std::out_of_range("image: expected a number from 0 to " +
                                std::to_string(self.images - 1) + ", got " + std::to_string(image));
    }
    const float* from = self.counter->density();
    if (from == nullptr) return nb::none();
    require_work(self);
    const auto height = static_cast<std::size_t>(self.density.shape[1]);
    const auto width = static_cast<std::size_t>(self.density.shape[2]);
    return as_numpy(from + static_cast<std::size_t>(image) * height * width, {height, width});
}

}  // namespace

void bind_map_counter(nb::module_& module) {
    nb::class_<DeviceMapCounter>(module, "MapCounter", kMapCounterDoc)
        .def("__init__", &make, "batch"_a, "heatmap"_a.none(), "density"_a.none(), nb::kw_only(),
             "offset"_a = false, "masks"_a = nb::none(), "heatmap_dtype"_a = "float32",
             "density_dtype"_a = "float32", "window"_a = 3, "threshold"_a = 0.4, "capacity"_a = 0,
             "unit"_a = 1.0, "fuse_cell"_a = 0, "fuse_width"_a = 0, "fuse_low"_a = 0.0,
             "fuse_high"_a = 0.0, "keep_density"_a = false, "listed"_a = 1024, "device"_a = 0)
        .def("enqueue", &enqueue, "heatmap"_a.none(), "offset"_a.none(), "density"_a.none(),
             "stream"_a, kEnqueueDoc)
        .def("read", &read, "stream"_a, kReadDoc)
        .def_prop_ro("density", &density,
                     "(B, h, w) float32 people per cell, a copy; None unless it is kept.\n\n"
                     "The work of the last `enqueue` must be done.")
        .def("density_of", &density_of, "image"_a, kDensityOfDoc);
}

}  // namespace edgecount
