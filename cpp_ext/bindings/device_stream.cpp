#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>

#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "arrays.h"
#include "bindings.h"
#include "device_array.h"
#include "edgecount/cuda/stream.h"
#include "gil.h"
#include "held_stream.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgecount {
namespace {

constexpr const char* kEventDoc =
    R"(A point in the work of a stream, which others can wait for.

Args:
    device: Number of the GPU.
    timing: Whether it also keeps the time, for `elapsed_ms`.)";

constexpr const char* kEventRecordDoc =
    R"(Mark the point behind all work that the stream has got so far.

Args:
    stream: A stream of the event's device.)";

constexpr const char* kElapsedDoc =
    R"(Return the milliseconds from this event to a later one.

Both need `timing` and must be done.

Args:
    later: An event that was recorded after this one.)";

constexpr const char* kGraphDoc =
    R"(Recorded work, repeated at the cost of one launch.

`Stream.end_capture` makes it. It reads and writes the arrays that were used while it was recorded,
and keeps none of them alive.)";

constexpr const char* kLaunchDoc =
    R"(Put the recorded work into a stream once more, without waiting for it.

Args:
    stream: A stream of the graph's device.)";

constexpr const char* kStreamDoc =
    R"(A queue of work on a GPU, done in the order in which it was put in.

A new stream that is freed waits for its work.

Args:
    device: Number of the GPU.
    handle: Another library's stream, by __cuda_stream__ (a torch.cuda.Stream) or as the number of
        its cudaStream_t, which must outlive this object; None: a new stream, which does not wait
        for the legacy default stream.
    owner: What keeps the stream of a number alive, kept as long as this object. An object with
        __cuda_stream__ is kept in any case.
    inner: Whether the work of a new stream writes to no array that a caller could pass to
        `device_array`, as the work of an engine: `device_array` of an array of ours does not wait
        for it.)";

constexpr const char* kWaitDoc =
    R"(Let the work that comes later in this stream wait for an event. The caller does not wait.

Args:
    event: An event that was recorded in this or another stream.)";

constexpr const char* kUploadDoc =
    R"(Copy a C-contiguous array to the device, in this stream.

The source must stay as it is until the work is done. The call does not wait if it lies in a
`PinnedBuffer`; from other memory the copy may be done when it returns.

Args:
    target: The C-contiguous array on the stream's device.
    source: A NumPy array of the same dtype and shape.

Raises:
    TypeError: Not such arrays, or dtypes that differ.
    ValueError: Shapes that differ, a gap or another order, another device than the stream's, or a
        read-only target.)";

constexpr const char* kDownloadDoc =
    R"(Copy an array on the device to the host, in this stream.

The call does not wait if `target` lies in a `PinnedBuffer`, which holds the values when the work is
done.

Args:
    source: The array on the stream's device. It is C-contiguous, but for its rows, along the first
        axis: these may lie apart, and go in one copy as well.
    target: A writable C-contiguous NumPy array of the same dtype and shape.

Raises:
    TypeError: Not such arrays, dtypes that differ, or a read-only target.
    ValueError: Shapes that differ, a gap or another order, or another device than the stream's.)";

constexpr const char* kCopyDoc =
    R"(Copy a C-contiguous array to another one on the device, in this stream, without waiting.

Args:
    target: The C-contiguous array to write to.
    source: An array of the same dtype and shape.

Raises:
    TypeError: Not such arrays, or dtypes that differ.
    ValueError: Shapes that differ, a gap or another order, another device than the stream's, or a
        read-only target.)";

constexpr const char* kEndCaptureDoc =
    R"(End the recording and return the recorded work as a `Graph`.

Raises:
    RuntimeError: Some of the work cannot be recorded.)";

using cuda::Event;
using cuda::Graph;
using Stream = HeldStream;

using Unlocked = nb::call_guard<ReleasedGil>;

/// The cudaStream_t of a number, or of an object that follows the CUDA stream protocol.
std::uintptr_t stream_handle(nb::handle stream) {
    std::uintptr_t handle = 0;
    if (nb::try_cast(stream, handle)) return handle;
    if (!nb::hasattr(stream, "__cuda_stream__")) {
        raise_type("handle", "None, the number of a cudaStream_t or an object with __cuda_stream__",
                   stream);
    }
    const nb::object answer = stream.attr("__cuda_stream__")();
    std::pair<int, std::uintptr_t> version_and_handle;
    if (!nb::try_cast(answer, version_and_handle)) {
        raise_type("handle", "__cuda_stream__() to give (version, handle)", answer);
    }
    if (version_and_handle.first != 0) {
        throw std::invalid_argument("handle: expected version 0 of the CUDA stream protocol, got " +
                                    std::to_string(version_and_handle.first));
    }
    return version_and_handle.second;
}

