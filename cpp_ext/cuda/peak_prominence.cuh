// Peaks that do not stand out from the scores around them are dropped: the rule is in peaks.h.
//
// Few peaks have a near tie beside them, and most of these are settled within a few cells, by the
// lane that finds them. What is left, on plateaus, a warp settles together.
#pragma once

#include "cells.cuh"
#include "near_ties.h"
#include "peak_place.cuh"

namespace edgecount::cuda {

/// The scores around a peak, as near_ties.h compares them.
struct Scores {
    const void* plane;
    std::size_t row_stride;
    bool half;
    unsigned height;
    unsigned width;
    int y;
    int x;

    __device__ std::int32_t operator()(int dy, int dx) const {
        const auto row = static_cast<unsigned>(y + dy);
        const auto column = static_cast<unsigned>(x + dx);
        if (row >= height || column >= width) return 0;
        const std::size_t at = row * row_stride + column;
        return half ? static_cast<const std::int16_t*>(plane)[at]
                    : static_cast<const std::int32_t*>(plane)[at];
    }
};

__device__ inline bool has_near_tie(const Scores& scores, std::int32_t steps) {
    const std::int32_t least = near_tie(scores(0, 0), steps);
    bool near = false;
    for (int dy = -1; dy <= 1; ++dy) {
        for (int dx = -1; dx <= 1; ++dx) {
            near = near || ((dy != 0 || dx != 0) && scores(dy, dx) >= least);
        }
    }
    return near;
}

// What few peaks need are functions of their own, or the scan would lack registers. From sm_90 on
// it is the other way round: what the scan keeps across calls would not fit into the registers that
// a called function has to leave as they are, and would go to memory.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define EDGECOUNT_RARE inline
#else
#define EDGECOUNT_RARE __noinline__ inline
#endif

__device__ EDGECOUNT_RARE Standing look_close(const Scores scores, std::int32_t steps) {
    return stands_out_close(scores, steps);
}

/// Two rows of the cells around a peak: a lane's number below the top, and 32 below that. The
/// columns of a row are the bits of two words.
struct TwoRows {
    unsigned words[2][2];
};

__device__ inline void widen(unsigned (&row)[2]) {
    const unsigned low = row[0] | row[0] << 1 | row[0] >> 1 | row[1] << 31;
    row[1] = row[1] | row[1] << 1 | row[1] >> 1 | row[0] >> 31;
    row[0] = low;
}

/// Looks at all cells within kAround of a peak: which nearly tie with it, and which beat it.
__device__ inline void look_around(const Scores& scores, std::int32_t steps, TwoRows& open,
                                   TwoRows& better) {
    const unsigned lane = threadIdx.x % 32;
    const std::int32_t score = scores(0, 0);
    const std::int32_t least = near_tie(score, steps);
    for (unsigned row = 0; row < 64; ++row) {
        const int dy = static_cast<int>(row) - kAround;
#pragma unroll
        for (unsigned word = 0; word < 2; ++word) {
            const int dx = static_cast<int>(32 * word + lane) - kAround;
            const std::int32_t cell = dy > kAround || dx > kAround ? 0 : scores(dy, dx);
            const unsigned near = __ballot_sync(kAllLanes, cell >= least);
            const unsigned beaten = __ballot_sync(kAllLanes, beats(cell, score, dy, dx));
            // An index that is known only at run time would take the words to memory.
#pragma unroll
            for (unsigned half = 0; half < 2; ++half) {
                if (lane + 32 * half != row) continue;
                open.words[half][word] = near;
                better.words[half][word] = beaten;
            }
        }
    }
}

/// Whether a peak stands out within kAround cells. All lanes of a warp come here with the same one.
__device__ EDGECOUNT_RARE bool stands_out(const Scores scores, std::int32_t steps) {
    const unsigned lane = threadIdx.x % 32;
    TwoRows open;
    TwoRows better;
    look_around(scores, steps, open, better);
    TwoRows reached{};
    if (lane == kAround) reached.words[0][0] = 1U << kAround;
    bool added = true;
    while (added) {
        TwoRows wide = reached;
        widen(wide.words[0]);
        widen(wide.words[1]);
        added = false;
        bool beaten = false;
        for (unsigned word = 0; word < 2; ++word) {
            const unsigned upper = wide.words[0][word];
            const unsigned lower = wide.words[1][word];
            // Row 31 lies over row 32, which is the first lane's.
            const unsigned last_upper = __shfl_sync(kAllLanes, upper, 31);
            const unsigned first_lower = __shfl_sync(kAllLanes, lower, 0);
            unsigned above[2] = {__shfl_up_sync(kAllLanes, upper, 1),
                                 __shfl_up_sync(kAllLanes, lower, 1)};
            unsigned below[2] = {__shfl_down_sync(kAllLanes, upper, 1),
                                 __shfl_down_sync(kAllLanes, lower, 1)};
            if (lane == 0) {
                above[0] = 0;
                above[1] = last_upper;
            }
            if (lane == 31) {
                below[0] = first_lower;
                below[1] = 0;
            }
            for (unsigned half = 0; half < 2; ++half) {
                const unsigned now = (wide.words[half][word] | above[half] | below[half]) &
                                     open.words[half][word];
                added = added || now != reached.words[half][word];
                beaten = beaten || (now & better.words[half][word]) != 0;
                reached.words[half][word] = now;
            }
        }
        if (__any_sync(kAllLanes, beaten)) return false;
        added = __any_sync(kAllLanes, added);
    }
    return true;
}

/// The scores around the cell of a strip that is listed by this code.
__device__ inline Scores scores_at(const HeatmapPlan& plan, const Cells& map, const Strip& at,
                                   unsigned code) {
    const std::size_t size = map.half ? 2 : 4;
    return {static_cast<const char*>(map.data) + at.image * map.plane_stride * size,
            map.row_stride,
            map.half,
            plan.height,
            plan.width,
            at.begin + static_cast<int>(code / kTile),
            static_cast<int>(at.tile * kTile + code % kTile)};
}

/// Drops the peaks of a strip that do not stand out from its bits.
__device__ inline void drop_near_ties(const Plan& plan, const Cells& map, const Strip& at,
                                      StripMemory& memory) {
    const HeatmapPlan& strips = plan.heatmap;
    const std::int32_t steps = map.half ? kNearHalfSteps : kNearSteps;
    const unsigned lane = threadIdx.x % 32;
    const auto rows = static_cast<unsigned>(at.end - at.begin);
    unsigned found[4] = {};
    const unsigned own = read_row(memory, rows, found);
    const unsigned before = warp_sum_before(own);
    // From the last peak to the first, a lane to each: those that are dropped change no rank before
    // them, so that each turn can read the bits anew. There are not registers enough to keep them.
    for (unsigned end = __shfl_sync(kAllLanes, before + own, 31); end != 0;) {
        const unsigned first = end - min(end, 32U);
        unsigned bits[4] = {};
        read_row(memory, rows, bits);
        list_row(bits, lane, before, first, end, memory.listed);
        __syncwarp();
        const bool present = lane < end - first;
        const unsigned code = present ? memory.listed[lane] : 0;
        const Scores scores = scores_at(strips, map, at, code);
        Standing standing = Standing::out;
        if (present && has_near_tie(scores, steps)) standing = look_close(scores, steps);
        unsigned waiting = __ballot_sync(kAllLanes, standing == Standing::unknown);
        for (; waiting != 0; waiting &= waiting - 1) {
            const auto whose = __ffs(static_cast<int>(waiting)) - 1;
            const unsigned place = __shfl_sync(kAllLanes, code, whose);
            const bool out = stands_out(scores_at(strips, map, at, place), steps);
            if (lane == static_cast<unsigned>(whose) && !out) standing = Standing::beaten;
        }
        if (standing == Standing::beaten) {
            const unsigned column = code % kTile;
            atomicAnd(&memory.bits[code / kTile][column % 4], ~(1U << (column / 4 + 1)));
        }
        __syncwarp();  // the list is still read, and bits are still dropped
        end = first;
    }
}

}  // namespace edgecount::cuda
