// The kernel that ptx/cases.cpp launches: its body is the PTX of test_ptx_translator.py.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

__global__ inline void run_cases(std::uint64_t*) {}
