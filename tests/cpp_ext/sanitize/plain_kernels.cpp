// The kernels that processors without SSE2 get, so that they are tested on those that have it.
#define EDGECOUNT_PLAIN_LANES
#include "image_kernels.inl"
#include "peak_kernels.inl"
#include "sum_kernels.inl"

namespace edgecount {

extern const Kernels plain_kernels;
const Kernels plain_kernels = {"plain", peak_kernels_here(), sum_kernels_here(),
                               image_kernels_here()};

}  // namespace edgecount
