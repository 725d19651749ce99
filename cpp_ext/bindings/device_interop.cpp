#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "device_array.h"
#include "edgecount/cuda/current_device.h"
#include "edgecount/cuda/memory.h"
#include "edgecount/cuda/stream.h"
#include "gil.h"
#include "held_stream.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgecount {
namespace {

constexpr const char* kDeviceArrayDoc =
    R"(Return another library's array on the GPU as a `DeviceArray`, without a copy.

Work in `stream` then waits for what the other library has queued: DLPack is told the stream, the
stream that a __cuda_array_interface__ names is waited for, and the legacy default stream where a
library may mind neither: by DLPack always, by the interface if it names none. An array of ours
comes back as it is, and `stream` waits for what all of our streams have queued, except the `inner`
ones.

torch and CuPy queue that wait behind the stream which is current in the calling thread: call this
where that is the one in which the array is made.

Args:
    source: An object with __dlpack__ or __cuda_array_interface__ (CuPy, torch, Numba, PyCUDA).
    stream: The stream that will read or write the array, on its device.

Raises:
    TypeError: Neither __dlpack__ nor __cuda_array_interface__, a dtype that this module does not
        know, or a field of the interface that is of another type.
    ValueError: The array is in host memory, on another device than the stream, or in a CUDA context
        that is not the device's primary one (PyCUDA: use pycuda.autoprimaryctx); or a field of the
        interface is missing or makes no sense.)";

using cuda::Stream;

[[noreturn]] void reject_source(const std::string& expected_and_got) {
    throw std::invalid_argument("source: expected " + expected_and_got);
}

[[noreturn]] void reject_place(const Stream& stream, int device) {
    reject_source("memory of CUDA device " + std::to_string(stream.device()) +
                  ", as the stream's, got device " + std::to_string(device));
}

/// Raises ValueError unless kernels in the stream may use the memory.
void check_place(const DeviceArray& array, const Stream& stream) {
    if (array.nbytes() == 0) return;
    cuda::PointerInfo info;
    {
        const ReleasedGil unlocked;
        info = cuda::pointer_info(array.data, stream.device());
    }
    const std::string device = std::to_string(stream.device());
    if (!info.on_device) {
        reject_source("memory of a GPU, got host memory; upload it, see Stream.upload");
    }
    if (info.device != stream.device()) reject_place(stream, info.device);
    if (!info.primary) {
        reject_source("memory of the primary CUDA context of device " + device +
                      ", got that of another context; with PyCUDA import pycuda.autoprimaryctx, "
                      "not pycuda.autoinit");
    }
}

/// Raises ValueError where the address or a stride is not a whole number of items.
void check_items(const DeviceArray& array) {
    const auto itemsize = static_cast<std::int64_t>(array.itemsize());
    bool whole = reinterpret_cast<std::uintptr_t>(array.data) % array.itemsize() == 0;
    for (const std::int64_t stride : array.strides) whole = whole && stride % itemsize == 0;
    if (!whole) {
        reject_source("an address and strides in multiples of " + std::to_string(itemsize) +
                      " bytes, the size of an item, got others");
    }
}

/// The number of the device that the other library names.
int dlpack_device(nb::handle source) {
    const nb::object device = source.attr("__dlpack_device__")();
    if (!nb::isinstance<nb::tuple>(device) || nb::len(device) != 2) {
        raise_type("source", "__dlpack_device__() to give (type, number)", device);
    }
    const int type = nb::cast<int>(nb::object(nb::int_(device[0])));
    if (type != nb::device::cuda::value && type != nb::device::cuda_managed::value) {
        const bool host = type == nb::device::cpu::value || type == nb::device::cuda_host::value;
        reject_source("memory of a GPU, got " +
                      (host ? std::string("host memory; upload it, see Stream.upload")
                            : "DLPack device type " + std::to_string(type)));
    }
    return nb::cast<int>(nb::object(nb::int_(device[1])));
}

constexpr std::uintptr_t kLegacy = 1;  // the legacy default stream, as a handle

/// What comes later in a stream waits for what is now in another library's.
void wait_for(std::uintptr_t handle, const Stream& stream) {
    if (reinterpret_cast<void*>(handle) == stream.handle()) return;
    const ReleasedGil unlocked;
    const Stream producer(stream.device(), reinterpret_cast<void*>(handle));
    cuda::Event event(stream.device());
    event.record(producer);
    stream.wait(event);
}

