// Streams, events and graphs. See memory.h for contexts and errors.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

namespace edgecount::cuda {

class Event;
class Graph;

/// A queue of work on a device: one of its own, which does not wait for the legacy default stream,
/// or another library's.
class Stream {
public:
    /// `inner`: its work writes to no array that a caller could hand over.
    explicit Stream(int device, bool inner = false);
    /// Borrows a cudaStream_t, which must outlive this object.
    Stream(int device, void* handle);
    /// Waits for the work of a stream of its own.
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    void* handle() const { return handle_; }  ///< A cudaStream_t.
    int device() const { return device_; }
    bool borrowed() const { return !owned_; }  ///< Whether it is another library's.

    void synchronize() const;
    /// Waits for the work of a stream of its own, as freeing it does, and lets errors go.
    void finish() const noexcept;
    /// Whether all work is done.
    bool idle() const;
    /// What comes later in this stream waits for the event.
    void wait(const Event& event) const;
    /// What comes later in this stream waits for what is now in the others of its device: for a
    /// library that takes over memory of which it is not known which stream writes to it.
    /// `callers`: only for those that are not inner ones.
    void wait_for_all(bool callers = false) const;

    /// Bytes from the host to the device and back; without holding up the host if its memory is
    /// pinned, which then must stay until the work is done.
    void upload(void* device_to, const void* host_from, std::size_t bytes) const;
    void download(void* host_to, const void* device_from, std::size_t bytes) const;
    /// The same for rows that lie `pitch` bytes apart on the device, side by side on the host.
    void download_rows(void* host_to, const void* device_from, std::size_t pitch,
                       std::size_t row_bytes, std::size_t rows) const;

    /// Bytes from one place of the device to another.
    void copy(void* to, const void* from, std::size_t bytes) const;

    /// Work between the two is recorded and not done. What cannot be recorded makes end_capture
    /// throw.
    void begin_capture() const;
    Graph end_capture() const;

private:
    void* handle_ = nullptr;
    int device_ = 0;
    bool owned_ = false;
    bool inner_ = false;
};

/// A point in a stream.
class Event {
public:
    /// With `timing`, elapsed_ms can be asked for; without, waiting is cheaper.
    explicit Event(int device, bool timing = false);
    ~Event();
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    void* handle() const { return handle_; }  ///< A cudaEvent_t.
    int device() const { return device_; }

    void record(const Stream& stream);
    void synchronize() const;
    bool done() const;
    /// Milliseconds from this event to a later one, both of them done.
    float elapsed_ms(const Event& later) const;

private:
    void* handle_ = nullptr;
    int device_ = 0;
};

/// Recorded work, which a stream repeats at the cost of one launch. Launches are done one after the
/// other, also those in different streams.
class Graph {
public:
    ~Graph();
    Graph(Graph&& other) noexcept;
    Graph& operator=(Graph&&) = delete;
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;

    void launch(const Stream& stream) const;

private:
    friend class Stream;
    Graph(void* executable, int device);

    void* executable_ = nullptr;  // a cudaGraphExec_t
    int device_ = 0;
    std::unique_ptr<std::mutex> mutex_;  // CUDA takes launches of a graph from one thread at a time
};

}  // namespace edgecount::cuda
