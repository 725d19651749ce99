#include <cuda_runtime_api.h>

#include "edgecount/device.h"

namespace edgecount {

bool cuda_built() { return true; }

int cuda_device_count() {
    int count = 0;
    // The static runtime loads the driver by itself; without one this is an error code, no crash.
    if (cudaGetDeviceCount(&count) != cudaSuccess) {
        cudaGetLastError();
        return 0;
    }
    return count;
}

}  // namespace edgecount
