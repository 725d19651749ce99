// The arithmetic of the sums that the CPU and the GPU share.
//
// Local to each includer, as in lane_sum.h.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define EDGECOUNT_BOTH __host__ __device__
#else
#define EDGECOUNT_BOTH
#endif

namespace edgecount {

/// A product that is never fused with a sum: nvcc would, where it is not told otherwise.
EDGECOUNT_BOTH static inline double product(double a, double b) {
#if defined(__CUDA_ARCH__)
    return __dmul_rn(a, b);
#else
    return a * b;
#endif
}

/// The weight of the density in a full cell with so many people, see fusion_weights.
EDGECOUNT_BOTH static inline double density_weight(double people, double low, double high) {
    if (high <= low) return people > low ? 1.0 : 0.0;
    if (people <= low) return 0.0;  // most cells have nobody: no division for them
    const double t = (people - low) / (high - low);
    const double clipped = t > 1.0 ? 1.0 : t;
    return product(product(clipped, clipped), 3.0 - product(2.0, clipped));
}

/// A cell's people by both streams.
EDGECOUNT_BOTH static inline double blend(double weight, double density, double peaks) {
    return product(weight, density) + product(1.0 - weight, peaks);
}

// Coverage in whole numbers: their sums do not depend on the order, which on a GPU is by chance.

/// Shares of one cell: enough for the error of a coverage, 2^-33, not to matter, and few enough for
/// the shares of 2^31 peaks.
constexpr double kShares = 4294967296.0;

/// A coverage in [0, 1] as shares, to nearest.
EDGECOUNT_BOTH static inline std::int64_t coverage_shares(float coverage) {
    return static_cast<std::int64_t>(static_cast<double>(coverage) * kShares + 0.5);
}

EDGECOUNT_BOTH static inline double from_shares(std::int64_t shares) {
    return static_cast<double>(shares) / kShares;
}

}  // namespace edgecount
