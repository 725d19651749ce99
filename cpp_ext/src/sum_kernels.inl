// The loops over cells that sum densities; kernels_*.cpp include this file with one instruction set
// each.
//
// Local to each includer, and free of library templates, or the linker might give the code of one
// instruction set to another.
#include <cstring>

#include "half.h"
#include "kernels.h"
#include "keys.h"
#include "lane_sum.h"
#include "lanes.h"
#include "sum_arithmetic.h"

namespace edgecount {
namespace {

void halves_to_floats(const std::uint16_t* __restrict in, float* __restrict out, std::size_t n) {
    std::size_t x = 0;
#if defined(__F16C__)
    for (; x + 8 <= n; x += 8) {
        const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + x));
        _mm256_storeu_ps(out + x, _mm256_cvtph_ps(halves));
    }
#endif
    for (; x < n; ++x) out[x] = half_to_float(in[x]);
}

bool are_finite(const float* values, std::size_t n) {
    std::int32_t largest = 0;
    for (std::size_t x = 0; x < n; ++x) {
        std::int32_t bits;
        std::memcpy(&bits, values + x, sizeof bits);
        const std::int32_t magnitude = bits & 0x7fffffff;
        largest = largest > magnitude ? largest : magnitude;
    }
    return largest < 0x7f800000;
}

bool are_coverage(const float* values, std::size_t n) {
    // Without a way out of the loop, which would keep it from being vectorised.
    std::uint32_t wrong = 0;
    for (std::size_t x = 0; x < n; ++x) {
        wrong |= (values[x] >= 0.0F) & (values[x] <= 1.0F) ? 0U : 1U;
    }
    return wrong == 0;
}

/// A cell, weighted by its mask.
template <bool masked>
EDGECOUNT_INLINE float cell(const float* rows, const float* masks, std::size_t at) {
    if constexpr (masked) return rows[at] * masks[at];
    return rows[at];
}

/// sums[x] += the sum of kSumRows rows in float32. The first is added to 0, not to what is there.
template <bool masked, bool first>
void add_group(double* __restrict sums, const float* __restrict rows, const float* __restrict masks,
               std::size_t stride, std::size_t n) {
    for (std::size_t x = 0; x < n; ++x) {
        float v[kSumRows];
        for (std::size_t y = 0; y < kSumRows; ++y) v[y] = cell<masked>(rows, masks, y * stride + x);
        const float sum = ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
        sums[x] = (first ? 0.0 : sums[x]) + static_cast<double>(sum);
    }
}

/// The same for so many rows that are added one by one.
template <bool masked, bool first, std::size_t count>
void add_each(double* __restrict sums, const float* __restrict rows, const float* __restrict masks,
              std::size_t stride, std::size_t n) {
    for (std::size_t x = 0; x < n; ++x) {
        double sum = first ? 0.0 : sums[x];
        for (std::size_t y = 0; y < count; ++y) {
            sum += static_cast<double>(cell<masked>(rows, masks, y * stride + x));
        }
        sums[x] = sum;
    }
}

template <bool masked, bool first>
void add_rows_of(double* sums, const float* rows, const float* masks, std::size_t stride,
                 std::size_t count, std::size_t n) {
    if (count == kSumRows) return add_group<masked, first>(sums, rows, masks, stride, n);
    std::size_t y = 0;
    const auto add = [&](auto* add_some, std::size_t some) {
        add_some(sums, rows + y * stride, masked ? masks + y * stride : nullptr, stride, n);
        y += some;
    };
    if (first) add(add_each<masked, true, 1>, 1);
    while (y + 3 <= count) add(add_each<masked, false, 3>, 3);
    while (y < count) add(add_each<masked, false, 1>, 1);
}

void add_rows(double* sums, bool first, const float* rows, const float* masks, std::size_t stride,
              std::size_t count, std::size_t n) {
    if (masks == nullptr) {
        const auto add = first ? add_rows_of<false, true> : add_rows_of<false, false>;
        add(sums, rows, nullptr, stride, count, n);
    } else {
        const auto add = first ? add_rows_of<true, true> : add_rows_of<true, false>;
        add(sums, rows, masks, stride, count, n);
    }
}

