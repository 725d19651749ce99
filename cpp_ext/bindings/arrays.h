// Arrays that come from Python, and the checks they must pass.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "edgecount/maps.h"

namespace edgecount {

using AnyArray = nanobind::ndarray<nanobind::ro, nanobind::device::cpu>;
using WritableArray = nanobind::ndarray<nanobind::device::cpu>;

/// Raises TypeError: "name: expected ..., got <the object's type>".
[[noreturn]] void raise_type(const char* name, const char* expected, nanobind::handle got);

/// The array behind a Python object, with items where their type wants them and sides that the
/// kernels can count in. Raises TypeError naming the argument when there is none, else ValueError.
AnyArray as_array(const char* name, nanobind::handle object);
WritableArray as_writable_array(const char* name, nanobind::handle object);

/// "float32", "uint8", ... as NumPy would say it.
std::string dtype_name(nanobind::dlpack::dtype dtype);

/// "(2, 270, 480)".
std::string shape_name(const AnyArray& array);

/// Raises TypeError unless the dtype is `T`.
template <typename T>
void require_dtype(const char* name, nanobind::dlpack::dtype dtype) {
    if (dtype == nanobind::dtype<T>()) return;
    throw nanobind::type_error((std::string(name) + ": expected dtype " +
                                dtype_name(nanobind::dtype<T>()) + ", got " + dtype_name(dtype))
                                   .c_str());
}

/// Raises ValueError when one array lies in memory of the other, of which one is written to.
void require_apart(const char* name, const AnyArray& array, const char* written_name,
                   const AnyArray& written);

/// Raises ValueError unless the array is in C order without gaps.
void require_contiguous(const char* name, const AnyArray& array);

/// A C-contiguous float32 or float16 array of `ndim` axes, the last two of them rows and columns.
Planes as_planes(const char* name, const AnyArray& array, std::size_t ndim, const char* axes);

}  // namespace edgecount
