#include "edgecount/preprocess.h"

#include <nanobind/nanobind.h>

#include <stdexcept>
#include <string>

#include "arrays.h"
#include "bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgecount {
namespace {

ImageView as_image(const AnyArray& array) {
    require_dtype<std::uint8_t>("image", array.dtype());
    if (array.ndim() != 3 || array.shape(2) != 3) {
        throw std::invalid_argument("image: expected shape (H, W, 3), got " + shape_name(array));
    }
    ImageView image;
    image.data = static_cast<const std::uint8_t*>(array.data());
    image.height = array.shape(0);
    image.width = array.shape(1);
    image.row_stride = 3 * image.width;
    if (array.size() == 0) return image;

    const bool pixels = array.stride(2) == 1 && (image.width == 1 || array.stride(1) == 3);
    const bool rows =
        image.height == 1 || array.stride(0) >= static_cast<std::int64_t>(image.row_stride);
    if (!pixels || !rows) {
        throw std::invalid_argument(
            "image: expected contiguous pixels in rows from top to bottom, got other strides; use "
            "numpy.ascontiguousarray");
    }
    if (image.height > 1) image.row_stride = static_cast<std::size_t>(array.stride(0));
    return image;
}

std::size_t as_size(const char* name, std::int64_t value) {
    if (value < 1) {
        throw std::invalid_argument(std::string(name) + ": expected 1 or more, got " +
                                    std::to_string(value));
    }
    return static_cast<std::size_t>(value);
}

void read_channels(const char* name, nb::handle object, float (&values)[3]) {
    const nb::object tuple = nb::steal(PySequence_Tuple(object.ptr()));
    if (!tuple.is_valid()) {
        PyErr_Clear();
        raise_type(name, "3 numbers", object);
    }
    if (nb::len(tuple) != 3) {
        throw std::invalid_argument(std::string(name) + ": expected 3 numbers, got " +
                                    std::to_string(nb::len(tuple)));
    }
    for (std::size_t channel = 0; channel < 3; ++channel) {
        const nb::object number = tuple[channel];
        const double value = PyFloat_AsDouble(number.ptr());
        if (PyErr_Occurred() != nullptr) {
            PyErr_Clear();
            raise_type(name, "3 numbers", number);
        }
        values[channel] = static_cast<float>(value);
    }
}

void preprocess_python(nb::handle image, nb::handle out, std::int64_t out_height,
                       std::int64_t out_width, std::int64_t resized_height,
                       std::int64_t resized_width, nb::handle mean, nb::handle scale, bool swap_rb,
                       double pad_value) {
    PreprocessOptions options;
    options.out_height = as_size("out_height", out_height);
    options.out_width = as_size("out_width", out_width);
    options.resized_height = as_size("resized_height", resized_height);
    options.resized_width = as_size("resized_width", resized_width);
    options.swap_rb = swap_rb;
    options.pad_value = static_cast<float>(pad_value);
    read_channels("mean", mean, options.mean);
    read_channels("scale", scale, options.scale);

    const AnyArray source = as_array("image", image);
    const ImageView view = as_image(source);
    const WritableArray target = as_writable_array("out", out);
    require_dtype<float>("out", target.dtype());
    if (target.ndim() != 3 || target.shape(0) != 3 || target.shape(1) != options.out_height ||
        target.shape(2) != options.out_width) {
        throw std::invalid_argument("out: expected shape (3, " + std::to_string(out_height) + ", " +
                                    std::to_string(out_width) + "), got " +
                                    shape_name(AnyArray(target)));
    }
    require_contiguous("out", AnyArray(target));

    nb::gil_scoped_release unlocked;
    preprocess(view, options, static_cast<float*>(target.data()));
}

}  // namespace

void bind_preprocess(nb::module_& module) {
    module.def("preprocess", &preprocess_python, "image"_a, "out"_a, "out_height"_a, "out_width"_a,
               "resized_height"_a, "resized_width"_a, "mean"_a, "scale"_a, "swap_rb"_a,
               "pad_value"_a,
               "Writes the network input of one image into `out`. The stub has the details.");
}

}  // namespace edgecount
