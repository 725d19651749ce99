#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "bindings.h"
#include "device_array.h"
#include "edgecount/cuda/memory.h"
#include "gil.h"
#include "options.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgecount {
namespace {

constexpr const char* kDeviceBufferDoc =
    R"(A piece of GPU memory, freed with the last object that uses it.

Args:
    nbytes: Size in bytes, 1 or more.
    device: Number of the GPU.)";

constexpr const char* kDeviceBufferArrayDoc =
    R"(Return a C-contiguous array over a part of the buffer, which it keeps alive.

Args:
    shape: Sizes of its axes, 0 or more.
    dtype: "float32", "float16", "uint8", "int32", "int64" or "float64".
    offset: Bytes of the buffer before it.

Returns:
    A `DeviceArray`. Its memory is not initialised.

Raises:
    TypeError: Another dtype, or a shape that is no sequence of whole numbers.
    ValueError: It does not fit, or the offset is not a multiple of the item's size.)";

constexpr const char* kPinnedBufferDoc =
    R"(A piece of page-locked host memory: copies from and to it do not hold up the caller.

Freeing it waits for the work of all streams of its device.

Args:
    nbytes: Size in bytes, 1 or more.
    device: Number of the GPU that copies from and to it.)";

constexpr const char* kPinnedBufferArrayDoc =
    R"(Return a writable NumPy array over a part of the buffer, which it keeps alive.

Args:
    shape: Sizes of its axes, 0 or more.
    dtype: "float32", "float16", "uint8", "int32", "int64" or "float64".
    offset: Bytes of the buffer before it.

Raises:
    TypeError: Another dtype, or a shape that is no sequence of whole numbers.
    ValueError: It does not fit, or the offset is not a multiple of the item's size.)";

constexpr const char* kMemoryDeviceDoc =
    R"(Return the number of the GPU whose memory, or mapped host memory, an address is; else None.

Args:
    address: Any address.)";

constexpr const char* kPinnedBufferDeviceArrayDoc =
    R"(Return a C-contiguous array over a part of the buffer as the GPU sees it, without a copy.

The buffer stays alive with it. A GPU that shares the CPU's memory (see `shares_memory`) reads it
where it lies, but not by way of its cache: for kernels that read each value once. Other GPUs read
it over the bus.

Args:
    shape: Sizes of its axes, 0 or more.
    dtype: "float32", "float16", "uint8", "int32", "int64" or "float64".
    offset: Bytes of the buffer before it.

Returns:
    A `DeviceArray`. Values that the CPU writes are there for kernels that are enqueued later.

Raises:
    TypeError: Another dtype, or a shape that is no sequence of whole numbers.
    ValueError: It does not fit, or the offset is not a multiple of the item's size.)";

constexpr const char* kSharesMemoryDoc =
    R"(Return whether a GPU uses the CPU's memory and has none of its own, as on Jetson boards.

Args:
    device: Number of the GPU.)";

constexpr const char* kDeviceMemoryDoc =
    R"(Return the free and the total bytes of a GPU's memory.

Args:
    device: Number of the GPU.)";

/// Memory that Python objects share. To free it may wait for the device.
template <typename Memory>
struct Buffer {
    Memory memory;

    Buffer(std::int64_t nbytes, int device) {
        const std::size_t bytes = as_size("nbytes", nbytes);
        const ReleasedGil unlocked;
        memory = Memory(bytes, device);
    }
    ~Buffer() {
        const ReleasedGil unlocked;
        memory = Memory();
    }
};

using DeviceBuffer = Buffer<cuda::DeviceMemory>;
using PinnedBuffer = Buffer<cuda::PinnedMemory>;

/// A part of a buffer, as the arguments of `array` give it.
struct Part {
    void* data;
    std::vector<std::int64_t> shape;
    nb::dlpack::dtype dtype;
};

/// Whether there are at most so many items. Nothing overflows, whatever the shape.
bool fits(const std::vector<std::int64_t>& shape, std::size_t items) {
    std::size_t room = items;
    for (const std::int64_t size : shape) {
        if (size == 0) return true;
        room /= static_cast<std::size_t>(size);
    }
    return room != 0;
}

