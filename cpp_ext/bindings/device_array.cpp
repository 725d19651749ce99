#include "device_array.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <sstream>
#include <stdexcept>

#include "arrays.h"
#include "bindings.h"
#include "gil.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgecount {
namespace {

constexpr const char* kDeviceArrayDoc =
    R"(An array in GPU memory.

It owns no memory itself, and keeps alive what does. `DeviceBuffer.array` and `device_array` make
it.)";

constexpr const char* kInterfaceDoc =
    R"(Version 3 of the CUDA array interface.

It names no stream: wait for the one that writes the array before you read it.)";

constexpr const char* kDlpackDoc =
    R"(Return a DLPack capsule; the consumer's stream waits for the work in all of ours.

Args:
    stream: The consumer's stream: None or 1 for the legacy default stream, 2 for the default
        stream of the thread, another cudaStream_t, or -1 to wait for nothing.
    max_version: Newest DLPack version that the consumer takes; None: a version before 1.0.
    dl_device: Device that the consumer asks for; None: this one.
    copy: Whether the consumer asks for a copy.

Raises:
    ValueError: `stream` is 0 or below, and not -1.
    BufferError: Another device or a copy is asked for.)";

constexpr const char* kGetItemDoc =
    R"(Return a view, by whole numbers and by slices with a step of 1.

Args:
    key: A number or a slice, or a tuple of them for the first axes.

Raises:
    IndexError: A number is out of its axis, or there are more of them than axes.
    ValueError: A slice has another step.)";

std::string tuple_name(const std::vector<std::int64_t>& values) {
    std::ostringstream text;
    text << '(';
    for (std::size_t i = 0; i < values.size(); ++i) text << (i == 0 ? "" : ", ") << values[i];
    text << (values.size() == 1 ? ",)" : ")");
    return text.str();
}

nb::tuple as_tuple(const std::vector<std::int64_t>& values) {
    nb::list list;
    for (const std::int64_t value : values) list.append(value);
    return nb::tuple(list);
}

using Code = nb::dlpack::dtype_code;

constexpr nb::dlpack::dtype make_dtype(Code code, std::uint8_t bits) {
    return {static_cast<std::uint8_t>(code), bits, 1};
}

constexpr nb::dlpack::dtype kDtypes[] = {make_dtype(Code::Float, 32), make_dtype(Code::Float, 16),
                                         make_dtype(Code::UInt, 8),   make_dtype(Code::Int, 32),
                                         make_dtype(Code::Int, 64),   make_dtype(Code::Float, 64)};

std::string typestr_of(nb::dlpack::dtype dtype) {
    const auto code = static_cast<Code>(dtype.code);
    const char kind = code == Code::Float ? 'f' : code == Code::Int ? 'i' : 'u';
    return std::string{dtype.bits == 8 ? '|' : '<', kind} + std::to_string(dtype.bits / 8);
}

[[noreturn]] void reject_dtype(const char* argument, const std::string& text) {
    throw nb::type_error(
        (std::string(argument) +
         ": expected dtype float32, float16, uint8, int32, int64 or float64, got " + text)
            .c_str());
}

nb::dict cuda_array_interface(const DeviceArray& array) {
    nb::dict interface;
    interface["version"] = 3;
    interface["shape"] = as_tuple(array.shape);
    interface["typestr"] = typestr_of(array.dtype);
    // An empty array has no address there.
    const auto address = array.nbytes() == 0 ? 0 : reinterpret_cast<std::uintptr_t>(array.data);
    interface["data"] = nb::make_tuple(address, !array.writable);
    interface["strides"] = array.contiguous() ? nb::object(nb::none()) : as_tuple(array.strides);
    return interface;
}

/// Makes the consumer's stream wait for the work in ours, see the DLPack protocol of Python.
void hand_over(int device, std::optional<std::int64_t> consumer) {
    const std::int64_t stream = consumer.value_or(1);
    if (stream == -1) return;
    if (stream <= 0) {
        throw std::invalid_argument("stream: expected None, -1, 1, 2 or a cudaStream_t, got " +
                                    std::to_string(stream) + "; 1 is the legacy default stream");
    }
    const ReleasedGil unlocked;
    cuda::Stream(device, reinterpret_cast<void*>(stream)).wait_for_all();
}

template <typename... Options>
nb::object dlpack_exporter(nb::handle self, const DeviceArray& array) {
    std::vector<std::size_t> shape(array.shape.begin(), array.shape.end());
    std::vector<std::int64_t> strides = array.strides;
    for (std::int64_t& stride : strides) stride /= static_cast<std::int64_t>(array.itemsize());
    return nb::cast(nb::ndarray<nb::array_api, Options...>(array.data, shape.size(), shape.data(),
                                                           self, strides.data(), array.dtype,
                                                           nb::device::cuda::value, array.device));
}

