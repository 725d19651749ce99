// Arrays in GPU memory, as Python sees them.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "edgecount/cuda/stream.h"

namespace edgecount {

struct DeviceArray {
    void* data = nullptr;
    nanobind::dlpack::dtype dtype{};
    std::vector<std::int64_t> shape;
    std::vector<std::int64_t> strides;  ///< Bytes.
    int device = 0;
    bool writable = true;
    nanobind::object owner;  ///< Of the memory.

    std::size_t ndim() const { return shape.size(); }
    std::size_t itemsize() const { return dtype.bits / 8; }
    std::size_t nbytes() const;
    bool contiguous() const;
    std::string shape_name() const;
    std::string strides_name() const;
};

/// Of an array in C order without gaps.
std::vector<std::int64_t> natural_strides(const std::vector<std::int64_t>& shape,
                                          std::size_t itemsize);

/// The dtypes that device arrays have, by their names ("float32") or as NumPy shortens them
/// ("<f4"). They raise TypeError for another.
nanobind::dlpack::dtype dtype_of_name(const char* argument, const std::string& name);
nanobind::dlpack::dtype dtype_of_typestr(const char* argument, const std::string& typestr);

/// A shape as a Python sequence gives it. Raises TypeError or ValueError naming the argument.
std::vector<std::int64_t> as_shape(const char* name, nanobind::handle sequence);

/// The array behind a Python object. Raises TypeError for anything but a DeviceArray.
const DeviceArray& as_device_array(const char* name, nanobind::handle object);

/// These raise ValueError, or TypeError for a dtype, naming the argument.
void require_device(const char* name, const DeviceArray& array, int device);
void require_device(const cuda::Stream& stream, int device);
void require_dtype(const char* name, const DeviceArray& array, nanobind::dlpack::dtype dtype);
void require_shape(const char* name, const DeviceArray& array,
                   const std::vector<std::int64_t>& shape);
void require_contiguous(const char* name, const DeviceArray& array);
void require_writable(const char* name, const DeviceArray& array);

}  // namespace edgecount