/// The capsule of an array, or null where the library does not take such an argument.
nb::object ask_for_capsule(nb::handle source, nb::handle stream, nb::handle max_version) {
    try {
        if (max_version.is_none()) return source.attr("__dlpack__")("stream"_a = stream);
        return source.attr("__dlpack__")("stream"_a = stream, "max_version"_a = max_version);
    } catch (nb::python_error& error) {
        const bool refused = error.matches(PyExc_TypeError) && !max_version.is_none();
        if (!refused && !error.matches(PyExc_OverflowError)) throw;
    }
    return {};
}

/// The capsule, whose memory is ready for what comes later in the stream.
nb::object dlpack_capsule(nb::handle source, const Stream& stream) {
    const auto handle = reinterpret_cast<std::uintptr_t>(stream.handle());
    const nb::int_ consumer(handle == 0 ? kLegacy : handle);
    const nb::int_ legacy(kLegacy);
    // torch gives nothing of a device that is not current, and looks up its current stream there.
    const cuda::CurrentDevice current(stream.device());
    nb::object capsule = ask_for_capsule(source, consumer, nb::make_tuple(1, 1));
    // Those from before version 1 know no max_version.
    if (!capsule.is_valid()) capsule = ask_for_capsule(source, consumer, nb::none());
    // OpenCV keeps the number in an int, which a cudaStream_t overflows.
    if (!capsule.is_valid()) capsule = source.attr("__dlpack__")("stream"_a = legacy);
    // CV-CUDA and OpenCV make no stream wait for what they do in the legacy default stream, in
    // which they work unless told otherwise.
    wait_for(kLegacy, stream);
    return capsule;
}

/// The capsule, as above; a library whose array lies on another device may give none.
nb::object dlpack_capsule_here(nb::handle source, const Stream& stream) {
    const int device = dlpack_device(source);
    const bool elsewhere = device != stream.device();
    // Some libraries say 0 whatever the device is, see check_place.
    if (elsewhere && device != 0) reject_place(stream, device);
    try {
        return dlpack_capsule(source, stream);
    } catch (nb::python_error& error) {
        if (!elsewhere || !error.matches(PyExc_BufferError)) throw;
    }
    reject_place(stream, device);
}

DeviceArray from_dlpack(nb::handle source, const Stream& stream) {
    const nb::object capsule = dlpack_capsule_here(source, stream);
    auto* held = new nb::ndarray<nb::ro>;
    DeviceArray array;
    array.owner = nb::capsule(
        held, [](void* pointer) noexcept { delete static_cast<nb::ndarray<nb::ro>*>(pointer); });
    // A capsule that is marked read-only is refused as an array to write to.
    nb::ndarray<> writable;
    array.writable = nb::try_cast(capsule, writable, false);
    if (array.writable) {
        *held = nb::ndarray<nb::ro>(writable);
    } else if (!nb::try_cast(capsule, *held, false)) {
        raise_type("source", "a DLPack capsule that can be read", source);
    }
    array.data = const_cast<void*>(held->data());
    array.dtype = dtype_of_name("source", dtype_name(held->dtype()));
    array.device = stream.device();
    for (std::size_t axis = 0; axis < held->ndim(); ++axis) {
        array.shape.push_back(static_cast<std::int64_t>(held->shape(axis)));
        array.strides.push_back(held->stride(axis) * static_cast<std::int64_t>(array.itemsize()));
    }
    check_items(array);
    check_place(array, stream);
    return array;
}

std::string field_name(const char* key) {
    return std::string("source: __cuda_array_interface__['") + key + "']";
}

[[noreturn]] void raise_field(const char* key, const char* expected, nb::handle got) {
    const auto text = nb::cast<std::string>(nb::repr(got));
    throw nb::type_error((field_name(key) + ": expected " + expected + ", got " + text).c_str());
}

nb::object field(const nb::dict& interface, const char* key) {
    if (!interface.contains(key)) {
        throw std::invalid_argument(field_name(key) + ": expected a value, and it is missing");
    }
    return interface[key];
}

/// A field as a C++ value.
template <typename Value>
Value as_field(const char* key, const char* expected, nb::handle object) {
    Value value{};
    if (!nb::try_cast(object, value)) raise_field(key, expected, object);
    return value;
}

