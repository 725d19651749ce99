#include "edgecount/cuda/stream.h"

#include <cuda_runtime_api.h>

#include <mutex>
#include <set>
#include <utility>

#include "check.h"
#include "context.h"
#include "edgecount/cuda/memory.h"

namespace edgecount::cuda {
namespace {

cudaStream_t stream_of(void* handle) { return static_cast<cudaStream_t>(handle); }
cudaEvent_t event_of(void* handle) { return static_cast<cudaEvent_t>(handle); }

/// As `check`, of a call on a stream; says what to do if it is another library's and was destroyed,
/// or is one of another device.
template <typename... Parts>
void check_on(const Stream& stream, cudaError_t status, const Parts&... what) {
    const bool gone =
        status == cudaErrorInvalidResourceHandle || status == cudaErrorContextIsDestroyed;
    if (gone && stream.borrowed()) {
        check(status, stream.device(), what...,
              ", which is another library's and is gone (keep what it belongs to for as long as "
              "the Stream that has its handle, as owner= does), or is one of another device than ",
              stream.device());
    }
    check(status, stream.device(), what...);
}

/// The answer of a query, which says "not ready" with an error code.
bool is_done(cudaError_t status, int device, const char* what) {
    if (status == cudaErrorNotReady) {
        cudaGetLastError();
        return false;
    }
    check(status, device, what);
    return true;
}

/// All streams there are. Never destroyed: streams may outlive static objects. Its mutex is taken
/// where CurrentDevice has refused forks, which may find it locked for ever.
struct Registry {
    std::mutex mutex;
    std::set<const Stream*> streams;
};

Registry& registry() {
    static auto& all = *new Registry;
    return all;
}

}  // namespace

Stream::Stream(int device, bool inner) : device_(device), owned_(true), inner_(inner) {
    const CurrentDevice current(device);
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), device, "create a stream");
    handle_ = stream;
    const std::lock_guard<std::mutex> lock(registry().mutex);
    registry().streams.insert(this);
}

Stream::Stream(int device, void* handle) : handle_(handle), device_(device) {
    const CurrentDevice current(device);
    const std::lock_guard<std::mutex> lock(registry().mutex);
    registry().streams.insert(this);
}

void Stream::finish() const noexcept {
    if (!owned_ || is_forked()) return;
    give_back(device_, [this] { return cudaStreamSynchronize(stream_of(handle_)); });
}

Stream::~Stream() {
    if (is_forked()) return;
    finish();  // a stream that was destroyed goes on, but nothing can wait for it any more
    {
        const std::lock_guard<std::mutex> lock(registry().mutex);
        registry().streams.erase(this);
    }
    if (owned_) give_back(device_, [this] { return cudaStreamDestroy(stream_of(handle_)); });
}

void Stream::synchronize() const {
    const CurrentDevice current(device_);
    check_on(*this, cudaStreamSynchronize(stream_of(handle_)), "finish the work of a stream");
}

bool Stream::idle() const {
    const CurrentDevice current(device_);
    const cudaError_t status = cudaStreamQuery(stream_of(handle_));
    if (status != cudaErrorNotReady) check_on(*this, status, "finish the work of a stream");
    return is_done(status, device_, "finish the work of a stream");
}

void Stream::wait(const Event& event) const {
    const CurrentDevice current(device_);
    check_on(*this, cudaStreamWaitEvent(stream_of(handle_), event_of(event.handle()), 0),
             "queue a wait for an event in a stream");
}

void Stream::wait_for_all(bool callers) const {
    const CurrentDevice current(device_);
    // No stream goes, and none of ours begins a capture, while the others are looked at.
    const std::lock_guard<std::mutex> lock(registry().mutex);
    Event event(device_);
    for (const Stream* stream : registry().streams) {
        if (stream->device_ != device_ || stream->handle_ == handle_) continue;
        if (callers && stream->inner_) continue;
        // What a capture records is not done, so there is nothing to wait for.
        cudaStreamCaptureStatus status{};
        const cudaError_t answer = cudaStreamIsCapturing(stream_of(stream->handle_), &status);
        if (answer != cudaSuccess && !stream->owned_) {
            // A default stream, while another library captures one that waits for it.
            cudaGetLastError();
            continue;
        }
        check(answer, device_, "ask whether a stream is captured");
        if (status != cudaStreamCaptureStatusNone) continue;
        event.record(*stream);
        wait(event);
    }
}

