// Options of the kernels as Python gives them.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "edgecount/maps.h"
#include "edgecount/preprocess.h"

namespace edgecount {

/// Raises ValueError naming the argument unless the value is at least `least`.
std::size_t as_size(const char* name, std::int64_t value, std::int64_t least = 1);

/// "float32" or "float16". Raises TypeError naming the argument for another.
Scalar as_scalar(const char* name, const std::string& dtype);

/// The pixel format of a name such as "bgr" or "nv12_bt709". Raises ValueError naming the argument.
Pixels as_pixels(const char* name, const std::string& format);

/// Raises ValueError unless an argument "chroma" is there for NV12, and only for that.
void require_chroma(bool given, Pixels pixels);

PreprocessOptions read_preprocess_options(std::int64_t out_height, std::int64_t out_width,
                                          std::int64_t resized_height, std::int64_t resized_width,
                                          nanobind::handle mean, nanobind::handle scale,
                                          bool swap_rb, double pad_value);

CountOptions read_count_options(std::int64_t window, double threshold, std::int64_t capacity,
                                double unit, std::int64_t fuse_cell, std::int64_t fuse_width,
                                double fuse_low, double fuse_high);

}  // namespace edgecount
