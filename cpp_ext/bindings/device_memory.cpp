#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "bindings.h"
#include "device_array.h"
#include "edgecount/cuda/memory.h"
#include "options.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgecount {
namespace {

/// Memory that Python objects share. To free it may wait for the device.
template <typename Memory>
struct Buffer {
    Memory memory;

    Buffer(std::int64_t nbytes, int device) {
        const std::size_t bytes = as_size("nbytes", nbytes);
        const nb::gil_scoped_release unlocked;
        memory = Memory(bytes, device);
    }
    ~Buffer() {
        const nb::gil_scoped_release unlocked;
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

DeviceArray device_part(nb::handle self, nb::handle shape, const std::string& dtype,
                        std::int64_t offset) {
    const auto& memory = nb::cast<const DeviceBuffer&>(self).memory;
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

}  // namespace

void bind_device_memory(nb::module_& module) {
    nb::class_<DeviceBuffer>(module, "DeviceBuffer",
                             "Bytes of GPU memory. Details: edgecount/_ext.pyi.")
        .def(nb::init<std::int64_t, int>(), "nbytes"_a, "device"_a = 0)
        .def_prop_ro("ptr",
                     [](const DeviceBuffer& buffer) {
                         return reinterpret_cast<std::uintptr_t>(buffer.memory.data());
                     })
        .def_prop_ro("nbytes", [](const DeviceBuffer& buffer) { return buffer.memory.bytes(); })
        .def_prop_ro("device", [](const DeviceBuffer& buffer) { return buffer.memory.device(); })
        .def("array", &device_part, "shape"_a, "dtype"_a, "offset"_a = 0);

    nb::class_<PinnedBuffer>(module, "PinnedBuffer",
                             "Page-locked bytes of the host. Details: edgecount/_ext.pyi.")
        .def(nb::init<std::int64_t, int>(), "nbytes"_a, "device"_a = 0)
        .def_prop_ro("nbytes", [](const PinnedBuffer& buffer) { return buffer.memory.bytes(); })
        .def("array", &pinned_part, "shape"_a, "dtype"_a, "offset"_a = 0);

    module.def("device_memory", &device_memory, "device"_a = 0,
               nb::call_guard<nb::gil_scoped_release>(), "Free and total bytes of a GPU.");
}

}  // namespace edgecount
