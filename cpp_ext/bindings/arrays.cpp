#include "arrays.h"

#include <nanobind/stl/string.h>

#include <sstream>
#include <stdexcept>

namespace nb = nanobind;

namespace edgecount {
namespace {

constexpr nb::dlpack::dtype kFloat16{static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float), 16,
                                     1};

}  // namespace

void raise_type(const char* name, const char* expected, nb::handle got) {
    const auto type = nb::cast<std::string>(got.type().attr("__name__"));
    throw nb::type_error((std::string(name) + ": expected " + expected + ", got " + type).c_str());
}

AnyArray as_array(const char* name, nb::handle object) {
    AnyArray array;
    if (!nb::try_cast(object, array, false) || !array.is_valid()) {
        raise_type(name, "a NumPy array of numbers in CPU memory", object);
    }
    return array;
}

WritableArray as_writable_array(const char* name, nb::handle object) {
    WritableArray array;
    if (!nb::try_cast(object, array, false) || !array.is_valid()) {
        raise_type(name, "a writable NumPy array of numbers in CPU memory", object);
    }
    return array;
}

std::string dtype_name(nb::dlpack::dtype dtype) {
    using Code = nb::dlpack::dtype_code;
    const char* kind = "unknown";
    switch (static_cast<Code>(dtype.code)) {
        case Code::Int: kind = "int"; break;
        case Code::UInt: kind = "uint"; break;
        case Code::Float: kind = "float"; break;
        case Code::Bfloat: kind = "bfloat"; break;
        case Code::Complex: kind = "complex"; break;
        case Code::Bool: return "bool";
        default: break;
    }
    return kind + std::to_string(dtype.bits);
}

std::string shape_name(const AnyArray& array) {
    std::ostringstream text;
    text << '(';
    for (std::size_t axis = 0; axis < array.ndim(); ++axis) {
        text << (axis == 0 ? "" : ", ") << array.shape(axis);
    }
    text << (array.ndim() == 1 ? ",)" : ")");
    return text.str();
}

void require_contiguous(const char* name, const AnyArray& array) {
    if (array.size() == 0) return;
    std::int64_t expected = 1;
    for (std::size_t axis = array.ndim(); axis-- > 0;) {
        if (array.shape(axis) != 1 && array.stride(axis) != expected) {
            throw std::invalid_argument(
                std::string(name) +
                ": expected a C-contiguous array, got strides with gaps or in "
                "another order; use numpy.ascontiguousarray");
        }
        expected *= static_cast<std::int64_t>(array.shape(axis));
    }
}

Planes as_planes(const char* name, const AnyArray& array, std::size_t ndim, const char* axes) {
    Planes planes;
    if (array.dtype() == nb::dtype<float>()) {
        planes.scalar = Scalar::float32;
    } else if (array.dtype() == kFloat16) {
        planes.scalar = Scalar::float16;
    } else {
        throw nb::type_error((std::string(name) + ": expected dtype float32 or float16, got " +
                              dtype_name(array.dtype()))
                                 .c_str());
    }
    if (array.ndim() != ndim) {
        throw std::invalid_argument(std::string(name) + ": expected shape " + axes + ", got " +
                                    shape_name(array));
    }
    require_contiguous(name, array);
    // An empty array may have no memory at all, and null means absent.
    static const float nothing = 0.0F;
    planes.data = array.size() != 0 ? array.data() : &nothing;
    planes.count = array.shape(0);
    if (ndim == 4) planes.count *= array.shape(1);
    planes.height = array.shape(ndim - 2);
    planes.width = array.shape(ndim - 1);
    return planes;
}

}  // namespace edgecount
