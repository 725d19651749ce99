// What becomes of a CUDA call that failed.
#pragma once

#include <cuda_runtime_api.h>

#include <sstream>

#include "edgecount/cuda/error.h"

namespace edgecount::cuda {

/// Throws Error, "CUDA device 0: could not <what>: <name> (<text>)", unless the call succeeded.
template <typename... Parts>
void check(cudaError_t status, int device, const Parts&... what) {
    if (status == cudaSuccess) return;
    // Else the next library that asks for the last error is given ours.
    cudaGetLastError();
    std::ostringstream text;
    text << "CUDA device " << device << ": could not ";
    (text << ... << what);
    text << ": " << cudaGetErrorName(status) << " (" << cudaGetErrorString(status) << ")";
    throw Error(text.str());
}

/// Loads a kernel, which CUDA else does when it is first launched: up to driver 12.2 that cannot be
/// captured.
template <typename... Parameters>
void load_kernel(void (*kernel)(Parameters...), int device) {
    cudaFuncAttributes attributes{};
    check(cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(kernel)), device,
          "load a kernel");
}

}  // namespace edgecount::cuda
