#include "arrays.h"

#include <nanobind/stl/string.h>

#include <sstream>
#include <stdexcept>

namespace nb = nanobind;

namespace edgecount {
namespace {

// Places in maps and images are 32-bit numbers, of which one bit is to spare.
constexpr std::size_t kLongestSide = 0x7fffffff;

constexpr nb::dlpack::dtype kFloat16{static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float), 16,
                                     1};

/// What the kernels take for granted of any array.
template <typename Array>
void check_items(const char* name, const Array& array) {
    for (std::size_t axis = 0; axis < array.ndim(); ++axis) {
        if (array.shape(axis) > kLongestSide) {
            throw std::invalid_argument(std::string(name) + ": expected sides below 2^31, got " +
                                        std::to_string(array.shape(axis)));
        }
    }
    const std::size_t size = array.itemsize();
    if (size != 0 && reinterpret_cast<std::uintptr_t>(array.data()) % size != 0) {
        throw std::invalid_argument(
            std::string(name) + ": expected an aligned array, got " + dtype_name(array.dtype()) +
            " at an address that is no multiple of " + std::to_string(size) + "; use array.copy()");
    }
}

/// The addresses of an array's items: of the first byte, and of the one after the last.
struct Extent {
    std::uintptr_t begin;
    std::uintptr_t end;
};

Extent extent_of(const AnyArray& array) {
    const auto first = reinterpret_cast<std::uintptr_t>(array.data());
    Extent extent{first, first + array.itemsize()};
    for (std::size_t axis = 0; axis < array.ndim(); ++axis) {
        const auto steps = static_cast<std::int64_t>(array.shape(axis)) - 1;
        const auto bytes = steps * array.stride(axis) * static_cast<std::int64_t>(array.itemsize());
        (bytes < 0 ? extent.begin : extent.end) += static_cast<std::uintptr_t>(bytes);
    }
    return extent;
}

}  // namespace

void raise_type(const char* name, const char* expected, nb::handle got) {
    const auto type = nb::cast<std::string>(got.type().attr("__name__"));
    throw nb::type_error((std::string(name) + ": expected " + expected + ", got " + type).c_str());
}

/// Raises TypeError for what is no array, or one whose items the kernels cannot read.
[[noreturn]] void raise_no_array(const char* name, const char* expected, nb::handle got) {
    if (!nb::hasattr(got, "dtype")) raise_type(name, expected, got);
    const nb::object kind = got.attr("dtype");
    const std::string dtype = nb::str(kind).c_str();
    const auto type = nb::cast<std::string>(got.type().attr("__name__"));
    throw nb::type_error((std::string(name) + ": expected " + expected + ", got " + type + " of " +
                          dtype + "; another byte order, a field of records and a read-only array "
                                  "must be copied to a plain one")
                             .c_str());
}

AnyArray as_array(const char* name, nb::handle object) {
    AnyArray array;
    if (!nb::try_cast(object, array, false) || !array.is_valid()) {
        raise_no_array(name, "a NumPy array of numbers in CPU memory", object);
    }
    check_items(name, array);
    return array;
}

WritableArray as_writable_array(const char* name, nb::handle object) {
    WritableArray array;
    if (!nb::try_cast(object, array, false) || !array.is_valid()) {
        raise_no_array(name, "a writable NumPy array of numbers in CPU memory", object);
    }
    check_items(name, array);
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

void require_apart(const char* name, const AnyArray& array, const char* written_name,
                   const AnyArray& written) {
    if (array.size() == 0 || written.size() == 0) return;
    const Extent read = extent_of(array);
    const Extent write = extent_of(written);
    if (read.end <= write.begin || write.end <= read.begin) return;
    throw std::invalid_argument(std::string(written_name) + ": expected memory apart from that of " +
                                name + ", got an array that overlaps it");
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
