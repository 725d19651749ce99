// Sums in an order that the threads of a GPU can follow.
#pragma once

#include <cstddef>

namespace edgecount {

/// Columns of a band are added up by a warp, grid cells by a block.
constexpr std::size_t kWarpLanes = 32;
constexpr std::size_t kBlockLanes = 256;

/// Adds the upper half of the lanes to the lower, until one is left.
template <std::size_t n>
inline double fold(double* lanes) {
    if constexpr (n == 1) {
        return lanes[0];
    } else {
        for (std::size_t lane = 0; lane < n / 2; ++lane) lanes[lane] += lanes[lane + n / 2];
        return fold<n / 2>(lanes);
    }
}

template <std::size_t kLanes>
inline double strided_sum(const double* values, std::size_t n) {
    double lanes[kLanes] = {};
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += values[i + lane];
    }
    for (std::size_t lane = 0; i < n; ++i, ++lane) lanes[lane] += values[i];
    return fold<kLanes>(lanes);
}

/// The sum of n values: lane l adds up values l, l + kLanes, ..., and then the lanes are folded.
/// kLanes is a power of two of at least 32.
template <std::size_t kLanes>
inline double lane_sum(const double* values, std::size_t n) {
    // Lanes without a value would add 0, so that fewer of them give the same.
    if (n <= 8) return strided_sum<8>(values, n);
    if (n == 16) return strided_sum<16>(values, 16);
    if (n <= 32) return strided_sum<32>(values, n);
    return strided_sum<kLanes>(values, n);
}

}  // namespace edgecount
