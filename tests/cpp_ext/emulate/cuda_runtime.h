// Stands in for CUDA's header of this name, so that a C++ compiler can build kernels and a CPU can
// run them. Says nothing about speed.
#pragma once

#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "cuda_runtime_api.h"
#include "device_functions.h"

namespace emulate {

/// A kernel in another form, such as the PTX that nvcc makes of it (../ptx): it takes the
/// parameters as bytes, laid out as on the device.
using Translation = void (*)(const char* parameters);

struct Translated {
    Translation kernel = nullptr;
    std::size_t parameter_bytes = 0;
    unsigned long launches = 0;
};

/// Translations by the kernels that they stand for. If there is one, all kernels have one.
inline std::map<const void*, Translated>& translations() {
    static auto& only = *new std::map<const void*, Translated>;
    return only;
}

template <typename T>
void append(std::vector<char>& bytes, const T& value) {
    const std::size_t at = (bytes.size() + alignof(T) - 1) / alignof(T) * alignof(T);
    bytes.resize(at + sizeof(T));
    std::memcpy(bytes.data() + at, &value, sizeof(T));
}

/// What the threads of a launch run.
template <typename... Parameters>
std::function<void()> body_of(void (*kernel)(Parameters...), Parameters... arguments) {
    if (translations().empty()) return [=] { kernel(arguments...); };
    const auto found = translations().find(reinterpret_cast<const void*>(kernel));
    if (found == translations().end()) fail("a kernel without a translation");
    Translated& translated = found->second;
    ++translated.launches;
    // Allocations are aligned for all that a parameter may be.
    const auto bytes = std::make_shared<std::vector<char>>();
    (append(*bytes, arguments), ...);
    if (bytes->size() != translated.parameter_bytes) fail("parameters of another size");
    return [bytes, run = translated.kernel] { run(bytes->data()); };
}

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
            run_grid(body_of(kernel, arguments...), grid, block, shared_bytes, seed);
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
