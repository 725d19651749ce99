// CUDA's runtime on the memory and the threads of the host; see device_state.h for what it is
// strict about.
#pragma once

#include <algorithm>
#include <utility>

#include "device_state.h"

// Errors and devices.

inline cudaError_t cudaGetLastError() { return std::exchange(emulate::last_error, cudaSuccess); }
inline cudaError_t cudaPeekAtLastError() { return emulate::last_error; }

inline const char* cudaGetErrorName(cudaError_t error) {
    switch (error) {
        case cudaSuccess: return "cudaSuccess";
        case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
        case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
        case cudaErrorInitializationError: return "cudaErrorInitializationError";
        case cudaErrorCudartUnloading: return "cudaErrorCudartUnloading";
        case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
        case cudaErrorInvalidMemcpyDirection: return "cudaErrorInvalidMemcpyDirection";
        case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
        case cudaErrorNoDevice: return "cudaErrorNoDevice";
        case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
        case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
        case cudaErrorNotReady: return "cudaErrorNotReady";
        case cudaErrorContextIsDestroyed: return "cudaErrorContextIsDestroyed";
        case cudaErrorNotPermitted: return "cudaErrorNotPermitted";
        case cudaErrorNotSupported: return "cudaErrorNotSupported";
        case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
        case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
        case cudaErrorStreamCaptureUnmatched: return "cudaErrorStreamCaptureUnmatched";
        case cudaErrorStreamCaptureImplicit: return "cudaErrorStreamCaptureImplicit";
        case cudaErrorCapturedEvent: return "cudaErrorCapturedEvent";
        case cudaErrorStreamCaptureWrongThread: return "cudaErrorStreamCaptureWrongThread";
    }
    return "unrecognized error code";
}
inline const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "out of memory" : "emulated error";
}

inline cudaError_t cudaGetDeviceCount(int* count) {
    *count = emulate::kGpus;
    return cudaSuccess;
}
inline cudaError_t cudaGetDevice(int* number) {
    *number = emulate::current_gpu();
    return cudaSuccess;
}
/// In place of the context on top, as CUDA does.
inline cudaError_t cudaSetDevice(int number) {
    if (!emulate::is_gpu(number)) return emulate::report(cudaErrorInvalidDevice);
    if (!emulate::contexts.empty()) emulate::contexts.pop_back();
    emulate::contexts.push_back(&emulate::gpu(number).primary);
    return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int number) {
    if (!emulate::is_gpu(number)) return emulate::report(cudaErrorInvalidDevice);
    switch (attribute) {
        case cudaDevAttrMultiProcessorCount: *value = 4; break;
        case cudaDevAttrIntegrated: *value = 0; break;
        case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 1536; break;
        case cudaDevAttrComputeCapabilityMajor: *value = 8; break;
        case cudaDevAttrComputeCapabilityMinor: *value = 7; break;
    }
    return cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int number) {
    if (!emulate::is_gpu(number)) return emulate::report(cudaErrorInvalidDevice);
    *properties = {"Emulated GPU", emulate::gpu(number).total, 8, 7, 4, 0};
    return cudaSuccess;
}
inline cudaError_t cudaDriverGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}
inline cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

struct cudaFuncAttributes {
    std::size_t sharedSizeBytes;
};
inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
    *attributes = {};
    return cudaSuccess;
}

// Memory.

