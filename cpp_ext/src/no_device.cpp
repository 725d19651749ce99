#include "edgecount/device.h"

namespace edgecount {

bool cuda_built() { return false; }

int cuda_device_count() { return 0; }

}  // namespace edgecount
