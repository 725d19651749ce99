// Stands in for CUDA's header of this name, so that a C++ compiler can build kernels and a CPU can
// run them. Says nothing about speed.
#pragma once

#include "cuda_runtime_api.h"
#include "device_functions.h"

namespace emulate {

inline bool launchable(dim3 grid, dim3 block, std::size_t shared_bytes) {
    return grid.count() != 0 && grid.x <= 0x7fffffffU && grid.y <= 65535 && grid.z <= 65535 &&
           block.count() != 0 && block.count() <= 1024 && block.z <= 64 &&
           shared_bytes <= 48 * 1024;
}

/// A launch that waits for its arguments.
template <typename... Parameters>
struct Launch {
    void (*kernel)(Parameters...);
    dim3 grid;
    dim3 block;
    std::size_t shared_bytes;
    cudaStream_t stream;

    void operator()(Parameters... arguments) const {
        const Lock lock;
        if (!launchable(grid, block, shared_bytes)) {
            report(cudaErrorInvalidConfiguration);
            return;
        }
        // A stream of another device than the current one.
        if (CUstream_st* in = stream_of(stream); in != nullptr && in->gpu != current_gpu()) {
            report(cudaErrorInvalidResourceHandle);
            return;
        }
        const std::uint64_t seed = ++device().launches;
        report(enqueue(stream, [=, *this] {
            run_grid([&] { kernel(arguments...); }, grid, block, shared_bytes, seed);
        }));
    }
};

template <typename... Parameters>
Launch<Parameters...> launch(void (*kernel)(Parameters...), dim3 grid, dim3 block,
                             std::size_t shared_bytes, cudaStream_t stream) {
    return {kernel, grid, block, shared_bytes, stream};
}

}  // namespace emulate

#define EDGECOUNT_LAUNCH(kernel, grid, block, bytes, stream) \
    emulate::launch(kernel, grid, block, bytes, stream)
