// The loops over cells that sum densities; kernels_*.cpp include this file with one instruction set
// each.
//
// Local to each includer, and free of library templates, or the linker might give the code of one
// instruction set to another.
#include "half.h"
#include "kernels.h"

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

void add_row(double* __restrict sums, const float* __restrict row, std::size_t n) {
    for (std::size_t x = 0; x < n; ++x) sums[x] += static_cast<double>(row[x]);
}

inline float sum_of(const float (&values)[kSumRows]) {
    return ((values[0] + values[1]) + (values[2] + values[3])) +
           ((values[4] + values[5]) + (values[6] + values[7]));
}

void add_rows(double* __restrict sums, const float* __restrict rows, std::size_t stride,
              std::size_t n) {
    for (std::size_t x = 0; x < n; ++x) {
        float values[kSumRows];
        for (std::size_t y = 0; y < kSumRows; ++y) values[y] = rows[y * stride + x];
        sums[x] += static_cast<double>(sum_of(values));
    }
}

void add_masked_row(double* __restrict sums, const float* __restrict row,
                    const float* __restrict mask, std::size_t n) {
    for (std::size_t x = 0; x < n; ++x) sums[x] += static_cast<double>(row[x] * mask[x]);
}

void add_masked_rows(double* __restrict sums, const float* __restrict rows,
                     const float* __restrict masks, std::size_t stride, std::size_t n) {
    for (std::size_t x = 0; x < n; ++x) {
        float values[kSumRows];
        for (std::size_t y = 0; y < kSumRows; ++y) {
            values[y] = rows[y * stride + x] * masks[y * stride + x];
        }
        sums[x] += static_cast<double>(sum_of(values));
    }
}

constexpr SumKernels sum_kernels_here() {
    return {halves_to_floats, add_rows, add_row, add_masked_rows, add_masked_row};
}

}  // namespace
}  // namespace edgecount
