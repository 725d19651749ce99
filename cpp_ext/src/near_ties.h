// Scores that are so near to each other that rounding may have put either first, and what a peak
// among such must do to stand out. See peaks.h for the rule; here is what CPU and GPU share of it.
//
// Positive floats and halves are in the order of their bits: scores are compared as integers, and
// how near they are is counted in steps from one number to the next.
//
// Local to each includer, as in lane_sum.h.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define EDGECOUNT_NEAR __device__ static inline
#else
#define EDGECOUNT_NEAR static inline
#endif

namespace edgecount {

/// Cells around a peak, in each direction, that are looked at at first and at most.
constexpr int kClose = 3;
constexpr int kAround = 31;

/// Steps from a float32 down to the least that nearly ties with it: 6e-5 to 1.2e-4 of it.
///
/// Near 1 a sigmoid in float32 has steps of 6e-8, and the same network in another library, or with
/// its sums in another order, differs by up to about 1e-6. This is sixty times as much, and still
/// far below what tells the heads of a crowd apart, which is hundredths.
constexpr std::int32_t kNearSteps = 1 << 10;

/// The same for halves, whose steps are up to a thousandth: both scores may be one step off.
constexpr std::int32_t kNearHalfSteps = 2;

/// The least bits that nearly tie with a score's; above those of 0.
EDGECOUNT_NEAR std::int32_t near_tie(std::int32_t score, std::int32_t steps) {
    return score > steps ? score - steps : 1;
}

/// Whether a cell beats a peak: by a higher score, or by the same earlier in raster order.
EDGECOUNT_NEAR bool beats(std::int32_t cell, std::int32_t score, int dy, int dx) {
    return cell > score || (cell == score && (dy < 0 || (dy == 0 && dx < 0)));
}

enum class Standing { out, beaten, unknown };

/// Whether a peak stands out within kClose cells; unknown where near ties lead beyond.
///
/// `bits_at(dy, dx)` gives the bits of a cell near the peak, as a signed number of the cell's size,
/// and 0 outside the map.
template <typename BitsAt>
EDGECOUNT_NEAR Standing stands_out_close(const BitsAt& bits_at, std::int32_t steps) {
    // A row of cells is a byte, whose highest bit stays clear and keeps rows apart.
    constexpr std::uint64_t kRim = 0x007f41414141417fU;
    const std::int32_t score = bits_at(0, 0);
    const std::int32_t least = near_tie(score, steps);
    std::uint64_t open = 0;
    std::uint64_t better = 0;
    std::uint64_t bit = 1;
    for (int dy = -kClose; dy <= kClose; ++dy) {
        for (int dx = -kClose; dx <= kClose; ++dx, bit <<= 1) {
            const std::int32_t cell = bits_at(dy, dx);
            if (cell >= least) open |= bit;
            if (beats(cell, score, dy, dx)) better |= bit;
        }
        bit <<= 1;
    }
    std::uint64_t reached = std::uint64_t{1} << (9 * kClose);
    for (std::uint64_t before = 0; reached != before;) {
        before = reached;
        reached |= reached << 1 | reached >> 1;
        reached = (reached | reached << 8 | reached >> 8) & open;
    }
    if ((reached & better) != 0) return Standing::beaten;
    return (reached & kRim) != 0 ? Standing::unknown : Standing::out;
}

}  // namespace edgecount
