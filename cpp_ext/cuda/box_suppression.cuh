// Greedy suppression: which candidates are kept, and what comes back of them.
//
// A block goes over an image's candidates in order, kThreads of them at a time. Each is compared
// with the boxes that are kept so far and, if none of these drops it, with the earlier ones of its
// tile. Among those the fate of a candidate is known once that of all it overlaps is: the tile is
// settled in rounds, of which a crowd needs a few. This keeps what one after the other would keep.
#pragma once

#include "box_arithmetic.h"
#include "box_plan.h"
#include "cells.cuh"

namespace edgecount::cuda {

/// Boxes that a thread compares with its own in one go.
constexpr unsigned kAtOnce = 4;

/// A tile of candidates, a thread to each, and bits of them by warp.
struct Tile {
    float4 boxes[kThreads];
    float4 kept_boxes[kThreads];          // a part of those kept so far
    unsigned overlaps[kWarps][kThreads];  // bits of the earlier ones that a candidate overlaps
    unsigned open[kWarps];                // not decided yet
    unsigned kept[kWarps];
};

__device__ inline float4 no_box() { return make_float4(0.0F, 0.0F, 0.0F, 0.0F); }
__device__ inline Box to_box(const float4& box) { return {box.x, box.y, box.z, box.w}; }

/// Whether a box overlaps one of kAtOnce others.
__device__ inline bool overlaps_one(const float4* others, const Box& box, double iou) {
    float4 read[kAtOnce];
#pragma unroll
    for (unsigned v = 0; v < kAtOnce; ++v) read[v] = others[v];
    bool any = false;
    // After all reads: each use waits for its own.
#pragma unroll
    for (unsigned v = 0; v < kAtOnce; ++v) any = overlap(to_box(read[v]), box, iou) || any;
    return any;
}

/// Whether no box that is kept so far drops this thread's candidate. All threads come here.
__device__ inline bool survives_kept(const BoxPlan& plan, Tile& tile, const float4* boxes,
                                     unsigned kept, const Box& box, bool alive) {
    for (unsigned first = 0; first < kept; first += kThreads) {
        const unsigned count = min(kThreads, kept - first);
        __syncthreads();  // the part before is still read
        // Beyond them boxes without area, which overlap nothing.
        tile.kept_boxes[threadIdx.x] = threadIdx.x < count ? boxes[first + threadIdx.x] : no_box();
        __syncthreads();  // the part is whole
        for (unsigned i = 0; alive && i < count; i += kAtOnce) {
            alive = !overlaps_one(&tile.kept_boxes[i], box, plan.iou);
        }
    }
    return alive;
}

/// Finds which of the earlier open candidates of the tile this thread's one overlaps.
__device__ inline void compare_in_tile(const BoxPlan& plan, Tile& tile, const Box& box,
                                       bool alive) {
    const unsigned warp = threadIdx.x / 32;
    for (unsigned word = 0; word < kWarps; ++word) {
        unsigned bits = 0;
        const unsigned open = word <= warp ? tile.open[word] : 0;
        for (unsigned b = 0; open != 0 && b < 32; ++b) {
            const unsigned other = 32 * word + b;
            if ((open >> b & 1) == 0 || !alive || other >= threadIdx.x) continue;
            if (overlap(to_box(tile.boxes[other]), box, plan.iou)) bits |= 1U << b;
        }
        tile.overlaps[word][threadIdx.x] = bits;
    }
}

/// Decides the open candidates of the tile, as bits in `kept`.
__device__ inline void settle_tile(Tile& tile, bool open) {
    const unsigned warp = threadIdx.x / 32;
    bool kept = false;
    while (__syncthreads_or(open ? 1 : 0) != 0) {
        unsigned dropped = 0;
        unsigned waits = 0;
        for (unsigned word = 0; word <= warp; ++word) {
            const unsigned overlaps = tile.overlaps[word][threadIdx.x];
            dropped |= overlaps & tile.kept[word];
            waits |= overlaps & tile.open[word];
        }
        kept = kept || (open && dropped == 0 && waits == 0);
        open = open && dropped == 0 && waits != 0;
        const unsigned still_open = __ballot_sync(kAllLanes, open);
        const unsigned now_kept = __ballot_sync(kAllLanes, kept);
        __syncthreads();  // bits are still read
        if (threadIdx.x % 32 == 0) {
            tile.open[warp] = still_open;
            tile.kept[warp] = now_kept;
        }
    }
}

/// Puts a box that is kept where it comes back from.
__device__ inline void list_box(const BoxPlan& plan, unsigned image, unsigned rank,
                                const float4& box, float score) {
    // Over candidates that have been looked at: those that are kept are fewer.
    const std::size_t at = std::size_t{image} * plan.room + rank;
    plan.boxes[at] = box;
    plan.scores[at] = score;
    if (rank >= plan.listed) return;
    const std::size_t listed = std::size_t{image} * plan.listed + rank;
    plan.found_boxes[listed] = box;
    plan.found_scores[listed] = score;
}

/// Suppresses an image's candidates. Returns how many are kept, the first of `plan.boxes`.
__device__ inline unsigned suppress(const BoxPlan& plan, unsigned image) {
    EDGECOUNT_SHARED(Tile, tiles, [1]);
    Tile& tile = tiles[0];
    const unsigned warp = threadIdx.x / 32;
    const unsigned count = plan.counts[image];
    const float4* boxes = plan.boxes + std::size_t{image} * plan.room;
    const float* scores = plan.scores + std::size_t{image} * plan.room;
    unsigned kept = 0;
    for (unsigned first = 0; first < count; first += kThreads) {
        const unsigned own = first + threadIdx.x;
        const float4 box = own < count ? boxes[own] : no_box();
        const float score = own < count ? scores[own] : 0.0F;
        const bool alive = survives_kept(plan, tile, boxes, kept, to_box(box),
                                         is_visible(to_box(box), plan.width, plan.height));
        const unsigned open = __ballot_sync(kAllLanes, alive);
        tile.boxes[threadIdx.x] = box;
        if (threadIdx.x % 32 == 0) {
            tile.open[warp] = open;
            tile.kept[warp] = 0;
        }
        __syncthreads();  // the tile is whole
        compare_in_tile(plan, tile, to_box(box), alive);
        settle_tile(tile, alive);
        unsigned rank = kept;
        for (unsigned word = 0; word < kWarps; ++word) {
            const unsigned bits = tile.kept[word];
            if (word < warp) rank += __popc(bits);
            if (word == warp) rank += __popc(bits & ((1U << threadIdx.x % 32) - 1));
            kept += __popc(bits);
        }
        if ((tile.kept[warp] >> threadIdx.x % 32 & 1) != 0) list_box(plan, image, rank, box, score);
        __syncthreads();  // boxes that are kept, for the next tile; bits are still read
    }
    return kept;
}

/// Adds up the coverage of each region under the centres of an image's boxes, a warp to a region.
__device__ inline void count_regions(const BoxPlan& plan, unsigned image, unsigned kept) {
    const LevelPlan& grid = plan.level[0];
    const float4* boxes = plan.boxes + std::size_t{image} * plan.room;
    const unsigned cells = grid.height * grid.width;
    for (unsigned region = threadIdx.x / 32; region < plan.regions; region += kWarps) {
        const float* mask = plan.masks + std::size_t{region} * cells;
        long long shares = 0;
        for (unsigned i = threadIdx.x % 32; cells != 0 && i < kept; i += 32) {
            const Peak point = centre_of(to_box(boxes[i]), 0.0F);
            const unsigned y = mask_place(point.y, grid.stride, grid.height);
            const unsigned x = mask_place(point.x, grid.stride, grid.width);
            shares += coverage_shares(mask[y * grid.width + x]);
        }
        shares = warp_sum(shares);
        if (threadIdx.x % 32 == 0) {
            plan.tallies[std::size_t{image} * plan.regions + region] = from_shares(shares);
        }
    }
}

/// Counts one image, and sets back for the next run.
__device__ inline void finish_boxes(const BoxPlan& plan) {
    const unsigned image = blockIdx.x;
    const unsigned kept = suppress(plan, image);
    count_regions(plan, image, kept);
    __syncthreads();  // an image without candidates has met no barrier since its count was read
    if (threadIdx.x != 0) return;
    plan.headers[image] = {kept, plan.bad[image], 0};
    plan.bad[image] = 0;
    plan.counts[image] = 0;
}

}  // namespace edgecount::cuda
