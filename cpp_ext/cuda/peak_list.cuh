// The points of an image in raster order: those of the strips' tiles, row by row.
#pragma once

#include "cells.cuh"

namespace edgecount::cuda {

/// Points that a block lists before it moves them: its threads then share them out evenly.
constexpr unsigned kListed = 4 * kThreads;

/// The rows whose peaks a block lists.
struct Rows {
    unsigned image;
    unsigned strip;   // first of them
    unsigned pieces;  // of all these rows: what lies in one tile
};

__device__ inline Rows rows_of(const Plan& plan) {
    const HeatmapPlan& heatmap = plan.heatmap;
    Rows rows;
    rows.image = blockIdx.x / plan.list.blocks;
    rows.strip = (blockIdx.x % plan.list.blocks - plan.region.blocks) * plan.list.block_strips;
    const unsigned first = rows.strip * heatmap.strip_rows;
    const unsigned end = min(heatmap.height, first + plan.list.block_strips * heatmap.strip_rows);
    rows.pieces = first < end ? (end - first) * heatmap.tiles : 0;
    return rows;
}

/// Points that lie side by side.
struct Piece {
    unsigned first;  // in the image's
    unsigned count;
};

__device__ inline Piece read_piece(const HeatmapPlan& plan, const Rows& rows, unsigned i) {
    if (i >= rows.pieces) return {0, 0};
    const unsigned row = i / plan.tiles;
    const unsigned strip = rows.strip + row / plan.strip_rows;
    const unsigned task = strip * plan.tiles + i % plan.tiles;
    const std::size_t at = std::size_t{rows.image} * plan.strips * plan.tiles + task;
    const unsigned short* begins = plan.begins + at * (plan.strip_rows + 1) + row % plan.strip_rows;
    const unsigned begin = begins[0];
    return {task * plan.strip_room + begin, begins[1] - begin};
}

/// Peaks in the strips above, for a thread to sum up.
__device__ inline unsigned count_above(const HeatmapPlan& plan, const Rows& rows) {
    const unsigned* counts = plan.counts + std::size_t{rows.image} * plan.strips * plan.tiles;
    unsigned count = 0;
    for (unsigned i = threadIdx.x; i < rows.strip * plan.tiles; i += kThreads) count += counts[i];
    return count;
}

/// Moves the listed points to where they come back from, `rank` being the first one's in its image.
__device__ inline void move_points(const Plan& plan, bool offset, unsigned image,
                                   const unsigned (&listed)[kListed], unsigned count,
                                   unsigned rank) {
    const ListPlan& list = plan.list;
    const Peak* points = plan.heatmap.points + std::size_t{image} * plan.heatmap.image_room;
    bool bad = false;
    for (unsigned i = threadIdx.x; i < count && rank + i < list.room; i += kThreads) {
        const Peak point = points[listed[i]];
        bad = bad || (offset && !(isfinite(point.x) && isfinite(point.y)));
        const unsigned at = rank + i;
        if (at < list.listed) {
            list.points[std::size_t{image} * list.listed + at] = point;
        } else {
            list.rest[std::size_t{image} * (list.room - list.listed) + at - list.listed] = point;
        }
    }
    if (bad) atomicOr(&list.bad[image], kBadOffset);
}

/// Lists the points of this block's rows.
__device__ inline void list_points(const Plan& plan, bool offset) {
    EDGECOUNT_SHARED(unsigned, sums, [kWarps]);
    EDGECOUNT_SHARED(unsigned, listed, [kListed]);
    const Rows rows = rows_of(plan);
    Piece piece = read_piece(plan.heatmap, rows, threadIdx.x);
    unsigned rank = block_sum(count_above(plan.heatmap, rows), sums);
    for (unsigned i = threadIdx.x; i - threadIdx.x < rows.pieces; i += kThreads) {
        unsigned before = 0;
        __syncthreads();  // sums are still read
        const unsigned all = block_sum(piece.count, sums, before);
        for (unsigned first = 0; first < all; first += kListed) {
            for (unsigned k = 0; k < piece.count; ++k) {
                const unsigned at = before + k - first;  // huge for those listed already
                if (at < kListed) listed[at] = piece.first + k;
            }
            __syncthreads();  // the list is whole
            const unsigned count = min(all - first, kListed);
            move_points(plan, offset, rows.image, listed, count, rank + first);
            __syncthreads();  // the list is still read
        }
        rank += all;
        piece = read_piece(plan.heatmap, rows, i + kThreads);
    }
    if (threadIdx.x != 0) return;
    if (blockIdx.x % plan.list.blocks == plan.list.blocks - 1) {
        plan.list.headers[rows.image].peak_count = rank;
    }
}

}  // namespace edgecount::cuda