namespace emulate {

inline cudaError_t allocate(void** address, std::size_t bytes, cudaMemoryType type) {
    const Lock lock;
    if (disturbs_capture()) return report(cudaErrorStreamCaptureUnsupported);
    *address = nullptr;
    if (bytes == 0) return cudaSuccess;
    const bool counted = type == cudaMemoryTypeDevice;
    Gpu& owner = gpu(current_gpu());
    if (counted && bytes > owner.total - owner.taken) {
        return report(cudaErrorMemoryAllocation);
    }
    if (posix_memalign(address, 256, bytes) != 0) return report(cudaErrorMemoryAllocation);
    std::memset(*address, 0xff, bytes);
    device().memory[static_cast<char*>(*address)] = {bytes, type, current_gpu()};
    owner.taken += counted ? bytes : 0;
    if (owner.busy == 0) reach(current_gpu(), false);
    return cudaSuccess;
}

/// Waits for the device where CUDA is documented to: not for the host's memory.
inline cudaError_t free_memory(void* address, cudaMemoryType type) {
    const Lock lock;
    if (address == nullptr) return cudaSuccess;
    if (disturbs_capture()) return report(cudaErrorStreamCaptureUnsupported);
    if (type == cudaMemoryTypeDevice) drain_all();
    const auto found = device().memory.find(static_cast<char*>(address));
    if (found == device().memory.end() || found->second.type != type) {
        return report(cudaErrorInvalidValue);
    }
    if (type == cudaMemoryTypeDevice) gpu(found->second.gpu).taken -= found->second.bytes;
#if defined(__SANITIZE_ADDRESS__)
    ASAN_UNPOISON_MEMORY_REGION(address, found->second.bytes);
#endif
    // What still runs finds garbage.
    std::memset(address, 0xff, found->second.bytes);
    device().memory.erase(found);
    std::free(address);
    return cudaSuccess;
}

}  // namespace emulate

template <typename T>
cudaError_t cudaMalloc(T** address, std::size_t bytes) {
    return emulate::allocate(reinterpret_cast<void**>(address), bytes, cudaMemoryTypeDevice);
}
inline cudaError_t cudaFree(void* address) {
    return emulate::free_memory(address, cudaMemoryTypeDevice);
}
template <typename T>
cudaError_t cudaMallocHost(T** address, std::size_t bytes, unsigned = cudaHostAllocDefault) {
    return emulate::allocate(reinterpret_cast<void**>(address), bytes, cudaMemoryTypeHost);
}
template <typename T>
cudaError_t cudaHostAlloc(T** address, std::size_t bytes, unsigned) {
    return cudaMallocHost(address, bytes);
}
inline cudaError_t cudaFreeHost(void* address) {
    return emulate::free_memory(address, cudaMemoryTypeHost);
}
inline cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    const emulate::Lock lock;
    const emulate::Gpu& gpu = emulate::gpu(emulate::current_gpu());
    *total = gpu.total;
    *free = gpu.total - gpu.taken;
    return cudaSuccess;
}
inline cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes,
                                            const void* address) {
    const emulate::Lock lock;
    const emulate::Allocation* found = emulate::find(address);
    void* at = const_cast<void*>(address);
    *attributes = {cudaMemoryTypeUnregistered, -1, nullptr, at};
    if (found == nullptr) return cudaSuccess;
    *attributes = {found->type, found->gpu, at, found->type == cudaMemoryTypeHost ? at : nullptr};
    return cudaSuccess;
}

// Copies.

namespace emulate {

/// Rows of bytes, from here to there.
struct Transfer {
    void* to;
    std::size_t to_pitch;
    const void* from;
    std::size_t from_pitch;
    std::size_t bytes;
    std::size_t rows;

