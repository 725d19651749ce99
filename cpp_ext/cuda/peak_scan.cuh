// Which cells of a heatmap are peaks: a warp marches down a tile, four columns to a lane.
//
// Only the maxima of the rows of half a window above, and the cells of as many rows that may still
// be peaks, are kept, in registers. The outermost lanes are there for the windows of the others
// only. The heatmap is read once but for what strips and tiles share, and that is in a cache, as
// are the neighbours of the peaks when the warp places them at last.
//
// Cells are compared as integers, by their bits: that is the order of floats where at least one is
// positive, as all are that could be peaks, and GPUs find the largest of three integers in one go.
#pragma once

#include "cells.cuh"
#include "peak_place.cuh"
#include "peak_prominence.cuh"

namespace edgecount::cuda {

/// Stands for cells outside the map and for those that are no peaks: less than all that could be,
/// and finite.
constexpr float kOutside = -3.402823466e38F;

/// The lanes that find peaks.
constexpr unsigned kInnerLanes = 0x7ffffffeU;

template <typename Cell>
__device__ Cell outside_cell();
template <>
__device__ inline float outside_cell() {
    return kOutside;
}
template <>
__device__ inline __half outside_cell() {
    return __ushort_as_half(0xfbff);
}

/// A lane's columns of the rows that its warp reads.
template <typename Cell>
struct Columns {
    const Cell* plane;
    std::ptrdiff_t next;  // from a row's first cell of the lane to that of the row below
    std::ptrdiff_t at;    // the same in the row to be read, from the beginning of the plane
    unsigned bottom;      // the end of the rows
    unsigned width;
    int x;  // of the first cell, which may be outside the map, as rows may
};

/// Reads rows from row y on; cells outside the map are less than all that can be peaks.
template <bool vectors, unsigned rows, typename Cell>
__device__ void read_rows(Columns<Cell>& from, int y, float (&cells)[rows][4]) {
    Four<Cell> read[rows];
#pragma unroll
    for (unsigned i = 0; i < rows; ++i) {
        const bool inside = static_cast<unsigned>(y) + i < from.bottom;
        for (Cell& cell : read[i].cells) cell = outside_cell<Cell>();
        if constexpr (vectors) {
            if (inside && static_cast<unsigned>(from.x) < from.width) {
                read[i] = *reinterpret_cast<const Four<Cell>*>(from.plane + from.at);
            }
        } else {
            for (unsigned v = 0; v < 4; ++v) {
                const bool there = static_cast<unsigned>(from.x) + v < from.width;
                if (inside && there) read[i].cells[v] = from.plane[from.at + v];
            }
        }
        from.at += from.next;
    }
    // After all reads: each use waits for its own.
#pragma unroll
    for (unsigned i = 0; i < rows; ++i) {
        for (unsigned v = 0; v < 4; ++v) cells[i][v] = to_float(read[i].cells[v]);
    }
}

/// What the march keeps of the rows that it has passed.
template <unsigned radius>
struct March {
    int maxima[radius][4];   // along the rows, newest last
    int pending[radius][4];  // cells that have won over all that has been seen, or 0
    // Whether the row has such, in any lane; else they are not looked at. With bools the widest
    // window takes more registers than there are on three architectures.
    int alive[radius];

    __device__ March() {
        for (unsigned i = 0; i < radius; ++i) {
            for (unsigned v = 0; v < 4; ++v) maxima[i][v] = pending[i][v] = 0;
            alive[i] = 0;
        }
    }

    /// Takes the next row. Returns whether the row `radius` above it may have peaks, and then
    /// leaves these in `done`, and 0 for all other cells. Most rows of a crowd have none, and
    /// nothing above the threshold either.
    __device__ bool step(const int (&row)[4], int threshold, int (&done)[4]) {
        int cells[4 + 2 * radius];
        spread(row, cells);
        int newest[4];
#pragma unroll
        for (unsigned v = 0; v < 4; ++v) {
            newest[v] = cells[v];
            for (unsigned k = 1; k <= 2 * radius; ++k) newest[v] = max(newest[v], cells[v + k]);
        }
#pragma unroll
        for (unsigned i = 0; i < radius; ++i) {
            if (alive[i] == 0) continue;
            for (unsigned v = 0; v < 4; ++v) {
                if (pending[i][v] < newest[v]) pending[i][v] = 0;
            }
        }
        const bool found = alive[0] != 0;
        for (unsigned v = 0; v < 4; ++v) done[v] = pending[0][v];
        for (unsigned i = 0; i + 1 < radius; ++i) {
            for (unsigned v = 0; v < 4; ++v) pending[i][v] = pending[i + 1][v];
            alive[i] = alive[i + 1];
        }
        const int largest = max(max(row[0], row[1]), max(row[2], row[3]));
        alive[radius - 1] = __any_sync(kAllLanes, largest > threshold);
        if (alive[radius - 1] != 0) start(cells, threshold);
        for (unsigned v = 0; v < 4; ++v) {
            for (unsigned i = 0; i + 1 < radius; ++i) maxima[i][v] = maxima[i + 1][v];
            maxima[radius - 1][v] = newest[v];
        }
        return found;
    }

private:
    /// Finds the cells of the newest row that win over all that has been seen.
    __device__ void start(const int (&cells)[4 + 2 * radius], int threshold) {
        int any = 0;
#pragma unroll
        for (unsigned v = 0; v < 4; ++v) {
            const int own = cells[v + radius];
            int before = threshold;
            int after = cells[v + radius + 1];
            for (unsigned k = 0; k < radius; ++k) before = max(before, cells[v + k]);
            for (unsigned k = 1; k < radius; ++k) after = max(after, cells[v + radius + 1 + k]);
            for (unsigned i = 0; i < radius; ++i) before = max(before, maxima[i][v]);
            // Over the earlier cells in raster order outright, over the later ones also by a tie.
            const bool wins = own > before && own >= after;
            pending[radius - 1][v] = wins ? own : 0;
            any |= pending[radius - 1][v];
        }
        alive[radius - 1] = __any_sync(kAllLanes, any != 0);
    }

