// Two devices: their memory, and their streams.
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
    int gpu = 0;
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

struct CUctx_st {
    bool primary = false;
    int gpu = 0;
    bool active = false;  // a primary one that was retained
};

struct CUstream_st {
    int gpu = 0;
    std::deque<emulate::Work> queue;
    std::shared_ptr<emulate::Capture> capture;
};

struct CUevent_st {
    int gpu = 0;
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

constexpr int kGpus = 2;  // numbered 0 and 1

/// What each device has of its own.
struct Gpu {
    std::size_t total = std::size_t{8} << 30;  ///< Bytes; tests of "out of memory" lower it.
    std::size_t taken = 0;
    CUctx_st primary;
    CUstream_st legacy;
    int busy = 0;
};

/// All devices.
struct Device {
    Device() {
        for (int gpu = 0; gpu < kGpus; ++gpu) {
            gpus[gpu].primary = {true, gpu};
            gpus[gpu].legacy.gpu = gpu;
        }
    }

    std::recursive_mutex mutex;
    Gpu gpus[kGpus];
    std::map<const char*, Allocation> memory;
    std::set<CUstream_st*> streams;
    std::vector<CUstream_st*> leaving;  ///< Streams that were destroyed, perhaps with work to do.
    std::set<CUevent_st*> events;
    std::vector<std::shared_ptr<Capture>> captures;
    std::uint64_t launches = 0;
};

// Never destroyed: at exit other objects still give back what they hold.
inline Device& device() {
    static Device* const only = new Device;
    return *only;
}

inline Gpu& gpu(int number) { return device().gpus[number]; }

/// The contexts that this thread has pushed. The runtime works on the device of the last one.
inline thread_local std::vector<CUctx_st*> contexts;

inline int current_gpu() { return contexts.empty() ? 0 : contexts.back()->gpu; }

inline bool is_gpu(int number) { return 0 <= number && number < kGpus; }

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

/// Memory of the other device stays out of reach: our kernels use none, and it may have no way
/// there.
inline void reach([[maybe_unused]] int number, [[maybe_unused]] bool open) {
#if defined(__SANITIZE_ADDRESS__)
    for (const auto& [address, allocation] : device().memory) {
        if (allocation.type != cudaMemoryTypeDevice || allocation.gpu != number) continue;
        if (open) ASAN_UNPOISON_MEMORY_REGION(address, allocation.bytes);
        if (!open) ASAN_POISON_MEMORY_REGION(address, allocation.bytes);
    }
#endif
}

/// Does work of a device, with its memory in reach.
inline void perform(int number, const Work& work) {
    if (gpu(number).busy++ == 0) reach(number, true);
    work();
    if (--gpu(number).busy == 0) reach(number, false);
}

/// Does the oldest work of a stream.
inline void advance(CUstream_st& stream) {
    const Work work = std::move(stream.queue.front());
    stream.queue.pop_front();
    perform(stream.gpu, work);
}

inline void drain(CUstream_st& stream) {
    while (!stream.queue.empty()) advance(stream);
}

inline void finish(const Moment& moment) {
    while (!moment.done) advance(*moment.stream);
}

inline void drain_all() {
    for (Gpu& each : device().gpus) drain(each.legacy);
    for (CUstream_st* stream : device().streams) drain(*stream);
    for (CUstream_st* stream : device().leaving) drain(*stream);
    for (CUstream_st* stream : device().leaving) delete stream;
    device().leaving.clear();
}

/// The stream of a handle; null when it is none.
inline CUstream_st* stream_of(cudaStream_t handle) {
    // 0, cudaStreamLegacy and cudaStreamPerThread.
    if (reinterpret_cast<std::uintptr_t>(handle) <= 2) return &gpu(current_gpu()).legacy;
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
