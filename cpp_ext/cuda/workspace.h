// What objects that count hold on the device, and how they look at what they are given.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "check.h"
#include "count_plan.h"
#include "edgecount/cuda/device_planes.h"
#include "edgecount/cuda/memory.h"
#include "edgecount/cuda/stream.h"
#include "message.h"

namespace edgecount::cuda {

/// Arrays in device memory.
class Workspace {
public:
    explicit Workspace(int device) : device_(device) {}

    /// Memory of its own for each array, so that tools see where one ends.
    template <typename T>
    void allocate(T*& array, std::size_t count, const Stream* zero = nullptr) {
        const std::size_t bytes = std::max<std::size_t>(count, 1) * sizeof(T);
        memory_.emplace_back(bytes, device_);
        array = static_cast<T*>(memory_.back().data());
        if (zero == nullptr) return;
        check(cudaMemsetAsync(array, 0, bytes, static_cast<cudaStream_t>(zero->handle())), device_,
              "clear ", bytes, " bytes");
    }

    template <typename T>
    void upload(const T*& array, const T* values, std::size_t count, const Stream& stream) {
        T* to = nullptr;
        allocate(to, count);
        if (count != 0) stream.upload(to, values, count * sizeof(T));
        array = to;
    }

private:
    int device_;
    std::vector<DeviceMemory> memory_;
};

/// How many processors a device has.
inline std::size_t processors_of(int device) {
    int count = 0;
    check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device), device,
          "ask for its number of processors");
    return static_cast<std::size_t>(count);
}

/// A map as kernels get it, once it is found to be like the planes that a counter was made for.
inline Cells cells_of(const char* name, const DevicePlanes& map, const Planes& like) {
    if (!like.present()) {
        if (map.data != nullptr) reject(name, ": expected none, as for the constructor, got one");
        return {};
    }
    const bool empty = like.cells() * like.count == 0;
    if (map.data == nullptr && !empty) reject(name, ": expected a map on the device, got none");
    if (map.row_stride < like.width && !empty) {
        reject(name, ": expected rows at least ", like.width, " cells apart, got ", map.row_stride);
    }
    return {map.data, map.row_stride, map.plane_stride, like.scalar == Scalar::float16};
}

}  // namespace edgecount::cuda
