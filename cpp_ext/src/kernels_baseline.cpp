#include "image_kernels.inl"
#include "peak_kernels.inl"
#include "sum_kernels.inl"

namespace edgecount {

extern const Kernels baseline_kernels;
constexpr Kernels baseline_kernels = {"baseline", peak_kernels_here(), sum_kernels_here(),
                                      image_kernels_here()};

}  // namespace edgecount
