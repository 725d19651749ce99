// Memory of a GPU, and memory of the host that it can reach.
//
// Everything in cuda/ works in the primary context of its device, which it makes current for the
// length of a call, so that objects may be used on any thread and beside torch and ONNX Runtime.
// All throw cuda::Error.
#pragma once

#include <cstddef>

namespace edgecount::cuda {

/// Device memory; its address is a multiple of 256.
class DeviceMemory {
public:
    DeviceMemory() = default;
    DeviceMemory(std::size_t bytes, int device);
    ~DeviceMemory();
    DeviceMemory(DeviceMemory&& other) noexcept;
    DeviceMemory& operator=(DeviceMemory&& other) noexcept;
    DeviceMemory(const DeviceMemory&) = delete;
    DeviceMemory& operator=(const DeviceMemory&) = delete;

    void* data() const { return data_; }
    std::size_t bytes() const { return bytes_; }
    int device() const { return device_; }

private:
    void* data_ = nullptr;
    std::size_t bytes_ = 0;
    int device_ = 0;
};

/// Page-locked host memory: copies between it and a device do not hold up the host, and kernels can
/// use it at the same address (unified addressing). It is freed once the work of all streams of its
/// device is done.
class PinnedMemory {
public:
    PinnedMemory() = default;
    PinnedMemory(std::size_t bytes, int device);
    ~PinnedMemory();
    PinnedMemory(PinnedMemory&& other) noexcept;
    PinnedMemory& operator=(PinnedMemory&& other) noexcept;
    PinnedMemory(const PinnedMemory&) = delete;
    PinnedMemory& operator=(const PinnedMemory&) = delete;

    void* data() const { return data_; }
    std::size_t bytes() const { return bytes_; }
    int device() const { return device_; }

private:
    void* data_ = nullptr;
    std::size_t bytes_ = 0;
    int device_ = 0;
};

struct MemoryInfo {
    std::size_t free = 0;   ///< Bytes that could be taken now.
    std::size_t total = 0;  ///< Bytes of the device.
};

MemoryInfo memory_info(int device);

/// Whether the GPU uses the memory of the CPU and has none of its own, as on Jetson boards.
bool shares_memory(int device);

/// What CUDA knows of an address.
struct PointerInfo {
    bool on_device = false;  ///< A GPU's own memory, managed or mapped memory.
    bool primary = true;     ///< Not of a context that another library made for itself.
    int device = -1;
};

/// `device` is any that is there.
PointerInfo pointer_info(const void* address, int device);

/// The device of an address of CUDA's, -1 of any other; it opens no context, which takes memory.
int pointer_device(const void* address);

}  // namespace edgecount::cuda
