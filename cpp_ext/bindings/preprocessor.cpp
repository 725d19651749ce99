#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "arrays.h"
#include "bindings.h"
#include "device_array.h"
#include "edgecount/cuda/preprocess.h"
#include "edgecount/pixels.h"
#include "gil.h"
#include "held_stream.h"
#include "options.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgecount {
namespace {

constexpr const char* kPreprocessorDoc =
    R"(`preprocess` on a GPU for frames of one size: the same values, bit for bit.

May be used by several streams and threads at once.

Args:
    height: Height of the frame in pixels.
    width: Width of the frame in pixels.
    out_height: Height of the network input in pixels.
    out_width: Width of the network input in pixels.
    resized_height: Height of the image inside it, at most `out_height`.
    resized_width: Width of the image inside it, at most `out_width`.
    mean: One value per output channel, on the scale 0 to 255.
    scale: One factor per output channel.
    swap_rb: Whether output channel 0 is input channel 2 and the other way round: BGR to RGB.
    pad_value: Value of the padding, already normalised.
    pixels: What the bytes of frames are, see `preprocess`.
    dtype: "float32" or "float16", of the output; float16 is rounded to nearest even.
    device: Number of the GPU.

Raises:
    TypeError: `dtype` is another one.
    ValueError: A size or an option is wrong.)";

constexpr const char* kEnqueueDoc =
    R"(Put the preprocessing of one image into a stream. The call waits for nothing.

Args:
    image: uint8 (height, width, 3), (height, width, 4) or, of grey and of the luma of NV12,
        (height, width). Rows may lie apart, pixels may not.
    out: (3, out_height, out_width) of `dtype`, C-contiguous, overwritten.
    stream: A stream of the preprocessor's device.
    chroma: (height / 2, width) uint8: U and V of an NV12 image by turns; None for others.

Raises:
    TypeError: Not a DeviceArray, or another dtype.
    ValueError: Another shape, device or memory order.)";

/// A cuda::Preprocessor, with what its arguments are checked by.
struct DevicePreprocessor {
    std::int64_t height;
    std::int64_t width;
    std::int64_t out_height;
    std::int64_t out_width;
    Pixels pixels;
    nb::dlpack::dtype dtype;
    int device;
    std::unique_ptr<cuda::Preprocessor, FreeUnlocked> preprocessor;
};

void make(DevicePreprocessor* self, std::int64_t height, std::int64_t width,
          std::int64_t out_height, std::int64_t out_width, std::int64_t resized_height,
          std::int64_t resized_width, nb::handle mean, nb::handle scale, bool swap_rb,
          double pad_value, const std::string& pixels, const std::string& dtype, int device) {
    const std::size_t rows = as_size("height", height);
    const std::size_t columns = as_size("width", width);
    const PreprocessOptions options = read_preprocess_options(
        out_height, out_width, resized_height, resized_width, mean, scale, swap_rb, pad_value);
    const Pixels format = as_pixels("pixels", pixels);
    const Scalar scalar = as_scalar("dtype", dtype);
    const nb::dlpack::dtype out = dtype_of_name("dtype", dtype);
    std::unique_ptr<cuda::Preprocessor, FreeUnlocked> preprocessor;
    {
        const ReleasedGil unlocked;
        preprocessor.reset(
            new cuda::Preprocessor(rows, columns, format, options, scalar, device));
    }
    new (self) DevicePreprocessor{height, width, out_height, out_width, format,
                                  out,    device, std::move(preprocessor)};
}

/// One plane of an image: an address and the bytes from one row to the next.
struct Plane {
    const std::uint8_t* data;
    std::size_t row_stride;
};

Plane as_plane(const char* name, const DeviceArray& array, const std::vector<std::int64_t>& shape) {
    require_dtype(name, array, nb::dtype<std::uint8_t>());
    require_shape(name, array, shape);
    // A pixel is all axes but the first; an axis of one item may have any stride.
    const std::vector<std::int64_t> natural = natural_strides(shape, 1);
    bool pixels = shape[0] == 1 || array.strides[0] >= natural[0];
    for (std::size_t axis = 1; axis < shape.size(); ++axis) {
        pixels = pixels && (shape[axis] == 1 || array.strides[axis] == natural[axis]);
    }
    if (!pixels) {
        throw std::invalid_argument(
            std::string(name) +
            ": expected contiguous pixels in rows from top to bottom, got other strides");
    }
    const std::int64_t stride = shape[0] == 1 ? natural[0] : array.strides[0];
    return {static_cast<const std::uint8_t*>(array.data), static_cast<std::size_t>(stride)};
}

ImageView as_image(const DevicePreprocessor& self, nb::handle image, nb::handle chroma) {
    require_chroma(!chroma.is_none(), self.pixels);
    const DeviceArray& source = as_device_array("image", image);
    require_device("image", source, self.device);
    ImageView view;
    view.pixels = self.pixels;
    view.height = static_cast<std::size_t>(self.height);
    view.width = static_cast<std::size_t>(self.width);
    std::vector<std::int64_t> shape{self.height, self.width};
    if (is_nv12(self.pixels)) {
        const DeviceArray& colour = as_device_array("chroma", chroma);
        require_device("chroma", colour, self.device);
        const Plane plane = as_plane("chroma", colour, {self.height / 2, self.width});
        view.chroma = plane.data;
        view.chroma_stride = plane.row_stride;
    }
    const std::size_t channels = bytes_per_pixel(self.pixels);
    if (channels != 1) shape.push_back(static_cast<std::int64_t>(channels));
    const Plane plane = as_plane("image", source, shape);
    view.data = plane.data;
    view.row_stride = plane.row_stride;
    return view;
}

void enqueue(const DevicePreprocessor& self, nb::handle image, nb::handle out,
             const HeldStream& stream, nb::handle chroma) {
    require_device(stream, self.device);
    const ImageView view = as_image(self, image, chroma);
    const DeviceArray& target = as_device_array("out", out);
    require_device("out", target, self.device);
    require_dtype("out", target, self.dtype);
    require_shape("out", target, {3, self.out_height, self.out_width});
    require_contiguous("out", target);
    require_writable("out", target);
    const ReleasedGil unlocked;
    self.preprocessor->enqueue(view, target.data, stream);
}

}  // namespace

void bind_preprocessor(nb::module_& module) {
    nb::class_<DevicePreprocessor>(module, "Preprocessor", kPreprocessorDoc)
        .def("__init__", &make, "height"_a, "width"_a, "out_height"_a, "out_width"_a,
             "resized_height"_a, "resized_width"_a, "mean"_a, "scale"_a, "swap_rb"_a, "pad_value"_a,
             nb::kw_only(), "pixels"_a = "bgr", "dtype"_a = "float32", "device"_a = 0)
        .def("enqueue", &enqueue, "image"_a.none(), "out"_a.none(), "stream"_a, nb::kw_only(),
             "chroma"_a = nb::none(), kEnqueueDoc);
}

}  // namespace edgecount
