// Shared memory and launches. These two are all of CUDA's syntax that is not C++; as macros they
// let the tests compile the kernels with a C++ compiler, against a cuda_runtime.h of their own that
// defines the same ones.
#pragma once

#include <cuda_runtime.h>

#if defined(__CUDACC__)

/// EDGECOUNT_SHARED(float, tile, [8][33]); declares an array that the threads of a block share.
#define EDGECOUNT_SHARED(type, name, extents) __shared__ type name extents

/// EDGECOUNT_LAUNCH(kernel, grid, block, bytes, stream)(arguments); with `bytes` of dynamic shared
/// memory. A kernel whose name holds a comma goes in parentheses.
#define EDGECOUNT_LAUNCH(kernel, grid, block, bytes, stream) kernel<<<grid, block, bytes, stream>>>

/// EDGECOUNT_DYNAMIC_SHARED(float, tile); names the dynamic shared memory of the launch.
#define EDGECOUNT_DYNAMIC_SHARED(type, name) extern __shared__ type name[]

#endif