void make_stream(Stream* self, int device, nb::handle stream, nb::handle /* kept by the binding */,
                 bool inner) {
    std::optional<std::uintptr_t> handle;
    if (!stream.is_none()) handle = stream_handle(stream);
    if (handle && inner) {
        throw std::invalid_argument("inner: expected False for another library's stream, got True");
    }
    const ReleasedGil unlocked;
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
    const ReleasedGil unlocked;
    stream.upload(to.data, from.data(), to.nbytes());
}

/// Whether the rows of an array follow each other with gaps, and have none themselves.
bool has_rows_apart(const DeviceArray& array) {
    if (array.ndim() < 2 || array.contiguous()) return false;
    DeviceArray row = array;
    row.shape.erase(row.shape.begin());
    row.strides.erase(row.strides.begin());
    return row.contiguous() && array.strides[0] > static_cast<std::int64_t>(row.nbytes());
}

void download(const Stream& stream, nb::handle source, nb::handle target) {
    const DeviceArray& from = as_device_array("source", source);
    require_device("source", from, stream.device());
    const bool rows_apart = has_rows_apart(from);
    if (!rows_apart) require_contiguous("source", from);
    const WritableArray to = as_writable_array("target", target);
    require_equal(AnyArray(to), from, "target");
    if (from.nbytes() == 0) return;
    const ReleasedGil unlocked;
    if (rows_apart) {
        const auto rows = static_cast<std::size_t>(from.shape[0]);
        stream.download_rows(to.data(), from.data, static_cast<std::size_t>(from.strides[0]),
                             from.nbytes() / rows, rows);
        return;
    }
    stream.download(to.data(), from.data, from.nbytes());
}

void copy(const Stream& stream, nb::handle target, nb::handle source) {
    const DeviceArray& to = as_device_array("target", target);
    const DeviceArray& from = as_device_array("source", source);
    require_device("target", to, stream.device());
    require_device("source", from, stream.device());
    require_dtype("source", from, to.dtype);
    require_shape("source", from, to.shape);
    require_contiguous("target", to);
    require_contiguous("source", from);
    require_writable("target", to);
    if (to.nbytes() == 0) return;
    const ReleasedGil unlocked;
    stream.copy(to.data, from.data, to.nbytes());
}

}  // namespace

void bind_device_stream(nb::module_& module) {
    nb::class_<Event>(module, "Event", kEventDoc)
        .def(nb::init<int, bool>(), "device"_a = 0, nb::kw_only(), "timing"_a = false, Unlocked())
        .def_prop_ro("done", &Event::done, Unlocked(), "Whether the work before it is done.")
        .def(
            "record", [](Event& event, const Stream& stream) { event.record(stream); }, "stream"_a,
            Unlocked(), kEventRecordDoc)
        .def("synchronize", &Event::synchronize, Unlocked(),
             "Wait until the work before it is done.")
        .def("elapsed_ms", &Event::elapsed_ms, "later"_a, Unlocked(), kElapsedDoc);

    nb::class_<Graph>(module, "Graph", kGraphDoc)
        .def(
            "launch", [](const Graph& graph, const Stream& stream) { graph.launch(stream); },
            "stream"_a, Unlocked(), kLaunchDoc);

    nb::class_<Stream>(module, "Stream", kStreamDoc)
        .def("__init__", &make_stream, nb::keep_alive<1, 3>(), nb::keep_alive<1, 4>(),
             "device"_a = 0, nb::kw_only(), "handle"_a = nb::none(), "owner"_a = nb::none(),
             "inner"_a = false)
        .def_prop_ro(
            "handle", [](const Stream& s) { return reinterpret_cast<std::uintptr_t>(s.handle()); },
            "The cudaStream_t as a number.")
        .def_prop_ro("device", &Stream::device, "Number of the GPU.")
        .def_prop_ro("idle", &Stream::idle, Unlocked(), "Whether all its work is done.")
        .def(
            "__cuda_stream__",
            [](const Stream& s) {
                return std::pair(0, reinterpret_cast<std::uintptr_t>(s.handle()));
            },
            "Return the version of the CUDA stream protocol, 0, and the handle.")
        .def("synchronize", &Stream::synchronize, Unlocked(), "Wait until all its work is done.")
        .def("wait", &Stream::wait, "event"_a, Unlocked(), kWaitDoc)
        .def("upload", &upload, "target"_a.none(), "source"_a.none(), kUploadDoc)
        .def("download", &download, "source"_a.none(), "target"_a.none(), kDownloadDoc)
        .def("copy", &copy, "target"_a.none(), "source"_a.none(), kCopyDoc)
        .def("begin_capture", &Stream::begin_capture, Unlocked(),
             "Record the work that this stream gets from now on, instead of doing it.")
        .def("end_capture", &Stream::end_capture, Unlocked(), kEndCaptureDoc);
}

}  // namespace edgecount