nb::object dlpack(nb::handle self, std::optional<std::int64_t> stream, nb::handle max_version,
                  nb::handle dl_device, nb::handle copy) {
    const auto& array = nb::cast<const DeviceArray&>(self);
    const nb::object exporter =
        array.writable ? dlpack_exporter<>(self, array) : dlpack_exporter<nb::ro>(self, array);
    nb::object capsule = exporter.attr("__dlpack__")("max_version"_a = max_version,
                                                     "dl_device"_a = dl_device, "copy"_a = copy);
    hand_over(array.device, stream);
    return capsule;
}

/// Applies one part of a key to an axis of the array: an index removes it, a slice shortens it.
void index_axis(DeviceArray& array, std::size_t& axis, nb::handle key) {
    const std::int64_t size = array.shape[axis];
    Py_ssize_t start = 0;
    if (PySlice_Check(key.ptr())) {
        Py_ssize_t stop = 0;
        Py_ssize_t step = 1;
        if (PySlice_Unpack(key.ptr(), &start, &stop, &step) < 0) throw nb::python_error();
        if (step != 1) {
            throw std::invalid_argument("expected slices with a step of 1, got " +
                                        std::to_string(step));
        }
        array.shape[axis] = PySlice_AdjustIndices(size, &start, &stop, step);
        array.data = static_cast<char*>(array.data) + start * array.strides[axis];
        ++axis;
        return;
    }
    if (PyIndex_Check(key.ptr()) == 0) raise_type("key", "whole numbers and slices", key);
    start = PyNumber_AsSsize_t(key.ptr(), PyExc_IndexError);
    if (start == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
    if (start < -size || start >= size) {
        throw std::out_of_range("index " + std::to_string(start) + " is out of an axis of " +
                                std::to_string(size));
    }
    array.data =
        static_cast<char*>(array.data) + (start < 0 ? start + size : start) * array.strides[axis];
    array.shape.erase(array.shape.begin() + static_cast<std::ptrdiff_t>(axis));
    array.strides.erase(array.strides.begin() + static_cast<std::ptrdiff_t>(axis));
}

DeviceArray get_item(const DeviceArray& array, nb::handle key) {
    const nb::tuple parts =
        nb::isinstance<nb::tuple>(key) ? nb::borrow<nb::tuple>(key) : nb::make_tuple(key);
    if (parts.size() > array.ndim()) {
        throw std::out_of_range("expected at most " + std::to_string(array.ndim()) +
                                " indices, one for each axis, got " + std::to_string(parts.size()));
    }
    DeviceArray view = array;
    std::size_t axis = 0;
    for (nb::handle part : parts) index_axis(view, axis, part);
    return view;
}

std::string repr(const DeviceArray& array) {
    return "DeviceArray(shape=" + array.shape_name() + ", dtype=" + dtype_name(array.dtype) +
           ", device=" + std::to_string(array.device) + ")";
}

// The owner may be any object, also one that refers to the array.
int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (!nb::inst_ready(self)) return 0;
    Py_VISIT(nb::inst_ptr<DeviceArray>(self)->owner.ptr());
    return 0;
}

int clear(PyObject* self) {
    nb::inst_ptr<DeviceArray>(self)->owner.reset();
    return 0;
}

PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                       {Py_tp_clear, reinterpret_cast<void*>(clear)},
                       {0, nullptr}};

}  // namespace

std::size_t DeviceArray::nbytes() const {
    std::size_t bytes = itemsize();
    for (const std::int64_t size : shape) bytes *= static_cast<std::size_t>(size);
    return bytes;
}

bool DeviceArray::contiguous() const {
    if (nbytes() == 0) return true;
    auto expected = static_cast<std::int64_t>(itemsize());
    for (std::size_t axis = ndim(); axis-- > 0;) {
        if (shape[axis] != 1 && strides[axis] != expected) return false;
        expected *= shape[axis];
    }
    return true;
}

std::string DeviceArray::shape_name() const { return tuple_name(shape); }

std::string DeviceArray::strides_name() const { return tuple_name(strides); }

std::vector<std::int64_t> natural_strides(const std::vector<std::int64_t>& shape,
                                          std::size_t itemsize) {
    std::vector<std::int64_t> strides(shape.size());
    auto stride = static_cast<std::int64_t>(itemsize);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
        strides[axis] = stride;
        stride *= shape[axis];
    }
    return strides;
}

nb::dlpack::dtype dtype_of_name(const char* argument, const std::string& name) {
    for (const nb::dlpack::dtype dtype : kDtypes) {
        if (dtype_name(dtype) == name) return dtype;
    }
    reject_dtype(argument, name);
}

