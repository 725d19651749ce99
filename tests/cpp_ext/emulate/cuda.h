// CUDA's driver, as far as contexts go: the primary ones, which the emulated runtime works in, and
// others that a program makes for itself. Its functions can be called from outside, by name.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "cuda_runtime_api.h"

enum CUresult {
    CUDA_SUCCESS = 0,
    CUDA_ERROR_INVALID_VALUE = 1,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_INVALID_DEVICE = 101,
    CUDA_ERROR_INVALID_CONTEXT = 201,
};

enum CUpointer_attribute {
    CU_POINTER_ATTRIBUTE_CONTEXT = 1,
    CU_POINTER_ATTRIBUTE_MEMORY_TYPE = 2,
    CU_POINTER_ATTRIBUTE_DEVICE_POINTER = 3,
    CU_POINTER_ATTRIBUTE_IS_MANAGED = 8,
    CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL = 9,
};

enum CUmemorytype {
    CU_MEMORYTYPE_HOST = 1,
    CU_MEMORYTYPE_DEVICE = 2,
};

using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st*;

namespace emulate {

inline std::map<const char*, CUcontext> foreign;  // memory that is not the primary context's

inline CUcontext owner(const void* address) {
    for (const auto& [first, context] : foreign) {
        const Allocation* allocation = find(address);
        if (allocation != nullptr && find(first) == allocation) return context;
    }
    const Allocation* allocation = find(address);
    return allocation == nullptr ? nullptr : &gpu(allocation->gpu).primary;
}

}  // namespace emulate

// As in CUDA's header, which calls the second version of these by the name of the first.
#define cuCtxPushCurrent cuCtxPushCurrent_v2
#define cuCtxPopCurrent cuCtxPopCurrent_v2
#define cuCtxCreate cuCtxCreate_v2
#define cuCtxDestroy cuCtxDestroy_v2
#define cuMemAlloc cuMemAlloc_v2
#define cuMemFree cuMemFree_v2

// Also found by dlsym in a library that hides everything else.
#define EMULATE_DRIVER extern "C" __attribute__((visibility("default"), used)) inline

EMULATE_DRIVER CUresult cuInit(unsigned) { return CUDA_SUCCESS; }

EMULATE_DRIVER CUresult cuGetErrorName(CUresult error, const char** name) {
    *name = error == CUDA_SUCCESS ? "CUDA_SUCCESS" : "CUDA_ERROR_EMULATED";
    return CUDA_SUCCESS;
}

EMULATE_DRIVER CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
    if (!emulate::is_gpu(device)) return CUDA_ERROR_INVALID_DEVICE;
    *context = &emulate::gpu(device).primary;
    (*context)->active = true;
    return CUDA_SUCCESS;
}

EMULATE_DRIVER CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
    if (!emulate::is_gpu(device)) return CUDA_ERROR_INVALID_DEVICE;
    *flags = 0;
    *active = emulate::gpu(device).primary.active;
    return CUDA_SUCCESS;
}

EMULATE_DRIVER CUresult cuCtxGetCurrent(CUcontext* context) {
    *context = emulate::contexts.empty() ? nullptr : emulate::contexts.back();
    return CUDA_SUCCESS;
}

EMULATE_DRIVER CUresult cuCtxGetDevice(CUdevice* device) {
    if (emulate::contexts.empty()) return CUDA_ERROR_INVALID_CONTEXT;
    *device = emulate::current_gpu();
    return CUDA_SUCCESS;
}

EMULATE_DRIVER CUresult cuCtxPushCurrent(CUcontext context) {
    emulate::contexts.push_back(context);
    return CUDA_SUCCESS;
}

EMULATE_DRIVER CUresult cuCtxPopCurrent(CUcontext* context) {
    if (emulate::contexts.empty()) return CUDA_ERROR_INVALID_CONTEXT;
    *context = emulate::contexts.back();
    emulate::contexts.pop_back();
    return CUDA_SUCCESS;
}

EMULATE_DRIVER CUresult cuCtxCreate(CUcontext* context, unsigned, CUdevice device) {
    if (!emulate::is_gpu(device)) return CUDA_ERROR_INVALID_DEVICE;
    *context = new CUctx_st{false, device};
    return cuCtxPushCurrent(*context);
}

EMULATE_DRIVER CUresult cuCtxDestroy(CUcontext context) {
    if (!emulate::contexts.empty() && emulate::contexts.back() == context) {
        emulate::contexts.pop_back();
    }
    delete context;
    return CUDA_SUCCESS;
}

EMULATE_DRIVER CUresult cuMemAlloc(CUdeviceptr* address, std::size_t bytes) {
    if (emulate::contexts.empty()) return CUDA_ERROR_INVALID_CONTEXT;
    void* memory = nullptr;
    if (cudaMalloc(&memory, bytes) != cudaSuccess) return CUDA_ERROR_OUT_OF_MEMORY;
    const emulate::Lock lock;
    if (!emulate::contexts.back()->primary) {
        emulate::foreign[static_cast<char*>(memory)] = emulate::contexts.back();
    }
    *address = reinterpret_cast<CUdeviceptr>(memory);
    return CUDA_SUCCESS;
}

EMULATE_DRIVER CUresult cuMemFree(CUdeviceptr address) {
    const emulate::Lock lock;
    emulate::foreign.erase(reinterpret_cast<const char*>(address));
    const cudaError_t error = cudaFree(reinterpret_cast<void*>(address));
    return error == cudaSuccess ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

EMULATE_DRIVER CUresult cuPointerGetAttribute(void* value, CUpointer_attribute attribute,
                                              CUdeviceptr address) {
    const emulate::Lock lock;
    const void* at = reinterpret_cast<const void*>(address);
    const emulate::Allocation* allocation = emulate::find(at);
    if (allocation == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const bool host = allocation->type == cudaMemoryTypeHost;
    switch (attribute) {
        case CU_POINTER_ATTRIBUTE_CONTEXT:
            *static_cast<CUcontext*>(value) = emulate::owner(at);
            break;
        case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
            *static_cast<CUmemorytype*>(value) = host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
            break;
        case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: *static_cast<CUdeviceptr*>(value) = address; break;
        case CU_POINTER_ATTRIBUTE_IS_MANAGED: *static_cast<unsigned*>(value) = 0; break;
        case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *static_cast<int*>(value) = allocation->gpu; break;
    }
    return CUDA_SUCCESS;
}

// How the runtime hands out the driver's functions.

enum cudaDriverEntryPointQueryResult { cudaDriverEntryPointSuccess = 0 };
constexpr unsigned long long cudaEnableDefault = 0;

inline cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned,
                                                    unsigned long long,
                                                    cudaDriverEntryPointQueryResult* found) {
    static const std::map<std::string, void*> functions = {
        {"cuGetErrorName", reinterpret_cast<void*>(&cuGetErrorName)},
        {"cuDevicePrimaryCtxRetain", reinterpret_cast<void*>(&cuDevicePrimaryCtxRetain)},
        {"cuCtxPushCurrent", reinterpret_cast<void*>(&cuCtxPushCurrent)},
        {"cuCtxPopCurrent", reinterpret_cast<void*>(&cuCtxPopCurrent)},
        {"cuPointerGetAttribute", reinterpret_cast<void*>(&cuPointerGetAttribute)},
    };
    const auto entry = functions.find(name);
    *found = cudaDriverEntryPointSuccess;
    *function = entry == functions.end() ? nullptr : entry->second;
    return entry == functions.end() ? cudaErrorNotSupported : cudaSuccess;
}
