// Maps in device memory as counters take them.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <vector>

#include "edgecount/cuda/device_planes.h"

namespace edgecount {

/// What an argument of `enqueue` must be.
struct ExpectedMap {
    bool present = false;
    std::vector<std::int64_t> shape;
    nanobind::dlpack::dtype dtype{};
};

/// The planes of a DeviceArray, or none where none is expected. Raises TypeError or ValueError
/// naming the argument.
cuda::DevicePlanes as_device_planes(const char* name, nanobind::handle object,
                                    const ExpectedMap& expected, int device);

}  // namespace edgecount
