#include "options.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "arrays.h"
#include "edgecount/pixels.h"

namespace nb = nanobind;

namespace edgecount {
namespace {

float as_finite(const char* name, double value) {
    const auto single = static_cast<float>(value);
    if (std::isfinite(single)) return single;
    throw std::invalid_argument(std::string(name) + ": expected finite float32 values, got " +
                                std::to_string(value));
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
        values[channel] = as_finite(name, value);
    }
}

/// Channels run from 0 to 255, and what comes of them must be finite.
void check_range(const PreprocessOptions& options) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
        const float mean = options.mean[channel];
        const float scale = options.scale[channel];
        if (std::isfinite((0.0F - mean) * scale) && std::isfinite((255.0F - mean) * scale)) continue;
        throw std::invalid_argument("mean, scale: expected values that keep (x - mean) * scale "
                                    "finite, got " +
                                    std::to_string(mean) + " and " + std::to_string(scale));
    }
}

}  // namespace

std::size_t as_size(const char* name, std::int64_t value, std::int64_t least) {
    if (value < least) {
        throw std::invalid_argument(std::string(name) + ": expected " + std::to_string(least) +
                                    " or more, got " + std::to_string(value));
    }
    return static_cast<std::size_t>(value);
}

Scalar as_scalar(const char* name, const std::string& dtype) {
    if (dtype == "float32") return Scalar::float32;
    if (dtype == "float16") return Scalar::float16;
    throw nb::type_error(
        (std::string(name) + ": expected float32 or float16, got " + dtype).c_str());
}

Pixels as_pixels(const char* name, const std::string& format) {
    std::string known;
    for (const NamedPixels& each : kPixelFormats) {
        if (format == each.name) return each.pixels;
        known += std::string(known.empty() ? "" : ", ") + each.name;
    }
    throw std::invalid_argument(std::string(name) + ": expected one of " + known + ", got " +
                                format);
}

void require_chroma(bool given, Pixels pixels) {
    if (given == is_nv12(pixels)) return;
    throw std::invalid_argument(
        std::string("chroma: expected ") +
        (given ? "None" : "the U and V of the image") + " for " + name_of(pixels) +
        " pixels, got " + (given ? "an array" : "None"));
}

PreprocessOptions read_preprocess_options(std::int64_t out_height, std::int64_t out_width,
                                          std::int64_t resized_height, std::int64_t resized_width,
                                          nb::handle mean, nb::handle scale, bool swap_rb,
                                          double pad_value) {
    PreprocessOptions options;
    options.out_height = as_size("out_height", out_height);
    options.out_width = as_size("out_width", out_width);
    options.resized_height = as_size("resized_height", resized_height);
    options.resized_width = as_size("resized_width", resized_width);
    options.swap_rb = swap_rb;
    options.pad_value = as_finite("pad_value", pad_value);
    read_channels("mean", mean, options.mean);
    read_channels("scale", scale, options.scale);
    check_range(options);
    return options;
}

CountOptions read_count_options(std::int64_t window, double threshold, std::int64_t capacity,
                                double unit, std::int64_t fuse_cell, std::int64_t fuse_width,
                                double fuse_low, double fuse_high) {
    CountOptions options;
    options.window = as_size("window", window, 0);
    options.threshold = static_cast<float>(threshold) + 0.0F;  // not -0, whose sign bit orders it
    options.capacity = as_size("capacity", capacity, 0);
    options.unit = unit;
    options.fuse_cell = as_size("fuse_cell", fuse_cell, 0);
    options.fuse_width = as_size("fuse_width", fuse_width, 0);
    options.fuse_low = fuse_low;
    options.fuse_high = fuse_high;
    return options;
}

}  // namespace edgecount
