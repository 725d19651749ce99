// Sums of a density where no mask plays a part, in the order of src/density.cpp: over the squares
// of a usual grid, two lanes to each, or over the whole map, a block to a band of two chunks.
//
// A GPU that reads fast has few instructions to spend on a cell: here a thread reads four columns
// of eight rows in eight loads, and the sums stay in its registers.
#pragma once

#include "cells.cuh"
#include "density_sums.cuh"

namespace edgecount::cuda {

/// What a thread reads at once.
using Quads = Four<float>[kGroupRows];

/// Where that lies: as many of the rows and columns as there are, which may be none.
struct Patch {
    std::size_t image;
    unsigned y;
    unsigned x;
    unsigned rows;
    unsigned columns;
};

/// Reads the patch; all else is 0.
template <typename Cell, bool vectors>
__device__ void read_cells_of(const Cells& map, const Patch& at, Quads& values) {
    const Cell* first = plane_of<Cell>(map, at.image) + at.y * map.row_stride + at.x;
    Four<Cell> read[kGroupRows];
#pragma unroll
    for (unsigned y = 0; y < kGroupRows; ++y) {
        read[y] = {};
        if constexpr (vectors) {
            if (y < at.rows && at.columns != 0) {
                read[y] = *reinterpret_cast<const Four<Cell>*>(first);
            }
        } else {
            for (unsigned v = 0; v < 4; ++v) {
                if (y < at.rows && v < at.columns) read[y].cells[v] = first[v];
            }
        }
        first += map.row_stride;
    }
    // After all reads: each use waits for its own.
#pragma unroll
    for (unsigned y = 0; y < kGroupRows; ++y) {
        for (unsigned v = 0; v < 4; ++v) values[y].cells[v] = to_float(read[y].cells[v]);
    }
}

__device__ inline void read_quads(const DensityPlan& plan, const Cells& map, const Patch& at,
                                  Quads& values) {
    if (map.half) {
        if (fits_vectors<__half>(map, plan.width)) {
            read_cells_of<__half, true>(map, at, values);
        } else {
            read_cells_of<__half, false>(map, at, values);
        }
    } else if (fits_vectors<float>(map, plan.width)) {
        read_cells_of<float, true>(map, at, values);
    } else {
        read_cells_of<float, false>(map, at, values);
    }
}

/// Writes a row of the patch to where it is kept, and not a cell beside it.
__device__ inline void keep_row(const DensityPlan& plan, const Patch& at, float* to,
                                const Four<float>& row) {
    if (plan.width % 4 == 0) {
        *reinterpret_cast<Four<float>*>(to) = row;
        return;
    }
    for (unsigned v = 0; v < 4; ++v) {
        if (v < at.columns) to[v] = row.cells[v];
    }
}

/// Keeps the patch in people, where it is asked for and takes no division: beside all these values
/// there are not enough registers for one.
__device__ inline void keep_quads(const DensityPlan& plan, const Patch& at, const Quads& values) {
    if (!plan.sums_keep) return;
    const unsigned rows = at.columns != 0 ? at.rows : 0;
    float* to = plan.kept + (at.image * plan.height + at.y) * plan.width + at.x;
#pragma unroll
    for (unsigned y = 0; y < kGroupRows; ++y) {
        if (y >= rows) break;
        Four<float> row;
        for (unsigned v = 0; v < 4; ++v) row.cells[v] = __fmul_rn(values[y].cells[v], plan.factor);
        keep_row(plan, at, to, row);
        to += plan.width;
    }
}

/// The sum of a column, if it has all rows.
__device__ inline float full_sum(const Quads& values, unsigned v) {
    const float column[kGroupRows] = {values[0].cells[v], values[1].cells[v], values[2].cells[v],
                                      values[3].cells[v], values[4].cells[v], values[5].cells[v],
                                      values[6].cells[v], values[7].cells[v]};
    return sum_of(column);
}

/// The sum of a column that is no longer than a group. Of zeros it may be -0.
__device__ inline double short_sum(const Quads& values, unsigned v, unsigned rows) {
    if (rows == kGroupRows) return static_cast<double>(full_sum(values, v));
    double sum = 0.0;
    for (const Four<float>& row : values) sum += static_cast<double>(row.cells[v]);
    return sum;
}

__device__ inline double huge_column(const Cells& map, const Tile& at, unsigned x) {
    return x < at.width ? sum_huge_column(map, at, {nullptr, 0}, x) : 0.0;
}

/// The sum of a square, the left and the right half of which two lanes beside each other have: its
/// columns are folded like the lanes of a lane_sum. All lanes of a warp must come here.
__device__ inline double sum_square(const Quads& values, unsigned rows) {
    double sums[4];
#pragma unroll
    for (unsigned v = 0; v < 4; ++v) {
        sums[v] = short_sum(values, v, rows);
        sums[v] += __shfl_xor_sync(kAllLanes, sums[v], 1);
    }
    const double sum = (sums[0] + sums[2]) + (sums[1] + sums[3]);
    return 0.0 + sum;  // not -0, as if it had started at 0
}

/// The same of a square in which a few values may overflow float32.
__device__ inline double sum_huge_square(const Cells& map, const Tile& at) {
    double sum = 0.0;
#pragma unroll 1
    for (unsigned v = 0; v < 2; ++v) {
        const double outer = huge_column(map, at, v) + huge_column(map, at, v + 4);
        const double inner = huge_column(map, at, v + 2) + huge_column(map, at, v + 6);
        sum += outer + inner;
    }
    return sum;
}

/// Sums the square of this thread and its neighbour.
__device__ inline void sum_squares(const Plan& plan, const Cells& map, unsigned block) {
    const DensityPlan& density = plan.density;
    const unsigned i = block * (kThreads / 2) + threadIdx.x / 2;
    const unsigned rest = i / density.columns;
    Tile at{};
    at.image = rest / density.rows;
    at.y = rest % density.rows * kSquare;
    at.x = i % density.columns * kSquare;
    at.rows = i < density.squares ? min(kSquare, density.height - at.y) : 0;
    at.width = min(kSquare, density.width - at.x);
    const unsigned left = threadIdx.x % 2 * 4;
    const Patch half{at.image, at.y, at.x + left, at.rows, at.width > left ? at.width - left : 0};
    Quads values;
    read_quads(density, map, half, values);
    keep_quads(density, half, values);
    double sum = sum_square(values, at.rows);
    if (at.rows == 0 || left != 0) return;
    if (!isfinite(sum)) {
        sum = sum_huge_square(map, at);
        if (!isfinite(sum)) atomicOr(&plan.list.bad[at.image], kBadDensity);
    }
    const unsigned row = at.y / kSquare;
    const unsigned column = at.x / kSquare;
    const unsigned part = row / density.block_bands * density.tiles + column / density.tile_cells;
    TileSums{plan, at.image, part, row * density.columns + column, 1, 0}.store_plain(0, sum);
}

/// Keeps the rows that are left over of groups, if the warp has some.
__device__ inline void keep_rest(const DensityPlan& plan, const Cells& map, Tile at) {
    if (!plan.sums_keep) return;
#pragma unroll 1
    for (unsigned chunk = 0; chunk < 2; ++chunk) {
        Values values;
        read_group(map, at, values);
        keep(plan, at, values);
        at.x += kChunk;
        at.width = at.width > kChunk ? at.width - kChunk : 0;
    }
}

/// Sums four columns of the warp's group, if it has all rows. Returns whether they are finite.
__device__ inline bool sum_wide_group(const DensityPlan& plan, const Cells& map, const Tile& at,
                                      Four<float> (&groups)[kWarps][32]) {
    const unsigned lane = threadIdx.x % 32;
    if (group_rows(at) != kGroupRows) {
        keep_rest(plan, map, at);
        return true;
    }
    const Patch own{at.image, at.y + at.group * kGroupRows, at.x + 4 * lane, kGroupRows,
                    at.width > 4 * lane ? at.width - 4 * lane : 0};
    Quads values;
    read_quads(plan, map, own, values);
    keep_quads(plan, own, values);
    Four<float> sums;
    bool finite = true;
#pragma unroll
    for (unsigned v = 0; v < 4; ++v) {
        sums.cells[v] = full_sum(values, v);
        finite = finite && isfinite(sums.cells[v]);
    }
    groups[at.group][lane] = sums;
    return finite;
}

/// A column of the block's band: the sums of whole groups first, then the rows that are left.
__device__ inline double sum_band_column(const Cells& map, const Tile& at, unsigned x, bool huge,
                                         const Four<float> (&groups)[kWarps][32]) {
    if (huge) return huge_column(map, at, x);
    const unsigned full = at.rows / kGroupRows;
    const unsigned left = x < at.width ? at.rows % kGroupRows : 0;
    double sum = 0.0;
#pragma unroll
    for (unsigned i = 0; i < kWarps; ++i) {
        if (i < full) sum += static_cast<double>(groups[i][x / 4].cells[x % 4]);
    }
    const unsigned y = at.y + full * kGroupRows;
#pragma unroll
    for (unsigned i = 0; i + 1 < kGroupRows; ++i) {
        if (i < left) sum += static_cast<double>(value_at(map, at.image, y + i, at.x + x));
    }
    return sum;
}

/// Sums a band of two chunks of the whole map.
__device__ inline void sum_band(const Plan& plan, const Cells& map, unsigned block) {
    EDGECOUNT_SHARED(Four<float>, groups, [kWarps][32]);
    const DensityPlan& density = plan.density;
    const unsigned pairs = (density.chunks + 1) / 2;
    const unsigned pair = block % pairs;
    const unsigned rest = block / pairs;
    Tile at{};
    at.band = rest % density.bands;
    at.image = rest / density.bands;
    at.group = threadIdx.x / 32;
    at.y = at.band * static_cast<unsigned>(kBandRows);
    at.rows = min(static_cast<unsigned>(kBandRows), density.height - at.y);
    at.x = pair * 2 * kChunk;
    at.width = min(2 * kChunk, density.width - at.x);
    const bool finite = sum_wide_group(density, map, at, groups);
    const bool huge = __syncthreads_or(!finite) != 0;
    const unsigned chunk = 2 * pair + at.group;
    if (at.group >= 2 || chunk >= density.chunks) return;

    const unsigned x = at.group * kChunk + threadIdx.x % 32;
    double sum = sum_band_column(map, at, x, huge, groups);
    sum += sum_band_column(map, at, x + 32, huge, groups);
    sum = warp_sum(sum);
    if (threadIdx.x % 32 != 0) return;
    if (!isfinite(sum)) atomicOr(&plan.list.bad[at.image], kBadDensity);
    const unsigned part = at.band / density.block_bands * density.tiles + chunk;
    TileSums{plan, at.image, part, 0, 1, at.band * density.chunks + chunk}.store_plain(0, sum);
}

/// Keeps a chunk of a band where that takes a division. What sums have just read is in a cache.
__device__ inline void keep_divided(const DensityPlan& plan, const Cells& map, unsigned block) {
    const unsigned columns = (plan.width + kChunk - 1) / kChunk;
    const unsigned rest = block / columns;
    const unsigned bands = (plan.height + static_cast<unsigned>(kBandRows) - 1) / kBandRows;
    Tile at{};
    at.image = rest / bands;
    at.group = threadIdx.x / 32;
    at.y = rest % bands * static_cast<unsigned>(kBandRows);
    at.rows = min(static_cast<unsigned>(kBandRows), plan.height - at.y);
    at.x = block % columns * kChunk;
    at.width = min(kChunk, plan.width - at.x);
    Values values;
    read_group(map, at, values);
    keep(plan, at, values);
}

}  // namespace edgecount::cuda
