#include "edgecount/cuda/memory.h"

#include <cuda_runtime_api.h>

#include <utility>

#include "check.h"
#include "context.h"
#include "edgecount/cuda/stream.h"

namespace edgecount::cuda {
namespace {

/// Waits for all work on a device, which may still use memory that is about to go: of the calls
/// that free memory, only cudaFree is documented to wait.
void finish_work(int device) noexcept {
    try {
        const CurrentDevice current(device);
        const DuringCapture allowed;
        const Stream last(device, true);
        last.wait_for_all();
        last.synchronize();
    } catch (const Error&) {
        // The GPU failed or is gone: nothing runs any more.
    }
}

}  // namespace

DeviceMemory::DeviceMemory(std::size_t bytes, int device) : bytes_(bytes), device_(device) {
    const CurrentDevice current(device);
    const DuringCapture allowed;
    const cudaError_t status = cudaMalloc(&data_, bytes);
    if (status == cudaErrorMemoryAllocation) {
        const MemoryInfo memory = memory_info(device);
        check(status, device, "allocate ", bytes, " bytes, as ", memory.free, " of ", memory.total,
              " are free");
    }
    check(status, device, "allocate ", bytes, " bytes");
}

DeviceMemory::~DeviceMemory() {
    if (data_ == nullptr) return;
    give_back(device_, [this] { return cudaFree(data_); });
}

DeviceMemory::DeviceMemory(DeviceMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      device_(other.device_) {}

DeviceMemory& DeviceMemory::operator=(DeviceMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(device_, other.device_);
    return *this;
}

PinnedMemory::PinnedMemory(std::size_t bytes, int device) : bytes_(bytes), device_(device) {
    const CurrentDevice current(device);
    const DuringCapture allowed;
    // Portable: page-locked for all devices, not only for this one.
    check(cudaHostAlloc(&data_, bytes, cudaHostAllocPortable), device, "allocate ", bytes,
          " bytes of page-locked host memory");
}

PinnedMemory::~PinnedMemory() {
    if (data_ == nullptr) return;
    finish_work(device_);
    give_back(device_, [this] { return cudaFreeHost(data_); });
}

PinnedMemory::PinnedMemory(PinnedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      device_(other.device_) {}

PinnedMemory& PinnedMemory::operator=(PinnedMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(device_, other.device_);
    return *this;
}

MemoryInfo memory_info(int device) {
    const CurrentDevice current(device);
    MemoryInfo memory;
    check(cudaMemGetInfo(&memory.free, &memory.total), device, "ask for its free memory");
    return memory;
}

bool shares_memory(int device) {
    const CurrentDevice current(device);
    int integrated = 0;
    check(cudaDeviceGetAttribute(&integrated, cudaDevAttrIntegrated, device), device,
          "ask whether the GPU shares its memory with the CPU");
    return integrated != 0;
}

}  // namespace edgecount::cuda
