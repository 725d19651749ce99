// Peaks of a strip as points, in raster order, and how many lie in each region and grid cell.
#pragma once

#include "cells.cuh"
#include "sum_arithmetic.h"

namespace edgecount::cuda {

/// A warp's part of the heatmap, and this lane's of that.
struct Strip {
    unsigned task;  // number of the part
    unsigned image;
    unsigned tile;
    int begin;  // rows whose peaks are wanted
    int end;
    int x;  // of the lane's first cell, which may be outside the map
};

/// Peaks that a warp lists before it places them: its lanes then share them out evenly, however
/// they lie.
constexpr unsigned kWarpListed = 64;

struct StripMemory {
    unsigned bits[kStripRows][4];        ///< Of each row, see HeatmapPlan.
    unsigned short listed[kWarpListed];  ///< Row * kTile + column.
};

/// Where the parabola through three samples peaks, as on the CPU.
__device__ inline float parabola_shift(float before, float middle, float after) {
    const float left = before - middle;
    const float right = after - middle;
    const float shift = __fdiv_rn(__fmul_rn(0.5F, left - right), left + right);
    const float above = shift > -0.5F ? shift : -0.5F;
    const float cut = above < 0.5F ? above : 0.5F;
    return shift == shift ? cut : 0.0F;
}

__device__ inline Peak point_at(const Plan& plan, const Cells& heatmap, const Cells& offset,
                                std::size_t image, unsigned y, unsigned x) {
    const float score = value_at(heatmap, image, y, x);
    if (offset.data != nullptr) {
        return {static_cast<float>(x) + value_at(offset, 2 * image, y, x),
                static_cast<float>(y) + value_at(offset, 2 * image + 1, y, x), score};
    }
    // Without a neighbour on both sides the peak stands in for both, which shifts nothing.
    const unsigned across = x > 0 && x + 1 < plan.heatmap.width ? 1 : 0;
    const unsigned down = y > 0 && y + 1 < plan.heatmap.height ? 1 : 0;
    const float left = value_at(heatmap, image, y, x - across);
    const float right = value_at(heatmap, image, y, x + across);
    const float above = value_at(heatmap, image, y - down, x);
    const float below = value_at(heatmap, image, y + down, x);
    return {static_cast<float>(x) + 0.5F + parabola_shift(left, score, right),
            static_cast<float>(y) + 0.5F + parabola_shift(above, score, below), score};
}

/// Adds a peak to its grid cell and, as much as the masks cover it, to the regions. All lanes of a
/// warp must come here, those without a peak too.
__device__ inline void add_to_regions(const Plan& plan, std::size_t image, bool present, unsigned y,
                                      unsigned x) {
    const RegionPlan& region = plan.region;
    if (!region.places) return;
    const unsigned row = present ? min(y / region.ratio, region.height - 1) : 0;
    const unsigned column = present ? min(x / region.ratio, region.width - 1) : 0;
    const std::size_t first = image * (1 + region.regions);
    unsigned cell = 0;
    if (region.cells != 1) {
        cell = row / plan.density.cell_height * plan.density.columns +
               column / plan.density.cell_width;
        if (present) atomicAdd(&region.shares[first * region.cells + cell], kPeakShares);
    }
    for (unsigned i = 0; i < region.regions; ++i) {
        const std::size_t at =
            (static_cast<std::size_t>(i) * region.height + row) * region.width + column;
        auto shares =
            static_cast<unsigned long long>(present ? coverage_shares(region.masks[at]) : 0);
        bool adds = shares != 0;
        if (region.cells == 1) {
            // One addition for the warp: all would wait for each other at the one cell.
            shares = warp_sum(shares);
            adds = shares != 0 && threadIdx.x % 32 == 0;
        }
        if (adds) {
            atomicAdd(&region.shares[(first + 1 + i) * region.cells + cell], shares);
        }
    }
}

/// Lists the peaks of a row whose rank is from `begin` to `end`; `rank` is the first one's.
__device__ inline void list_row(const unsigned (&bits)[4], unsigned row, unsigned rank,
                                unsigned begin, unsigned end,
                                unsigned short (&listed)[kWarpListed]) {
    for (unsigned any = bits[0] | bits[1] | bits[2] | bits[3]; any != 0; any &= any - 1) {
        const auto lane = static_cast<unsigned>(__ffs(static_cast<int>(any)) - 1);
#pragma unroll
        for (unsigned v = 0; v < 4; ++v) {
            if ((bits[v] >> lane & 1U) == 0) continue;
            if (rank >= begin && rank < end) {
                listed[rank - begin] =
                    static_cast<unsigned short>(row * kTile + 4 * (lane - 1) + v);
            }
            ++rank;
        }
    }
}

/// Reads the bits of a lane's row, if there is one, and returns how many peaks it has.
__device__ inline unsigned read_row(const StripMemory& memory, unsigned rows,
                                    unsigned (&bits)[4]) {
    const unsigned lane = threadIdx.x % 32;
    unsigned own = 0;
    for (unsigned v = 0; v < 4; ++v) {
        if (lane < rows) bits[v] = memory.bits[lane][v];
        own += static_cast<unsigned>(__popc(bits[v]));
    }
    return own;
}

/// Places the peaks of a strip, and notes where those of each row begin.
__device__ inline void place_strip(const Plan& plan, const Cells& heatmap, const Cells& offset,
                                   const Strip& at, StripMemory& memory) {
    const HeatmapPlan& strips = plan.heatmap;
    const unsigned lane = threadIdx.x % 32;
    const auto rows = static_cast<unsigned>(at.end - at.begin);
    unsigned bits[4] = {};
    const unsigned own = read_row(memory, rows, bits);
    const unsigned before = warp_sum_before(own);
    const unsigned all = __shfl_sync(kAllLanes, before + own, 31);
    unsigned short* begins = strips.begins + std::size_t{at.task} * (strips.strip_rows + 1);
    if (lane < rows) begins[lane] = static_cast<unsigned short>(before);
    if (lane == 0) begins[rows] = static_cast<unsigned short>(all);
    if (lane == 0) strips.counts[at.task] = all;

    Peak* points = strips.points + std::size_t{at.task} * strips.strip_room;
    for (unsigned first = 0; first < all; first += kWarpListed) {
        const unsigned end = min(all, first + kWarpListed);
        list_row(bits, lane, before, first, end, memory.listed);
        __syncwarp();
        for (unsigned i = first + lane; i - lane < end; i += 32) {
            const bool present = i < end;
            const unsigned code = present ? memory.listed[i - first] : 0;
            const unsigned y = static_cast<unsigned>(at.begin) + code / kTile;
            const unsigned x = at.tile * kTile + code % kTile;
            if (present) points[i] = point_at(plan, heatmap, offset, at.image, y, x);
            add_to_regions(plan, at.image, present, y, x);
        }
        __syncwarp();  // the list is still read
    }
}

}  // namespace edgecount::cuda