    /// A lane's cells with those next to them in the other lanes.
    __device__ static void spread(const int (&row)[4], int (&cells)[4 + 2 * radius]) {
        for (unsigned v = 0; v < 4; ++v) cells[radius + v] = row[v];
#pragma unroll
        for (unsigned k = 0; k < radius; ++k) {
            cells[k] = __shfl_up_sync(kAllLanes, row[4 - radius + k], 1);
            cells[4 + radius + k] = __shfl_down_sync(kAllLanes, row[k], 1);
        }
    }
};

/// The peaks of a row as bits, for the first lanes a word each.
__device__ inline unsigned peak_bits(const int (&cells)[4]) {
    unsigned own = 0;
    for (unsigned v = 0; v < 4; ++v) {
        const unsigned bits = __ballot_sync(kAllLanes, cells[v] != 0);
        if (threadIdx.x % 32 == v) own = bits & kInnerLanes;
    }
    return own;
}

/// The columns of this lane, from the first row that its strip needs.
template <typename Cell>
__device__ Columns<Cell> columns_of(const HeatmapPlan& plan, const Cells& map, const Strip& at,
                                    int reach) {
    const auto next = static_cast<std::ptrdiff_t>(map.row_stride);
    const auto end = static_cast<unsigned>(at.end + reach);
    return {plane_of<Cell>(map, at.image), next,       (at.begin - reach) * next + at.x,
            min(plan.height, end),         plan.width, at.x};
}

/// Finds the peaks of a strip, as bits. Returns whether all cells are finite.
template <typename Cell, bool vectors, unsigned radius>
__device__ bool scan_strip(const HeatmapPlan& plan, const Cells& map, const Strip& at,
                           StripMemory& memory) {
    constexpr int kReach = radius;
    constexpr unsigned kRows = kReadRows<radius>;
    const int threshold = max(__float_as_int(plan.threshold), 0);  // it may be -0
    const unsigned lane = threadIdx.x % 32;
    const auto height = static_cast<unsigned>(at.end - at.begin);
    Columns<Cell> columns = columns_of<Cell>(plan, map, at, kReach);
    March<radius> march;
    float poison = 0.0F;  // stays 0 as long as all cells are finite
    for (int y = -kReach; y < static_cast<int>(height) + kReach; y += static_cast<int>(kRows)) {
        float rows[kRows][4];
        read_rows<vectors>(columns, at.begin + y, rows);
#pragma unroll
        for (unsigned i = 0; i < kRows; ++i) {
            int cells[4];
            for (unsigned v = 0; v < 4; ++v) {
                poison = fmaf(rows[i][v], 0.0F, poison);
                cells[v] = __float_as_int(rows[i][v]);
            }
            int done[4];
            unsigned bits = 0;
            if (march.step(cells, threshold, done)) bits = peak_bits(done);
            const unsigned row = static_cast<unsigned>(y) + i - radius;
            if (lane < 4 && row < height) memory.bits[row][lane] = bits;
        }
    }
    return !__any_sync(kAllLanes, poison != 0.0F);
}

template <typename Cell, unsigned radius>
__device__ bool scan_cells(const HeatmapPlan& plan, const Cells& map, const Strip& at,
                           StripMemory& memory) {
    if (fits_vectors<Cell>(map, plan.width)) {
        return scan_strip<Cell, true, radius>(plan, map, at, memory);
    }
    return scan_strip<Cell, false, radius>(plan, map, at, memory);
}

__device__ inline Strip strip_of(const HeatmapPlan& plan, unsigned task) {
    const unsigned lane = threadIdx.x % 32;
    Strip at;
    at.task = task;
    at.tile = task % plan.tiles;
    const unsigned rest = task / plan.tiles;
    at.image = rest / plan.strips;
    const unsigned first = rest % plan.strips * plan.strip_rows;
    at.begin = static_cast<int>(first);
    at.end = static_cast<int>(min(plan.height, first + plan.strip_rows));
    at.x = static_cast<int>(at.tile * kTile + 4 * lane) - 4;
    return at;
}

/// Finds and places the peaks of this warp's strip.
template <unsigned radius>
__device__ void scan_heatmap(const Plan& plan, const Cells& map, const Cells& offset) {
    EDGECOUNT_SHARED(StripMemory, memories, [kWarps]);
    StripMemory& memory = memories[threadIdx.x / 32];
    const unsigned task = blockIdx.x * kWarps + threadIdx.x / 32;
    if (task >= plan.heatmap.tasks) return;
    const Strip at = strip_of(plan.heatmap, task);
    const bool finite = map.half ? scan_cells<__half, radius>(plan.heatmap, map, at, memory)
                                 : scan_cells<float, radius>(plan.heatmap, map, at, memory);
    if (!finite && threadIdx.x % 32 == 0) atomicOr(&plan.list.bad[at.image], kBadHeatmap);
    __syncwarp();
    drop_near_ties(plan, map, at, memory);
    place_strip(plan, map, offset, at, memory);
}

}  // namespace edgecount::cuda