template <typename Memory>
Part part_of(const Memory& memory, nb::handle shape, const std::string& dtype,
             std::int64_t offset) {
    const std::size_t start = as_size("offset", offset, 0);
    Part part{static_cast<char*>(memory.data()) + start, as_shape("shape", shape),
              dtype_of_name("dtype", dtype)};
    const std::size_t itemsize = part.dtype.bits / 8;
    if (start % itemsize != 0) {
        throw std::invalid_argument("offset: expected a multiple of " + std::to_string(itemsize) +
                                    ", the size of a " + dtype + ", got " + std::to_string(offset));
    }
    if (start > memory.bytes() || !fits(part.shape, (memory.bytes() - start) / itemsize)) {
        throw std::invalid_argument("shape: expected an array that fits into " +
                                    std::to_string(memory.bytes()) + " bytes from byte " +
                                    std::to_string(start) + " on, got a larger one");
    }
    return part;
}

/// An array on the device over a part of a DeviceBuffer or PinnedBuffer.
template <typename BufferT>
DeviceArray device_part(nb::handle self, nb::handle shape, const std::string& dtype,
                        std::int64_t offset) {
    const auto& memory = nb::cast<const BufferT&>(self).memory;
    Part part = part_of(memory, shape, dtype, offset);
    DeviceArray array;
    array.data = part.data;
    array.dtype = part.dtype;
    array.strides = natural_strides(part.shape, part.dtype.bits / 8);
    array.shape = std::move(part.shape);
    array.device = memory.device();
    array.owner = nb::borrow(self);
    return array;
}

nb::object pinned_part(nb::handle self, nb::handle shape, const std::string& dtype,
                       std::int64_t offset) {
    const Part part = part_of(nb::cast<const PinnedBuffer&>(self).memory, shape, dtype, offset);
    const std::vector<std::size_t> sizes(part.shape.begin(), part.shape.end());
    return nb::cast(nb::ndarray<nb::numpy>(part.data, sizes.size(), sizes.data(), self, nullptr,
                                           part.dtype, nb::device::cpu::value));
}

std::pair<std::size_t, std::size_t> device_memory(int device) {
    const cuda::MemoryInfo memory = cuda::memory_info(device);
    return {memory.free, memory.total};
}

std::optional<int> memory_device(std::uintptr_t address) {
    const auto* pointer = reinterpret_cast<const void*>(address);
    // Of what a driver does not know without a context, that of the first GPU is asked.
    const int device = std::max(cuda::pointer_device(pointer), 0);
    const cuda::PointerInfo info = cuda::pointer_info(pointer, device);
    if (!info.on_device) return std::nullopt;
    return info.device;
}

}  // namespace

void bind_device_memory(nb::module_& module) {
    nb::class_<DeviceBuffer>(module, "DeviceBuffer", kDeviceBufferDoc)
        .def(nb::init<std::int64_t, int>(), "nbytes"_a, "device"_a = 0)
        .def_prop_ro(
            "ptr",
            [](const DeviceBuffer& buffer) {
                return reinterpret_cast<std::uintptr_t>(buffer.memory.data());
            },
            "Address, a multiple of 256.")
        .def_prop_ro(
            "nbytes", [](const DeviceBuffer& buffer) { return buffer.memory.bytes(); },
            "Size in bytes.")
        .def_prop_ro(
            "device", [](const DeviceBuffer& buffer) { return buffer.memory.device(); },
            "Number of the GPU.")
        .def("array", &device_part<DeviceBuffer>, "shape"_a, "dtype"_a, "offset"_a = 0,
             kDeviceBufferArrayDoc);

    nb::class_<PinnedBuffer>(module, "PinnedBuffer", kPinnedBufferDoc)
        .def(nb::init<std::int64_t, int>(), "nbytes"_a, "device"_a = 0)
        .def_prop_ro(
            "nbytes", [](const PinnedBuffer& buffer) { return buffer.memory.bytes(); },
            "Size in bytes.")
        .def("array", &pinned_part, "shape"_a, "dtype"_a, "offset"_a = 0, kPinnedBufferArrayDoc)
        .def("device_array", &device_part<PinnedBuffer>, "shape"_a, "dtype"_a, "offset"_a = 0,
             kPinnedBufferDeviceArrayDoc);

    module.def("memory_device", &memory_device, "address"_a,
               nb::call_guard<ReleasedGil>(), kMemoryDeviceDoc);
    module.def("device_memory", &device_memory, "device"_a = 0,
               nb::call_guard<ReleasedGil>(), kDeviceMemoryDoc);
    module.def("shares_memory", &cuda::shares_memory, "device"_a = 0,
               nb::call_guard<ReleasedGil>(), kSharesMemoryDoc);
}

}  // namespace edgecount