void Stream::upload(void* device_to, const void* host_from, std::size_t bytes) const {
    const CurrentDevice current(device_);
    check_on(*this,
             cudaMemcpyAsync(device_to, host_from, bytes, cudaMemcpyHostToDevice, stream_of(handle_)),
             "copy ", bytes, " bytes to the device in a stream");
}

void Stream::download(void* host_to, const void* device_from, std::size_t bytes) const {
    const CurrentDevice current(device_);
    check_on(*this,
             cudaMemcpyAsync(host_to, device_from, bytes, cudaMemcpyDeviceToHost, stream_of(handle_)),
             "copy ", bytes, " bytes from the device in a stream");
}

void Stream::copy(void* to, const void* from, std::size_t bytes) const {
    const CurrentDevice current(device_);
    check_on(*this,
             cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_of(handle_)),
             "copy ", bytes, " bytes on the device in a stream");
}

void Stream::download_rows(void* host_to, const void* device_from, std::size_t pitch,
                           std::size_t row_bytes, std::size_t rows) const {
    const CurrentDevice current(device_);
    check_on(*this,
             cudaMemcpy2DAsync(host_to, row_bytes, device_from, pitch, row_bytes, rows,
                               cudaMemcpyDeviceToHost, stream_of(handle_)),
             "copy ", rows, " rows of ", row_bytes, " bytes from the device in a stream");
}

void Stream::begin_capture() const {
    const CurrentDevice current(device_);
    const std::lock_guard<std::mutex> lock(registry().mutex);
    // Other threads may go on with what a capture forbids, such as taking memory.
    check_on(*this, cudaStreamBeginCapture(stream_of(handle_), cudaStreamCaptureModeThreadLocal),
             "begin to capture a stream");
}

Graph Stream::end_capture() const {
    const CurrentDevice current(device_);
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream_of(handle_), &graph), device_,
          "capture the work of a stream");
    cudaGraphExec_t executable = nullptr;
    const cudaError_t status = cudaGraphInstantiateWithFlags(&executable, graph, 0);
    cudaGraphDestroy(graph);
    check(status, device_, "make the captured work ready to launch");
    return Graph(executable, device_);
}

Event::Event(int device, bool timing) : device_(device) {
    const CurrentDevice current(device);
    cudaEvent_t event = nullptr;
    unsigned flags = timing ? cudaEventDefault : cudaEventDisableTiming;
    // Waiting keeps a core busy otherwise, of which boards have few.
    if (shares_memory(device)) flags |= cudaEventBlockingSync;
    check(cudaEventCreateWithFlags(&event, flags), device, "create an event");
    handle_ = event;
}

Event::~Event() {
    give_back(device_, [this] { return cudaEventDestroy(event_of(handle_)); });
}

void Event::record(const Stream& stream) {
    const CurrentDevice current(device_);
    const cudaError_t status = cudaEventRecord(event_of(handle_), stream_of(stream.handle()));
    if (stream.device() == device_) check_on(stream, status, "record an event in a stream");
    check(status, device_, "record an event in a stream of device ", stream.device());
}

void Event::synchronize() const {
    const CurrentDevice current(device_);
    check(cudaEventSynchronize(event_of(handle_)), device_, "wait for an event");
}

bool Event::done() const {
    const CurrentDevice current(device_);
    return is_done(cudaEventQuery(event_of(handle_)), device_, "wait for an event");
}

float Event::elapsed_ms(const Event& later) const {
    const CurrentDevice current(device_);
    float milliseconds = 0.0F;
    check(cudaEventElapsedTime(&milliseconds, event_of(handle_), event_of(later.handle_)), device_,
          "measure between two events, which must be recorded with timing=True, and done");
    return milliseconds;
}

Graph::Graph(void* executable, int device)
    : executable_(executable), device_(device), mutex_(std::make_unique<std::mutex>()) {}

Graph::~Graph() {
    if (executable_ == nullptr) return;
    give_back(device_,
              [this] { return cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(executable_)); });
}

Graph::Graph(Graph&& other) noexcept
    : executable_(std::exchange(other.executable_, nullptr)),
      device_(other.device_),
      mutex_(std::move(other.mutex_)) {}

void Graph::launch(const Stream& stream) const {
    const CurrentDevice current(device_);
    const std::lock_guard<std::mutex> lock(*mutex_);
    check_on(stream,
             cudaGraphLaunch(static_cast<cudaGraphExec_t>(executable_), stream_of(stream.handle())),
             "launch a graph in a stream");
}

}  // namespace edgecount::cuda
