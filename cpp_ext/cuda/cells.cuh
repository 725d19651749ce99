// Cells as they lie in memory, and threads that work together.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "count_plan.h"
#include "launch.h"

namespace edgecount::cuda {

constexpr unsigned kAllLanes = 0xffffffffU;

__device__ inline float to_float(float cell) { return cell; }
__device__ inline float to_float(__half cell) { return __half2float(cell); }

/// Four cells, as they are read at once.
template <typename Cell>
struct alignas(4 * sizeof(Cell)) Four {
    Cell cells[4];
};

/// Whether rows can be read four cells at a time.
template <typename Cell>
__device__ bool fits_vectors(const Cells& map, unsigned width) {
    return reinterpret_cast<std::size_t>(map.data) % sizeof(Four<Cell>) == 0 &&
           map.row_stride % 4 == 0 && map.plane_stride % 4 == 0 && width % 4 == 0;
}

/// The first cell of a plane.
template <typename Cell>
__device__ const Cell* plane_of(const Cells& map, std::size_t plane) {
    return static_cast<const Cell*>(map.data) + plane * map.plane_stride;
}

__device__ inline float value_at(const Cells& map, std::size_t plane, unsigned y, unsigned x) {
    const std::size_t at = plane * map.plane_stride + y * map.row_stride + x;
    if (map.half) return __half2float(static_cast<const __half*>(map.data)[at]);
    return static_cast<const float*>(map.data)[at];
}

template <typename T>
__device__ T warp_sum(T value) {
    for (unsigned distance = 16; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(kAllLanes, value, distance);
    }
    return value;
}

/// The sum over the lanes before this one.
__device__ inline unsigned warp_sum_before(unsigned value) {
    unsigned sum = value;
    for (unsigned distance = 1; distance < 32; distance *= 2) {
        const unsigned lower = __shfl_up_sync(kAllLanes, sum, distance);
        if (threadIdx.x % 32 >= distance) sum += lower;
    }
    return sum - value;
}

/// The sum over a block. All threads must come here, and none may still use an earlier sum of the
/// same `shares`.
__device__ inline unsigned block_sum(unsigned value, unsigned (&shares)[kWarps]) {
    const unsigned sum = warp_sum(value);
    if (threadIdx.x % 32 == 0) shares[threadIdx.x / 32] = sum;
    __syncthreads();
    unsigned all = 0;
    for (const unsigned share : shares) all += share;
    return all;
}

/// The same, and in `before` the sum over the threads before this one.
__device__ inline unsigned block_sum(unsigned value, unsigned (&shares)[kWarps], unsigned& before) {
    before = warp_sum_before(value);
    if (threadIdx.x % 32 == 31) shares[threadIdx.x / 32] = before + value;
    __syncthreads();  // shares of all warps
    unsigned all = 0;
    for (unsigned warp = 0; warp < kWarps; ++warp) {
        if (warp < threadIdx.x / 32) before += shares[warp];
        all += shares[warp];
    }
    return all;
}

}  // namespace edgecount::cuda
