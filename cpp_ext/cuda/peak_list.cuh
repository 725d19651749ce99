// Peaks as points, in raster order, and how many lie in each region and grid cell.
#pragma once

#include "cells.cuh"
#include "sum_arithmetic.h"

namespace edgecount::cuda {

/// Peaks that a block lists before it places them: its threads then share them out evenly, however
/// they lie.
constexpr unsigned kListed = 4 * kThreads;

/// Where the parabola through three samples peaks, as on the CPU.
__device__ inline float parabola_shift(float before, float middle, float after) {
    const float left = before - middle;
    const float right = after - middle;
    const float shift = __fdiv_rn(__fmul_rn(0.5F, left - right), left + right);
    const float above = shift > -0.5F ? shift : -0.5F;
    const float cut = above < 0.5F ? above : 0.5F;
    return shift == shift ? cut : 0.0F;
}

/// The point of the peak in a cell; raises `bad` where its offset is not finite.
__device__ inline Peak point_at(const Plan& plan, const Cells& heatmap, const Cells& offset,
                                std::size_t image, unsigned y, unsigned x, bool& bad) {
    const float score = value_at(heatmap, image, y, x);
    if (offset.data != nullptr) {
        const float dx = value_at(offset, 2 * image, y, x);
        const float dy = value_at(offset, 2 * image + 1, y, x);
        bad = bad || !isfinite(dx) || !isfinite(dy);
        return {static_cast<float>(x) + dx, static_cast<float>(y) + dy, score};
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

__device__ inline void store_point(const ListPlan& plan, std::size_t image, unsigned rank,
                                   const Peak& point) {
    if (rank < plan.listed) {
        plan.points[image * plan.listed + rank] = point;
    } else {
        plan.rest[image * (plan.room - plan.listed) + rank - plan.listed] = point;
    }
}

/// Adds a peak to its grid cell and, as much as the masks cover it, to the regions. All lanes of a
/// warp must come here, those without a peak too.
__device__ inline void add_to_regions(const Plan& plan, std::size_t image, bool present, unsigned y,
                                      unsigned x) {
    const RegionPlan& region = plan.region;
    if (region.cells == 1 && region.regions == 0) return;
    const unsigned row = present ? min(y / region.ratio, region.height - 1) : 0;
    const unsigned column = present ? min(x / region.ratio, region.width - 1) : 0;
    unsigned cell = 0;
    if (region.cells != 1) {
        cell = row / plan.density.cell_height * plan.density.columns +
               column / plan.density.cell_width;
        if (present) atomicAdd(&region.cell_peaks[image * region.cells + cell], 1U);
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
            atomicAdd(&region.shares[(image * region.regions + i) * region.cells + cell], shares);
        }
    }
}

/// The peaks of a word, one for each tile of a row.
struct Word {
    uint4 bits;

    __device__ unsigned count() const {
        return __popc(bits.x) + __popc(bits.y) + __popc(bits.z) + __popc(bits.w);
    }

    /// Writes those whose rank is from `begin` to `end`, as `code` plus the cell's number, to the
    /// places by their rank; `rank` is the first one's.
    __device__ void list(unsigned rank, unsigned begin, unsigned end, unsigned code,
                         unsigned (&places)[kListed]) const {
        const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
        for (unsigned any = bits.x | bits.y | bits.z | bits.w; any != 0; any &= any - 1) {
            const auto lane = static_cast<unsigned>(__ffs(static_cast<int>(any)) - 1);
#pragma unroll
            for (unsigned v = 0; v < 4; ++v) {
                if ((words[v] >> lane & 1U) == 0) continue;
                if (rank >= begin && rank < end) places[rank - begin] = code + 4 * (lane - 1) + v;
                ++rank;
            }
        }
    }
};

/// The rows whose peaks a block lists.
struct Rows {
    unsigned image;
    unsigned strip;  // first of them
    unsigned first;
    unsigned words;  // of all these rows
};

__device__ inline Rows rows_of(const Plan& plan) {
    const HeatmapPlan& heatmap = plan.heatmap;
    Rows rows;
    rows.image = blockIdx.x / plan.list.blocks;
    rows.strip = (blockIdx.x % plan.list.blocks - 1) * plan.list.block_strips;
    rows.first = rows.strip * heatmap.strip_rows;
    const unsigned end =
        min(heatmap.height, rows.first + plan.list.block_strips * heatmap.strip_rows);
    rows.words = rows.first < end ? (end - rows.first) * heatmap.tiles : 0;
    return rows;
}

__device__ inline Word read_word(const HeatmapPlan& plan, const Rows& rows, unsigned i) {
    if (i >= rows.words) return {make_uint4(0, 0, 0, 0)};
    const std::size_t row = static_cast<std::size_t>(rows.image) * plan.height + rows.first;
    return {plan.peaks[row * plan.tiles + i]};
}

/// Peaks in the strips above, for a thread to sum up.
__device__ inline unsigned count_above(const HeatmapPlan& plan, const Rows& rows) {
    const unsigned* counts =
        plan.counts + static_cast<std::size_t>(rows.image) * plan.strips * plan.tiles;
    unsigned count = 0;
    for (unsigned i = threadIdx.x; i < rows.strip * plan.tiles; i += kThreads) count += counts[i];
    return count;
}

/// Places the listed peaks, the first of which has the given rank in its image.
__device__ inline void place_listed(const Plan& plan, const Cells& heatmap, const Cells& offset,
                                    const Rows& rows, const unsigned (&places)[kListed],
                                    unsigned count, unsigned rank) {
    bool bad = false;
    for (unsigned first = 0; first < count; first += kThreads) {
        const unsigned i = first + threadIdx.x;
        const bool present = i < count;
        unsigned y = 0;
        unsigned x = 0;
        if (present) {
            const unsigned word = places[i] / kTile;
            y = rows.first + word / plan.heatmap.tiles;
            x = word % plan.heatmap.tiles * kTile + places[i] % kTile;
            if (rank + i < plan.list.room) {
                const Peak point = point_at(plan, heatmap, offset, rows.image, y, x, bad);
                store_point(plan.list, rows.image, rank + i, point);
            }
        }
        add_to_regions(plan, rows.image, present, y, x);
    }
    if (bad) atomicOr(&plan.list.bad[rows.image], kBadOffset);
}

/// Lists and places the peaks of this block's rows. The first block of an image has none.
__device__ inline void list_peaks(const Plan& plan, const Cells& heatmap, const Cells& offset) {
    EDGECOUNT_SHARED(unsigned, sums, [kWarps]);
    EDGECOUNT_SHARED(unsigned, places, [kListed]);
    const Rows rows = rows_of(plan);
    Word word = read_word(plan.heatmap, rows, threadIdx.x);
    const unsigned above = block_sum(count_above(plan.heatmap, rows), sums);
    unsigned rank = above;
    for (unsigned i = threadIdx.x; i - threadIdx.x < rows.words; i += kThreads) {
        unsigned before = 0;
        __syncthreads();  // sums are still read
        const unsigned all = block_sum(word.count(), sums, before);
        for (unsigned begin = 0; begin < all; begin += kListed) {
            const unsigned end = min(all, begin + kListed);
            word.list(before, begin, end, i * kTile, places);
            __syncthreads();
            place_listed(plan, heatmap, offset, rows, places, end - begin, rank + begin);
            __syncthreads();
        }
        rank += all;
        word = read_word(plan.heatmap, rows, i + kThreads);
    }
    if (threadIdx.x != 0) return;
    if (plan.region.cells == 1) atomicAdd(&plan.region.cell_peaks[rows.image], rank - above);
    if (blockIdx.x % plan.list.blocks == plan.list.blocks - 1) {
        plan.list.headers[rows.image].peak_count = rank;
    }
}

}  // namespace edgecount::cuda
