#include "context.h"

#include <cuda.h>
#ifndef _WIN32
#include <pthread.h>
#endif

#include <atomic>
#include <map>
#include <mutex>
#include <sstream>
#include <string>

#include "check.h"
#include "edgecount/cuda/memory.h"

namespace edgecount::cuda {
namespace {

/// A function of the driver. Looked up by the runtime, because a library that is linked to the
/// driver cannot be loaded where there is none.
template <typename Function>
Function find(const char* name) {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found{};
#if CUDART_VERSION >= 12050
    const cudaError_t status =
        cudaGetDriverEntryPointByVersion(name, &function, 12000, cudaEnableDefault, &found);
#else
    const cudaError_t status = cudaGetDriverEntryPoint(name, &function, cudaEnableDefault, &found);
#endif
    if (status != cudaSuccess || function == nullptr) {
        cudaGetLastError();
        throw Error(std::string("CUDA: expected a driver with ") + name +
                    ", got one without; update the driver");
    }
    return reinterpret_cast<Function>(function);
}

struct Driver {
    decltype(&cuDevicePrimaryCtxRetain) retain_primary =
        find<decltype(retain_primary)>("cuDevicePrimaryCtxRetain");
    decltype(&cuCtxPushCurrent) push = find<decltype(push)>("cuCtxPushCurrent");
    decltype(&cuCtxPopCurrent) pop = find<decltype(pop)>("cuCtxPopCurrent");
    decltype(&cuPointerGetAttribute) ask = find<decltype(ask)>("cuPointerGetAttribute");
    decltype(&cuGetErrorName) name_of = find<decltype(name_of)>("cuGetErrorName");
};

const Driver& driver() {
    static const Driver functions;
    return functions;
}

void check_driver(CUresult result, int device, const char* what) {
    if (result == CUDA_SUCCESS) return;
    const char* name = nullptr;
    driver().name_of(result, &name);
    std::ostringstream text;
    text << "CUDA device " << device << ": could not " << what << ": "
         << (name != nullptr ? name : "unknown error") << " (" << static_cast<int>(result) << ")";
    throw Error(text.str());
}

constexpr const char* kForked =
    "this process was forked from one that uses the GPU, and CUDA does not work in it: start "
    "processes by \"spawn\", or use the GPU in the forked ones alone";

/// Whether this process is a fork of one in which a context was opened here.
std::atomic<bool> is_fork{false};

/// CUDA's state does not survive a fork: its calls fail in the child, or do anything at all.
void watch_for_forks() {
#ifndef _WIN32
    static const int watched = pthread_atfork(nullptr, nullptr, [] { is_fork = true; });
    static_cast<void>(watched);
#endif
}

[[noreturn]] void refuse_fork(int device) {
    throw Error("CUDA device " + std::to_string(device) + ": " + kForked);
}

void check_device(int device) {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess) {
        cudaGetLastError();
        // Another library used the GPU before the fork.
        if (status == cudaErrorInitializationError) refuse_fork(device);
        std::ostringstream text;
        text << "CUDA device " << device << ": expected an NVIDIA GPU and a driver for CUDA "
             << CUDART_VERSION / 1000 << " or newer, got " << cudaGetErrorName(status) << " ("
             << cudaGetErrorString(status) << ")";
        throw Error(text.str());
    }
    if (device < 0 || device >= count) {
        std::ostringstream text;
        text << "CUDA device " << device << ": expected a number from 0 to " << count - 1 << ", as "
             << count << (count == 1 ? " device is" : " devices are") << " there";
        throw Error(text.str());
    }
}

/// Kept until the process ends, as other libraries do: what they free goes on working.
CUcontext primary_context(int device) {
    // First, as the mutex may have been held by a thread that the child does not have.
    if (is_forked()) refuse_fork(device);
    // Never destroyed: buffers may be freed after the destructors of static objects have run.
    static auto& mutex = *new std::mutex;
    static auto& retained = *new std::map<int, CUcontext>;
    const std::lock_guard<std::mutex> lock(mutex);
    const auto known = retained.find(device);
    if (known != retained.end()) return known->second;

    watch_for_forks();
    check_device(device);
    CUcontext context = nullptr;
    check_driver(driver().retain_primary(&context, device), device, "open its primary context");
    retained[device] = context;
    return context;
}

template <typename Value>
bool ask(Value& value, CUpointer_attribute attribute, const void* address) {
    return driver().ask(&value, attribute, reinterpret_cast<CUdeviceptr>(address)) == CUDA_SUCCESS;
}

}  // namespace

bool is_forked() noexcept { return is_fork.load(std::memory_order_relaxed); }

CurrentDevice::CurrentDevice(int device) {
    CUcontext context = primary_context(device);
    check_driver(driver().push(context), device, "make its primary context current");
}

CurrentDevice::~CurrentDevice() {
    CUcontext popped = nullptr;
    driver().pop(&popped);
}

PointerInfo pointer_info(const void* address, int device) {
    const CurrentDevice current(device);
    PointerInfo info;
    CUmemorytype type{};
    if (!ask(type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address)) return info;
    unsigned managed = 0;
    ask(managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, address);
    // Mapped host memory is what cameras on boards write to. A kernel that is given its address as
    // it is can use it only if it has no other on the device.
    CUdeviceptr mapped = 0;
    const bool same = ask(mapped, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, address) &&
                      mapped == reinterpret_cast<CUdeviceptr>(address);
    info.on_device = type != CU_MEMORYTYPE_HOST || managed != 0 || same;
    ask(info.device, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address);

    // Memory of a pool or of the virtual memory calls belongs to no context.
    CUcontext owner = nullptr;
    if (ask(owner, CU_POINTER_ATTRIBUTE_CONTEXT, address) && owner != nullptr) {
        info.primary = info.device < 0 || owner == primary_context(info.device);
    }
    return info;
}

int pointer_device(const void* address) {
    if (is_forked()) refuse_fork(0);
    check_device(0);  // that there is one: it opens no context
    int device = -1;
    return ask(device, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address) ? device : -1;
}

}  // namespace edgecount::cuda
