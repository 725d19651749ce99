// The scores above the threshold, in the order of the result, and their boxes.
//
// The scan lists them as they come, in an order that is by chance. Each is a number that no other
// one equals, so that there is one order for all. Runs of them are sorted in shared memory; then
// each finds its place by the number of smaller ones in every run.
#pragma once

#include "box_arithmetic.h"
#include "box_plan.h"
#include "cells.cuh"

namespace edgecount::cuda {

/// The level of the block's scores.
__device__ inline unsigned level_of_block(const BoxPlan& plan, unsigned block) {
    unsigned level = 0;
    while (level + 1 < plan.levels && block >= plan.level[level + 1].first_block) ++level;
    return level;
}

__device__ inline unsigned level_of_anchor(const BoxPlan& plan, unsigned anchor) {
    unsigned level = 0;
    while (level + 1 < plan.levels && anchor >= plan.level[level + 1].first) ++level;
    return level;
}

/// Reads up to four scores of a row from column x on. What is beyond the row is below every
/// threshold.
template <typename Cell>
__device__ void read_scores(const Cells& map, std::size_t plane, unsigned y, unsigned x,
                            unsigned width, float (&scores)[4]) {
    const Cell* from = plane_of<Cell>(map, plane) + y * map.row_stride + x;
    if (x + 4 <= width && reinterpret_cast<std::size_t>(from) % sizeof(Four<Cell>) == 0) {
        const Four<Cell> read = *reinterpret_cast<const Four<Cell>*>(from);
        for (unsigned v = 0; v < 4; ++v) scores[v] = to_float(read.cells[v]);
        return;
    }
    for (unsigned v = 0; v < 4; ++v) scores[v] = x + v < width ? to_float(from[v]) : -1.0F;
}

/// Lists the candidates among four scores of each lane. All lanes are of one image.
__device__ inline void list_candidates(const BoxPlan& plan, unsigned image,
                                       const float (&scores)[4], unsigned first, unsigned step) {
    unsigned own = 0;
    for (unsigned v = 0; v < 4; ++v) own += scores[v] > plan.threshold ? 1 : 0;
    const unsigned before = warp_sum_before(own);
    const unsigned all = __shfl_sync(kAllLanes, before + own, 31);
    if (all == 0) return;
    unsigned begin = 0;
    if (threadIdx.x % 32 == 0) begin = atomicAdd(&plan.counts[image], all);
    unsigned at = __shfl_sync(kAllLanes, begin, 0) + before;
    Key* keys = plan.keys + std::size_t{image} * plan.room;
    for (unsigned v = 0; v < 4; ++v) {
        if (scores[v] > plan.threshold) keys[at++] = candidate_key(scores[v], first + v * step);
    }
}

/// Finds the candidates of one block's scores: four to a thread.
__device__ inline void scan_scores(const BoxPlan& plan, const BoxMapsOnDevice& maps) {
    const unsigned image = blockIdx.x / plan.scan_blocks;
    const unsigned block = blockIdx.x % plan.scan_blocks;
    const unsigned number = level_of_block(plan, block);
    const LevelPlan& level = plan.level[number];
    const unsigned task = (block - level.first_block) * kThreads + threadIdx.x;
    const unsigned row = task / level.quads;
    const unsigned x = 4 * (task % level.quads);
    const unsigned anchor = row / level.height;
    const unsigned y = row % level.height;
    float scores[4] = {-1.0F, -1.0F, -1.0F, -1.0F};
    if (anchor < level.anchors) {
        const Cells& map = maps.scores[number];
        const std::size_t plane = std::size_t{image} * level.anchors + anchor;
        if (map.half) {
            read_scores<__half>(map, plane, y, x, level.width, scores);
        } else {
            read_scores<float>(map, plane, y, x, level.width, scores);
        }
    }
    bool bad = false;
    for (const float score : scores) bad = bad || !isfinite(score);
    if (__any_sync(kAllLanes, bad) && threadIdx.x % 32 == 0) {
        atomicOr(&plan.bad[image], bad_scores(number));
    }
    const unsigned first = level.first + (y * level.width + x) * level.anchors + anchor;
    list_candidates(plan, image, scores, first, level.anchors);
}

/// Sorts a run of keys, padded to `length`, a power of two, in shared memory.
__device__ inline void sort_run(Key (&keys)[kRun], unsigned length) {
    for (unsigned size = 2; size <= length; size *= 2) {
        for (unsigned step = size / 2; step > 0; step /= 2) {
            __syncthreads();  // keys of the step before
            for (unsigned i = threadIdx.x; i < length / 2; i += kThreads) {
                const unsigned low = 2 * i - i % step;
                const unsigned high = low + step;
                const bool ascends = (low & size) == 0;
                const Key one = keys[low];
                const Key other = keys[high];
                if ((one > other) == ascends) {
                    keys[low] = other;
                    keys[high] = one;
                }
            }
        }
    }
    __syncthreads();
}

/// Sorts this block's runs of an image's candidates.
__device__ inline void sort_runs(const BoxPlan& plan) {
    EDGECOUNT_SHARED(Key, keys, [kRun]);
    const unsigned image = blockIdx.x / plan.sort_blocks;
    const unsigned count = plan.counts[image];
    Key* all = plan.keys + std::size_t{image} * plan.room;
    for (unsigned first = blockIdx.x % plan.sort_blocks * kRun; first < count;
         first += plan.sort_blocks * kRun) {
        const unsigned own = min(kRun, count - first);
        unsigned length = 32;
        while (length < own) length *= 2;
        for (unsigned i = threadIdx.x; i < length; i += kThreads) {
            keys[i] = i < own ? all[first + i] : ~Key{0};
        }
        sort_run(keys, length);
        // A thread fills the same places for the next run, so that nothing waits here.
        for (unsigned i = threadIdx.x; i < own; i += kThreads) all[first + i] = keys[i];
    }
}

/// How many keys of a sorted run are smaller.
__device__ inline unsigned count_smaller(const Key* run, unsigned count, Key key) {
    unsigned low = 0;
    unsigned high = count;
    while (low < high) {
        const unsigned middle = (low + high) / 2;
        if (run[middle] < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/// The box at an anchor.
__device__ inline Box read_box(const LevelPlan& level, const Cells& map, unsigned image,
                               unsigned own) {
    const unsigned anchor = own % level.anchors;
    const unsigned cell = own / level.anchors;
    const unsigned y = cell / level.width;
    const unsigned x = cell % level.width;
    const std::size_t plane = 4 * (std::size_t{image} * level.anchors + anchor);
    return decode_box(x, y, level.stride, value_at(map, plane, y, x),
                      value_at(map, plane + 1, y, x), value_at(map, plane + 2, y, x),
                      value_at(map, plane + 3, y, x));
}

/// Puts the boxes and scores of candidates in order.
__device__ inline void place_boxes(const BoxPlan& plan, const BoxMapsOnDevice& maps) {
    const unsigned image = blockIdx.x / plan.place_blocks;
    const unsigned count = plan.counts[image];
    const std::size_t begin = std::size_t{image} * plan.room;
    const Key* keys = plan.keys + begin;
    for (unsigned i = blockIdx.x % plan.place_blocks * kThreads + threadIdx.x; i < count;
         i += plan.place_blocks * kThreads) {
        const Key key = keys[i];
        unsigned rank = 0;
        for (unsigned first = 0; first < count; first += kRun) {
            rank += count_smaller(keys + first, min(kRun, count - first), key);
        }
        const auto anchor = static_cast<unsigned>(key);
        const unsigned number = level_of_anchor(plan, anchor);
        const LevelPlan& level = plan.level[number];
        const Box box = read_box(level, maps.boxes[number], image, anchor - level.first);
        if (!is_finite(box)) atomicOr(&plan.bad[image], bad_boxes(number));
        plan.boxes[begin + rank] = make_float4(box.left, box.top, box.right, box.bottom);
        plan.scores[begin + rank] = candidate_score(key);
    }
}

}  // namespace edgecount::cuda
