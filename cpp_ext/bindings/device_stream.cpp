#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>

#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "arrays.h"
#include "bindings.h"
#include "device_array.h"
#include "edgecount/cuda/stream.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgecount {
namespace {

using cuda::Event;
using cuda::Graph;
using cuda::Stream;

using Unlocked = nb::call_guard<nb::gil_scoped_release>;

void make_stream(Stream* self, int device, std::optional<std::uintptr_t> handle, bool inner) {
    const nb::gil_scoped_release unlocked;
    if (handle) {
        new (self) Stream(device, reinterpret_cast<void*>(*handle));
    } else {
        new (self) Stream(device, inner);
    }
}

void require_equal(const AnyArray& host, const DeviceArray& array, const char* name) {
    if (host.dtype() != array.dtype) {
        throw nb::type_error((std::string(name) + ": expected dtype " + dtype_name(array.dtype) +
                              ", as on the device, got " + dtype_name(host.dtype()))
                                 .c_str());
    }
    const std::vector<std::int64_t> shape(host.shape_ptr(), host.shape_ptr() + host.ndim());
    if (shape != array.shape) {
        throw std::invalid_argument(std::string(name) + ": expected shape " + array.shape_name() +
                                    ", as on the device, got " + shape_name(host));
    }
    require_contiguous(name, host);
}

void upload(const Stream& stream, nb::handle target, nb::handle source) {
    const DeviceArray& to = as_device_array("target", target);
    require_device("target", to, stream.device());
    require_contiguous("target", to);
    require_writable("target", to);
    const AnyArray from = as_array("source", source);
    require_equal(from, to, "source");
    if (to.nbytes() == 0) return;
    const nb::gil_scoped_release unlocked;
    stream.upload(to.data, from.data(), to.nbytes());
}

void download(const Stream& stream, nb::handle source, nb::handle target) {
    const DeviceArray& from = as_device_array("source", source);
    require_device("source", from, stream.device());
    require_contiguous("source", from);
    const WritableArray to = as_writable_array("target", target);
    require_equal(AnyArray(to), from, "target");
    if (from.nbytes() == 0) return;
    const nb::gil_scoped_release unlocked;
    stream.download(to.data(), from.data, from.nbytes());
}

}  // namespace

void bind_device_stream(nb::module_& module) {
    nb::class_<Event>(module, "Event", "A point in a stream. Details: edgecount/_ext.pyi.")
        .def(nb::init<int, bool>(), "device"_a = 0, nb::kw_only(), "timing"_a = false, Unlocked())
        .def_prop_ro("done", &Event::done, Unlocked())
        .def("record", &Event::record, "stream"_a, Unlocked())
        .def("synchronize", &Event::synchronize, Unlocked())
        .def("elapsed_ms", &Event::elapsed_ms, "later"_a, Unlocked());

    nb::class_<Graph>(module, "Graph", "Recorded work. Details: edgecount/_ext.pyi.")
        .def("launch", &Graph::launch, "stream"_a, Unlocked());

    nb::class_<Stream>(module, "Stream", "A queue of work on a GPU. Details: edgecount/_ext.pyi.")
        .def("__init__", &make_stream, "device"_a = 0, nb::kw_only(), "handle"_a = nb::none(),
             "inner"_a = false)
        .def_prop_ro("handle",
                     [](const Stream& s) { return reinterpret_cast<std::uintptr_t>(s.handle()); })
        .def_prop_ro("device", &Stream::device)
        .def_prop_ro("idle", &Stream::idle, Unlocked())
        .def("__cuda_stream__",
             [](const Stream& s) {
                 return std::pair(0, reinterpret_cast<std::uintptr_t>(s.handle()));
             })
        .def("synchronize", &Stream::synchronize, Unlocked())
        .def("wait", &Stream::wait, "event"_a, Unlocked())
        .def("upload", &upload, "target"_a.none(), "source"_a.none())
        .def("download", &download, "source"_a.none(), "target"_a.none())
        .def("begin_capture", &Stream::begin_capture, Unlocked())
        .def("end_capture", &Stream::end_capture, Unlocked());
}

}  // namespace edgecount
