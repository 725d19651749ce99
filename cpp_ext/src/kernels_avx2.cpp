#include "image_kernels.inl"
#include "peak_kernels.inl"
#include "sum_kernels.inl"

namespace edgecount {

extern const Kernels avx2_kernels;
constexpr Kernels avx2_kernels = {"avx2", peak_kernels_here(), sum_kernels_here(),
                                  image_kernels_here()};

}  // namespace edgecount
