// The one device: its memory, and its streams.
//
// Work is done as late as CUDA allows, when something waits for it: results that are read too early
// are then never there, and buffers that are given back too early are gone. Device memory is out of
// the host's reach, under AddressSanitizer, except while work is done.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "fiber.h"
#include "runtime_types.h"

namespace emulate {

using Work = std::function<void()>;

struct Allocation {
    std::size_t bytes = 0;
    cudaMemoryType type = cudaMemoryTypeUnregistered;
};

/// What one recording of an event stands for.
struct Moment {
    CUstream_st* stream = nullptr;
    bool done = false;
    bool captured = false;
    std::chrono::steady_clock::time_point time;
};

struct Capture {
    CUstream_st* origin = nullptr;
    cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
    std::thread::id thread;
    bool spoilt = false;
    std::vector<Work> work;
};

}  // namespace emulate

struct CUstream_st {
    std::deque<emulate::Work> queue;
    std::shared_ptr<emulate::Capture> capture;
};

struct CUevent_st {
    bool timing = true;
    std::shared_ptr<emulate::Moment> moment;
    std::shared_ptr<emulate::Capture> capture;  // that the event was recorded in
};

struct CUgraph_st {
    std::vector<emulate::Work> work;
};
struct CUgraphExec_st {
    std::vector<emulate::Work> work;
};

namespace emulate {

struct Device {
    std::recursive_mutex mutex;
    std::size_t total = std::size_t{8} << 30;  ///< Bytes; tests of "out of memory" lower it.
    std::size_t taken = 0;
    std::map<const char*, Allocation> memory;
    std::set<CUstream_st*> streams;
    std::set<CUevent_st*> events;
    std::vector<std::shared_ptr<Capture>> captures;
    CUstream_st legacy;
    std::uint64_t launches = 0;
    int busy = 0;
};

// Never destroyed: at exit other objects still give back what they hold.
inline Device& device() {
    static Device* const only = new Device;
    return *only;
}

/// Makes one call at a time of those of all host threads.
class Lock {
public:
    Lock() : lock_(device().mutex) {}

private:
    std::lock_guard<std::recursive_mutex> lock_;
};

inline thread_local cudaError_t last_error = cudaSuccess;

inline cudaError_t report(cudaError_t error) {
    if (error != cudaSuccess) last_error = error;
    return error;
}

/// The allocation that holds these bytes; null where there is none.
inline const Allocation* find(const void* address, std::size_t bytes = 1) {
    const auto* at = static_cast<const char*>(address);
    auto next = device().memory.upper_bound(at);
    if (next == device().memory.begin()) return nullptr;
    --next;
    const auto offset = static_cast<std::size_t>(at - next->first);
    const bool inside = offset <= next->second.bytes && bytes <= next->second.bytes - offset;
    return inside && (offset < next->second.bytes || bytes == 0) ? &next->second : nullptr;
}

inline bool on_device(const void* address) {
    const Allocation* allocation = find(address);
    return allocation != nullptr && allocation->type == cudaMemoryTypeDevice;
}

inline bool is_pinned(const void* address) {
    const Allocation* allocation = find(address);
    return allocation != nullptr && allocation->type == cudaMemoryTypeHost;
}

inline void reach([[maybe_unused]] bool open) {
#if defined(__SANITIZE_ADDRESS__)
    for (const auto& [address, allocation] : device().memory) {
        if (allocation.type != cudaMemoryTypeDevice) continue;
        if (open) ASAN_UNPOISON_MEMORY_REGION(address, allocation.bytes);
        if (!open) ASAN_POISON_MEMORY_REGION(address, allocation.bytes);
    }
#endif
}

/// Does work, with device memory in reach.
inline void perform(const Work& work) {
    if (device().busy++ == 0) reach(true);
    work();
    if (--device().busy == 0) reach(false);
}

/// Does the oldest work of a stream.
inline void advance(CUstream_st& stream) {
    const Work work = std::move(stream.queue.front());
    stream.queue.pop_front();
    perform(work);
}

inline void drain(CUstream_st& stream) {
    while (!stream.queue.empty()) advance(stream);
}

inline void finish(const Moment& moment) {
    while (!moment.done) advance(*moment.stream);
}

inline void drain_all() {
    drain(device().legacy);
    for (CUstream_st* stream : device().streams) drain(*stream);
}

/// The stream of a handle; null when it is none.
inline CUstream_st* stream_of(cudaStream_t handle) {
    // 0, cudaStreamLegacy and cudaStreamPerThread.
    if (reinterpret_cast<std::uintptr_t>(handle) <= 2) return &device().legacy;
    return device().streams.count(handle) != 0 ? handle : nullptr;
}

/// Puts work into a stream, or into what it captures.
inline cudaError_t enqueue(cudaStream_t handle, Work work) {
    CUstream_st* stream = stream_of(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->capture != nullptr) {
        stream->capture->work.push_back(std::move(work));
    } else {
        stream->queue.push_back(std::move(work));
    }
    return cudaSuccess;
}

/// How far this thread minds the captures of others, see cudaThreadExchangeStreamCaptureMode.
inline thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

/// What a capture does not allow: it spoils those that this thread must not disturb.
inline bool disturbs_capture() {
    if (thread_mode == cudaStreamCaptureModeRelaxed) return false;
    bool disturbed = false;
    for (const auto& capture : device().captures) {
        const bool own = capture->thread == std::this_thread::get_id();
        if (capture->mode == cudaStreamCaptureModeRelaxed) continue;
        if (capture->mode == cudaStreamCaptureModeThreadLocal && !own) continue;
        capture->spoilt = disturbed = true;
    }
    return disturbed;
}

}  // namespace emulate
