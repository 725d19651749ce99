// Which cells of a heatmap are peaks: a warp marches down a tile, four columns to a lane.
//
// Only the maxima of the rows of half a window above, and the cells of as many rows that may still
// be peaks, are kept, in registers. The outermost lanes are there for the windows of the others
// only. The heatmap is read once but for what strips and tiles share, and that is in a cache.
#pragma once

#include "cells.cuh"

namespace edgecount::cuda {

/// Stands for cells outside the map and for those that are no peaks: less than all that could be,
/// and finite.
constexpr float kOutside = -3.402823466e38F;

/// The lanes that find peaks.
constexpr unsigned kInnerLanes = 0x7ffffffeU;

/// A warp's part of the heatmap, and this lane's of that.
struct Strip {
    unsigned image;
    unsigned tile;
    unsigned strip;
    int begin;  // rows whose peaks are wanted
    int end;
    int x;  // of the lane's first cell, which may be outside the map
};

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

/// Reads rows first, first + 1, ...; the cells of those outside the map or from `end` on, and of
/// columns outside, are less than all that can be peaks.
template <typename Cell, bool vectors, unsigned rows>
__device__ void read_rows(const HeatmapPlan& plan, const Cells& map, const Strip& at, int first,
                          int end, float (&cells)[rows][4]) {
    const int width = static_cast<int>(plan.width);
    const int height = static_cast<int>(plan.height);
    const Cell* plane = plane_of<Cell>(map, at.image);
    Four<Cell> read[rows];
#pragma unroll
    for (unsigned i = 0; i < rows; ++i) {
        const int y = first + static_cast<int>(i);
        const bool inside = y >= 0 && y < height && y < end;
        const Cell* row =
            plane + static_cast<std::ptrdiff_t>(y) * static_cast<std::ptrdiff_t>(map.row_stride);
        for (Cell& cell : read[i].cells) cell = outside_cell<Cell>();
        if constexpr (vectors) {
            if (inside && at.x >= 0 && at.x < width) {
                read[i] = *reinterpret_cast<const Four<Cell>*>(row + at.x);
            }
        } else {
            for (int v = 0; v < 4; ++v) {
                const int x = at.x + v;
                if (inside && x >= 0 && x < width) read[i].cells[v] = row[x];
            }
        }
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
    float maxima[radius][4];   // along the rows, newest last
    float pending[radius][4];  // cells that have won over all that has been seen, or kOutside

    __device__ March() {
        for (unsigned i = 0; i < radius; ++i) {
            for (unsigned v = 0; v < 4; ++v) maxima[i][v] = pending[i][v] = kOutside;
        }
    }

    /// Takes the next row, and leaves in `done` those cells of the row `radius` above it that are
    /// peaks, and kOutside for all others.
    __device__ void step(const float (&row)[4], float threshold, float (&done)[4]) {
        float cells[4 + 2 * radius];
        spread(row, cells);
        float newest[4];
        float candidates[4];
#pragma unroll
        for (unsigned v = 0; v < 4; ++v) {
            const float own = row[v];
            float before = cells[v];
            float after = cells[v + radius + 1];
            for (unsigned k = 1; k < radius; ++k) {
                before = fmaxf(before, cells[v + k]);
                after = fmaxf(after, cells[v + radius + 1 + k]);
            }
            newest[v] = fmaxf(fmaxf(before, own), after);
            for (unsigned i = 0; i < radius; ++i) before = fmaxf(before, maxima[i][v]);
            // Over the earlier cells in raster order outright, over the later ones also by a tie.
            const bool wins = own > threshold && own > before && own >= after;
            candidates[v] = wins ? own : kOutside;
            for (unsigned i = 0; i < radius; ++i) {
                if (pending[i][v] < newest[v]) pending[i][v] = kOutside;
            }
            done[v] = pending[0][v];
            for (unsigned i = 0; i + 1 < radius; ++i) {
                pending[i][v] = pending[i + 1][v];
                maxima[i][v] = maxima[i + 1][v];
            }
            pending[radius - 1][v] = candidates[v];
            maxima[radius - 1][v] = newest[v];
        }
    }

private:
    /// A lane's cells with those next to them in the other lanes.
    __device__ static void spread(const float (&row)[4], float (&cells)[4 + 2 * radius]) {
        for (unsigned v = 0; v < 4; ++v) cells[radius + v] = row[v];
#pragma unroll
        for (unsigned k = 0; k < radius; ++k) {
            cells[k] = __shfl_up_sync(kAllLanes, row[4 - radius + k], 1);
            cells[4 + radius + k] = __shfl_down_sync(kAllLanes, row[k], 1);
        }
    }
};

/// Writes the peaks of a row as bits, each of the first lanes a word, and returns this lane's share
/// of their number.
__device__ inline unsigned write_peaks(unsigned* words, const float (&cells)[4]) {
    const unsigned lane = threadIdx.x % 32;
    unsigned own = 0;
    for (unsigned v = 0; v < 4; ++v) {
        const unsigned bits = __ballot_sync(kAllLanes, cells[v] > kOutside);
        if (lane == v) own = bits & kInnerLanes;
    }
    if (lane < 4) words[lane] = own;
    return __popc(own);
}

template <typename Cell, bool vectors, unsigned radius>
__device__ void scan_strip(const Plan& plan, const Cells& map, const Strip& at) {
    const int reach = static_cast<int>(radius);
    const int end = at.end + reach;
    const std::size_t row = static_cast<std::size_t>(at.image) * plan.heatmap.height +
                            static_cast<std::size_t>(at.begin);
    uint4* words = plan.heatmap.peaks + row * plan.heatmap.tiles + at.tile;
    March<radius> march;
    unsigned count = 0;
    float poison = 0.0F;  // stays 0 as long as all cells are finite
    for (int first = at.begin - reach; first < end; first += static_cast<int>(kReadRows<radius>)) {
        float rows[kReadRows<radius>][4];
        read_rows<Cell, vectors>(plan.heatmap, map, at, first, end, rows);
#pragma unroll
        for (unsigned i = 0; i < kReadRows<radius>; ++i) {
            for (const float cell : rows[i]) poison = fmaf(cell, 0.0F, poison);
            float done[4];
            march.step(rows[i], plan.heatmap.threshold, done);
            const int y = first + static_cast<int>(i) - reach;
            if (y < at.begin || y >= at.end) continue;
            count += write_peaks(reinterpret_cast<unsigned*>(words), done);
            words += plan.heatmap.tiles;
        }
    }
    const bool bad = __any_sync(kAllLanes, poison != 0.0F);
    count = warp_sum(count);
    if (threadIdx.x % 32 != 0) return;
    const std::size_t strip = static_cast<std::size_t>(at.image) * plan.heatmap.strips + at.strip;
    plan.heatmap.counts[strip * plan.heatmap.tiles + at.tile] = count;
    if (bad) atomicOr(&plan.list.bad[at.image], kBadHeatmap);
}

/// Whether rows can be read four cells at a time.
template <typename Cell>
__device__ bool fits_vectors(const Cells& map, unsigned width) {
    return reinterpret_cast<std::size_t>(map.data) % sizeof(Four<Cell>) == 0 &&
           map.row_stride % 4 == 0 && map.plane_stride % 4 == 0 && width % 4 == 0;
}

template <typename Cell, unsigned radius>
__device__ void scan_cells(const Plan& plan, const Cells& map, const Strip& at) {
    if (fits_vectors<Cell>(map, plan.heatmap.width)) {
        scan_strip<Cell, true, radius>(plan, map, at);
    } else {
        scan_strip<Cell, false, radius>(plan, map, at);
    }
}

/// Scans the strip of this warp.
template <unsigned radius>
__device__ void scan_heatmap(const Plan& plan, const Cells& map) {
    const HeatmapPlan& heatmap = plan.heatmap;
    const unsigned task = blockIdx.x * kWarps + threadIdx.x / 32;
    if (task >= heatmap.tasks) return;
    Strip at;
    at.tile = task % heatmap.tiles;
    const unsigned rest = task / heatmap.tiles;
    at.strip = rest % heatmap.strips;
    at.image = rest / heatmap.strips;
    at.begin = static_cast<int>(at.strip * heatmap.strip_rows);
    at.end = static_cast<int>(min(heatmap.height, (at.strip + 1) * heatmap.strip_rows));
    at.x = static_cast<int>(at.tile * kTile + threadIdx.x % 32 * 4) - 4;
    if (map.half) {
        scan_cells<__half, radius>(plan, map, at);
    } else {
        scan_cells<float, radius>(plan, map, at);
    }
}

}  // namespace edgecount::cuda