nb::dlpack::dtype dtype_of_typestr(const char* argument, const std::string& typestr) {
    std::string name = typestr;
    const bool ordered = !name.empty() && std::string("|<>=").find(name[0]) != std::string::npos;
    // A byte has no order, and NumPy writes '|'; jetson-utils writes '<'. '=' is the machine's.
    if (ordered && name.size() == 3 && name.back() == '1') name[0] = '|';
    if (ordered && name[0] == '=') name[0] = '<';
    for (const nb::dlpack::dtype dtype : kDtypes) {
        if (typestr_of(dtype) == name) return dtype;
    }
    reject_dtype(argument, typestr);
}

std::vector<std::int64_t> as_shape(const char* name, nb::handle sequence) {
    std::vector<std::int64_t> shape;
    if (!nb::try_cast(sequence, shape)) raise_type(name, "a sequence of whole numbers", sequence);
    for (const std::int64_t size : shape) {
        if (size < 0) {
            throw std::invalid_argument(std::string(name) + ": expected sizes of 0 or more, got " +
                                        tuple_name(shape));
        }
    }
    return shape;
}

const DeviceArray& as_device_array(const char* name, nb::handle object) {
    if (!nb::isinstance<DeviceArray>(object)) {
        raise_type(name, "a DeviceArray (device_array makes one of another library's)", object);
    }
    return nb::cast<const DeviceArray&>(object);
}

void require_device(const char* name, const DeviceArray& array, int device) {
    if (array.device == device) return;
    throw std::invalid_argument(std::string(name) + ": expected an array on CUDA device " +
                                std::to_string(device) + ", got one on device " +
                                std::to_string(array.device));
}

void require_device(const cuda::Stream& stream, int device) {
    if (stream.device() == device) return;
    throw std::invalid_argument("stream: expected one of CUDA device " + std::to_string(device) +
                                ", got one of device " + std::to_string(stream.device()));
}

void require_dtype(const char* name, const DeviceArray& array, nb::dlpack::dtype dtype) {
    if (array.dtype == dtype) return;
    throw nb::type_error((std::string(name) + ": expected dtype " + dtype_name(dtype) + ", got " +
                          dtype_name(array.dtype))
                             .c_str());
}

void require_shape(const char* name, const DeviceArray& array,
                   const std::vector<std::int64_t>& shape) {
    if (array.shape == shape) return;
    throw std::invalid_argument(std::string(name) + ": expected shape " + tuple_name(shape) +
                                ", got " + array.shape_name());
}

void require_contiguous(const char* name, const DeviceArray& array) {
    if (array.contiguous()) return;
    throw std::invalid_argument(std::string(name) +
                                ": expected a C-contiguous array, got strides " +
                                array.strides_name() + " for shape " + array.shape_name());
}

void require_writable(const char* name, const DeviceArray& array) {
    if (array.writable) return;
    throw std::invalid_argument(std::string(name) +
                                ": expected an array to write to, got a read-only one");
}

void bind_device_array(nb::module_& module) {
    nb::class_<DeviceArray>(module, "DeviceArray", nb::type_slots(slots), kDeviceArrayDoc)
        .def_prop_ro(
            "ptr", [](const DeviceArray& a) { return reinterpret_cast<std::uintptr_t>(a.data); },
            "Address of the first item.")
        .def_prop_ro(
            "shape", [](const DeviceArray& a) { return as_tuple(a.shape); }, "Sizes of the axes.")
        .def_prop_ro(
            "strides", [](const DeviceArray& a) { return as_tuple(a.strides); },
            "Bytes from one item to the next along each axis.")
        .def_prop_ro(
            "dtype", [](const DeviceArray& a) { return dtype_name(a.dtype); },
            "Name of the item type, such as \"float32\".")
        .def_prop_ro("nbytes", &DeviceArray::nbytes, "Bytes of all items.")
        .def_prop_ro(
            "device", [](const DeviceArray& a) { return a.device; }, "Number of the GPU.")
        .def_prop_ro("__cuda_array_interface__", &cuda_array_interface, kInterfaceDoc)
        .def(
            "__dlpack_device__",
            [](const DeviceArray& a) { return nb::make_tuple(nb::device::cuda::value, a.device); },
            "Return DLPack's number for CUDA, and that of the GPU.")
        .def("__dlpack__", &dlpack, nb::kw_only(), "stream"_a = nb::none(),
             "max_version"_a = nb::none(), "dl_device"_a = nb::none(), "copy"_a = nb::none(),
             kDlpackDoc)
        .def("__getitem__", &get_item, "key"_a.none(), kGetItemDoc)
        .def("__repr__", &repr);
}

}  // namespace edgecount