/// Makes the stream wait for one that a __cuda_array_interface__ names. Without a name nothing need
/// be waited for, but PyCUDA gives none for what it has queued in the default stream. Nor may the
/// name be 0, but that is how PyNvVideoCodec calls the default stream, nor -1, which CV-CUDA gives
/// for work in the default stream as well as for none.
void wait_for_named(nb::handle name, const Stream& stream) {
    constexpr const char* kExpected = "None, 1, 2 or a cudaStream_t";
    std::int64_t handle = 0;
    if (!name.is_none()) handle = as_field<std::int64_t>("stream", kExpected, name);
    if (handle < -1) raise_field("stream", kExpected, name);
    wait_for(handle <= 0 ? kLegacy : static_cast<std::uintptr_t>(handle), stream);
}

/// The address, and whether it may be written to.
std::pair<void*, bool> as_data(nb::handle data) {
    constexpr const char* kExpected = "(address, whether it is read-only)";
    if (!nb::isinstance<nb::tuple>(data) || nb::len(data) != 2) {
        raise_field("data", kExpected, data);
    }
    std::uintptr_t address = 0;
    if (!nb::try_cast(nb::object(data[0]), address)) raise_field("data", kExpected, data);
    const int read_only = PyObject_IsTrue(nb::object(data[1]).ptr());
    if (read_only < 0) throw nb::python_error();
    return {reinterpret_cast<void*>(address), read_only == 0};
}

std::vector<std::int64_t> as_strides(nb::handle strides, const DeviceArray& array) {
    using Strides = std::vector<std::int64_t>;
    if (strides.is_none()) return natural_strides(array.shape, array.itemsize());
    auto bytes = as_field<Strides>("strides", "None or a sequence of whole numbers", strides);
    if (bytes.size() != array.ndim()) {
        reject_source("as many strides as axes in __cuda_array_interface__, got " +
                      std::to_string(bytes.size()) + " for shape " + array.shape_name());
    }
    return bytes;
}

DeviceArray from_interface(nb::handle source, const nb::dict& interface, const Stream& stream) {
    DeviceArray array;
    array.owner = nb::borrow(source);
    array.device = stream.device();
    const nb::object shape = field(interface, "shape");
    as_field<std::vector<std::int64_t>>("shape", "a sequence of whole numbers", shape);
    array.shape = as_shape(field_name("shape").c_str(), shape);
    array.dtype = dtype_of_typestr(
        "source",
        as_field<std::string>("typestr", "a text such as '|u1'", field(interface, "typestr")));
    std::tie(array.data, array.writable) = as_data(field(interface, "data"));
    array.strides = as_strides(interface.get("strides", nb::none()), array);
    if (!nb::object(interface.get("mask", nb::none())).is_none()) {
        reject_source("an array without a mask, got one with a mask");
    }
    check_items(array);
    check_place(array, stream);
    wait_for_named(interface.get("stream", nb::none()), stream);
    return array;
}

/// Makes the stream wait for what may still be written to our array, as a frame in most cases:
/// engines write to none, and would make lanes wait for each other.
void take_own(const DeviceArray& array, const Stream& stream) {
    require_device("source", array, stream.device());
    const ReleasedGil unlocked;
    stream.wait_for_all(true);
}

nb::object device_array(nb::handle source, const HeldStream& stream) {
    if (nb::isinstance<DeviceArray>(source)) {
        take_own(nb::cast<const DeviceArray&>(source), stream);
        return nb::borrow(source);
    }
    if (nb::hasattr(source, "__dlpack__") && nb::hasattr(source, "__dlpack_device__")) {
        return nb::cast(from_dlpack(source, stream));
    }
    if (nb::hasattr(source, "__cuda_array_interface__")) {
        const nb::object interface = source.attr("__cuda_array_interface__");
        if (!nb::isinstance<nb::dict>(interface)) {
            raise_type("source", "__cuda_array_interface__ to be a dict", interface);
        }
        return nb::cast(from_interface(source, nb::cast<nb::dict>(interface), stream));
    }
    raise_type("source", "an array on the GPU with __dlpack__ or __cuda_array_interface__", source);
}

}  // namespace

void bind_device_interop(nb::module_& module) {
    module.def("device_array", &device_array, "source"_a.none(), "stream"_a, kDeviceArrayDoc);
}

}  // namespace edgecount
