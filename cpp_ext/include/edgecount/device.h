// What this build and this machine can do with CUDA.
#pragma once

namespace edgecount {

/// Whether the CUDA part is in this build.
bool cuda_built();

/// CUDA devices that can be used now: 0 without the CUDA part, a driver or a device. Never throws.
int cuda_device_count();

}  // namespace edgecount