    std::size_t to_bytes() const { return rows == 0 ? 0 : (rows - 1) * to_pitch + bytes; }
    std::size_t from_bytes() const { return rows == 0 ? 0 : (rows - 1) * from_pitch + bytes; }
    void run() const {
        for (std::size_t row = 0; row < rows; ++row) {
            std::memmove(static_cast<char*>(to) + row * to_pitch,
                         static_cast<const char*>(from) + row * from_pitch, bytes);
        }
    }
};

/// Whether one end of a copy is where its kind says, and whole.
inline bool fits(const void* address, std::size_t bytes, bool device_side) {
    if (bytes == 0) return true;
    if (device_side) return on_device(address) && find(address, bytes) != nullptr;
    return !on_device(address) && (!is_pinned(address) || find(address, bytes) != nullptr);
}

inline cudaError_t check(const Transfer& transfer, cudaMemcpyKind kind) {
    const bool any = kind == cudaMemcpyDefault;
    const bool to_device = any ? on_device(transfer.to) : (kind & 1) != 0;
    const bool from_device = any ? on_device(transfer.from) : (kind & 2) != 0;
    const bool good = transfer.bytes <= transfer.to_pitch &&
                      transfer.bytes <= transfer.from_pitch &&
                      fits(transfer.to, transfer.to_bytes(), to_device) &&
                      fits(transfer.from, transfer.from_bytes(), from_device);
    return good ? cudaSuccess : cudaErrorInvalidValue;
}

inline cudaError_t copy(const Transfer& transfer, cudaMemcpyKind kind) {
    const Lock lock;
    if (disturbs_capture()) return report(cudaErrorStreamCaptureImplicit);
    if (const cudaError_t error = check(transfer, kind)) return report(error);
    drain(gpu(current_gpu()).legacy);
    // It may be from one device to another.
    perform(0, [&] { perform(1, [&] { transfer.run(); }); });
    return cudaSuccess;
}

/// Pageable memory of the host is read at once, and written before the call returns.
inline cudaError_t copy_later(Transfer transfer, cudaMemcpyKind kind, cudaStream_t handle) {
    const Lock lock;
    if (const cudaError_t error = check(transfer, kind)) return report(error);
    CUstream_st* stream = stream_of(handle);
    if (stream == nullptr) return report(cudaErrorInvalidResourceHandle);
    if (transfer.bytes == 0 || transfer.rows == 0) return cudaSuccess;
    const bool from_pageable = find(transfer.from) == nullptr;
    const bool to_pageable = find(transfer.to) == nullptr;
    if (stream->capture != nullptr && (from_pageable || to_pageable)) {
        stream->capture->spoilt = true;
        return report(cudaErrorStreamCaptureUnsupported);
    }
    if (from_pageable) {
        const auto* first = static_cast<const char*>(transfer.from);
        auto held = std::make_shared<std::vector<char>>(first, first + transfer.from_bytes());
        transfer.from = held->data();
        return report(enqueue(handle, [transfer, held] { transfer.run(); }));
    }
    const cudaError_t error = enqueue(handle, [transfer] { transfer.run(); });
    if (to_pageable) drain(*stream);
    return report(error);
}

}  // namespace emulate

inline cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    return emulate::copy({to, bytes, from, bytes, bytes, 1}, kind);
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes,
                                   cudaMemcpyKind kind, cudaStream_t stream = nullptr) {
    return emulate::copy_later({to, bytes, from, bytes, bytes, 1}, kind, stream);
}
inline cudaError_t cudaMemcpy2D(void* to, std::size_t to_pitch, const void* from,
                                std::size_t from_pitch, std::size_t width, std::size_t height,
                                cudaMemcpyKind kind) {
    return emulate::copy({to, to_pitch, from, from_pitch, width, height}, kind);
}
inline cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                                     std::size_t from_pitch, std::size_t width, std::size_t height,
                                     cudaMemcpyKind kind, cudaStream_t stream = nullptr) {
    return emulate::copy_later({to, to_pitch, from, from_pitch, width, height}, kind, stream);
}
inline cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes,
                                   cudaStream_t stream = nullptr) {
    const emulate::Lock lock;
    if (!emulate::fits(to, bytes, true)) return emulate::report(cudaErrorInvalidValue);
    return emulate::report(emulate::enqueue(stream, [=] { std::memset(to, value, bytes); }));
}
inline cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
    const emulate::Lock lock;
    if (emulate::disturbs_capture()) return emulate::report(cudaErrorStreamCaptureImplicit);
    const cudaError_t error = cudaMemsetAsync(to, value, bytes);
    emulate::drain(emulate::gpu(emulate::current_gpu()).legacy);
    return error;
}

#include "runtime_streams.h"