/// Folds lanes, four to each of n vectors, a power of two.
template <std::size_t n>
EDGECOUNT_INLINE double fold(Doubles (&lanes)[n]) {
    if constexpr (n == 1) {
        return fold(lanes[0]);
    } else {
        Doubles half[n / 2];
        for (std::size_t i = 0; i < n / 2; ++i) half[i] = lanes[i] + lanes[i + n / 2];
        return fold(half);
    }
}

/// At most four values, filled up with zeros.
inline Doubles load_some(const double* values, std::size_t n) {
    double some[4] = {};
    for (std::size_t i = 0; i < 4 && i < n; ++i) some[i] = values[i];
    return load(some);
}

/// The lane sum of n values, see lane_sum.h.
template <std::size_t kLanes>
EDGECOUNT_INLINE double lane_sum(const double* values, std::size_t n) {
    const double zeros[4] = {};
    Doubles lanes[kLanes / 4];
    for (Doubles& lane : lanes) lane = load(zeros);
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (std::size_t j = 0; j < kLanes / 4; ++j) lanes[j] = lanes[j] + load(values + i + 4 * j);
    }
    for (std::size_t j = 0; i < n; i += 4, ++j) {
        lanes[j] = lanes[j] + (i + 4 <= n ? load(values + i) : load_some(values + i, n - i));
    }
    return fold(lanes);
}

/// The sums of some cells side by side, in so many lanes. `known` is their width or 0: where it is
/// a constant, a cell's columns stay in registers.
template <std::size_t kLanes, std::size_t known>
double fold_cells(const double* columns, std::size_t width, std::size_t cells, std::size_t step,
                  double* parts) {
    if (known != 0) width = known;
    double all = 0.0;
    for (std::size_t cell = 0; cell < cells; ++cell) {
        const double sum = lane_sum<kLanes>(columns + cell * width, width);
        parts[cell * step] = sum;
        all += sum;
    }
    return all;
}

double fold_columns(const double* columns, std::size_t width, std::size_t cells, std::size_t step,
                    double* parts) {
    // Lanes without a value would add 0, so that fewer lanes give the same.
    if (width == 8) return fold_cells<8, 8>(columns, width, cells, step, parts);
    if (width == 16) return fold_cells<16, 16>(columns, width, cells, step, parts);
    if (width == 64) return fold_cells<kWarpLanes, 64>(columns, width, cells, step, parts);
    if (width <= 8) return fold_cells<8, 0>(columns, width, cells, step, parts);
    return fold_cells<kWarpLanes, 0>(columns, width, cells, step, parts);
}

void weigh_cells(const double* __restrict people, std::size_t n, double low, double high,
                 double* __restrict weights) {
    for (std::size_t i = 0; i < n; ++i) weights[i] = density_weight(people[i], low, high);
}

template <std::size_t kLanes>
Tally fuse_cells_by(const double* __restrict density, const double* __restrict peaks,
                    const double* __restrict weights, std::size_t n) {
    // With fewer lanes where they do, as in fold_columns.
    if constexpr (kLanes > 4) {
        if (n <= kLanes / 4) return fuse_cells_by<kLanes / 4>(density, peaks, weights, n);
    }
    double counts[kLanes] = {};
    double densities[kLanes] = {};
    double peak_counts[kLanes] = {};
    for (std::size_t i = 0; i < n; i += kLanes) {
        const std::size_t lanes = n - i < kLanes ? n - i : kLanes;
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            const double people = density[i + lane];
            const double points = peaks[i + lane];
            counts[lane] += blend(weights[i + lane], people, points);
            densities[lane] += people;
            peak_counts[lane] += points;
        }
    }
    return {lane_sum<kLanes>(counts, kLanes), lane_sum<kLanes>(densities, kLanes),
            lane_sum<kLanes>(peak_counts, kLanes)};
}

constexpr SumKernels sum_kernels_here() {
    return {halves_to_floats, are_finite,  are_coverage, add_rows,
            fold_columns,     weigh_cells, fuse_cells_by<kBlockLanes>};
}

}  // namespace
}  // namespace edgecount
