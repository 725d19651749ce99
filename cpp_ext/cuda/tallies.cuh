// Grid cells to counts, in the order of src/fusion.cpp: an image's first blocks add up some lanes
// of its sums each, for all regions, and its last one adds up what they have.
//
// Where the blend takes long it is for its doubles: each takes most GPUs as long as 64 floats. So
// they are shared out to several processors, and divided only where that changes a bit.
#pragma once

#include "cells.cuh"
#include "lane_sum.h"
#include "sum_arithmetic.h"

namespace edgecount::cuda {

static_assert(kThreads == kBlockLanes, "a thread is a lane of the sums over grid cells");

/// Whether all other blocks of the image are done. Tells all threads of the block, which then see
/// what those blocks have written, and sets the ticket back for the next run.
__device__ inline bool is_last_block(const ListPlan& plan, std::size_t image) {
    EDGECOUNT_SHARED(unsigned, ticket, [1]);
    __syncthreads();
    if (threadIdx.x == 0) {
        // Between barriers one thread's fences are fences for all.
        __threadfence();  // all writes before
        ticket[0] = atomicInc(&plan.tickets[image], plan.blocks - 1);
        __threadfence();  // all reads after
    }
    __syncthreads();
    return ticket[0] == plan.blocks - 1;
}

/// The lanes of an image's sums that this warp adds up, and its turn among the warps of a block
/// that have the same ones.
struct LaneGroup {
    unsigned number;
    unsigned lane;  // this thread's
    unsigned turn;
    unsigned turns;
};

__device__ inline LaneGroup group_of(const RegionPlan& plan, unsigned block) {
    const unsigned warp = threadIdx.x / 32;
    const unsigned place = threadIdx.x % 32;
    const unsigned number = (block << plan.group_bits) + warp % (1U << plan.group_bits);
    return {number, place / 4 * 32 + number * 4 + place % 4, warp >> plan.group_bits,
            kWarps >> plan.group_bits};
}

/// A division, but for zeros, of which GPUs would make a detour.
__device__ inline double quotient(double a, double b) {
    const bool zero = (__double_as_longlong(a) << 1) == 0;
    return zero ? a : a / b;
}

/// The sums of a region's grid cells.
__device__ inline double* sums_of(const Plan& plan, std::size_t image, unsigned region) {
    double* sums = plan.region.parts == 1 ? plan.density.parts : plan.region.sums;
    return sums + (image * (1 + plan.region.regions) + region) * plan.region.cells;
}

/// Sums the parts of the block's grid cells, a warp to a cell.
__device__ inline void join_parts(const Plan& plan, std::size_t image, unsigned block) {
    const RegionPlan& region = plan.region;
    const unsigned bits = region.group_bits + 2;  // of the cells of a block, of 32
    for (unsigned i = 0; i <= region.regions; ++i) {
        const std::size_t first = (image * (1 + region.regions) + i) * region.cells;
        // Other warps begin with each region: there may be one cell.
        for (unsigned n = (threadIdx.x / 32 + i) % kWarps;; n += kWarps) {
            const unsigned cell = (n >> bits) * 32 + (block << bits) + n % (1U << bits);
            if (cell >= region.cells) break;
            const double* parts = plan.density.parts + (first + cell) * region.parts;
            double sum = 0.0;
            for (unsigned part = threadIdx.x % 32; part < region.parts; part += kWarpLanes) {
                sum += parts[part];
            }
            sum = warp_sum(sum);
            if (threadIdx.x % 32 == 0) region.sums[first + cell] = sum;
        }
    }
}

/// Divides the sums of the block's grid cells by the unit. Beside all that tally_lane reads there
/// are not registers enough for a division.
__device__ inline void divide_sums(const Plan& plan, std::size_t image, const LaneGroup& group) {
    for (unsigned i = group.turn; i <= plan.region.regions; i += group.turns) {
        double* sums = sums_of(plan, image, i);
        for (unsigned cell = group.lane; cell < plan.region.cells; cell += kThreads) {
            sums[cell] = quotient(sums[cell], plan.region.unit);
        }
    }
}

/// The people of a sum, which is divided already where that takes a division.
__device__ inline double to_people(const RegionPlan& plan, double sum) {
    return plan.to_people == ToPeople::factor ? product(sum, plan.factor) : sum;
}

/// The people of a whole grid cell, if all of it were like its part inside the map.
__device__ inline double fill_cell(double people, unsigned size, double cell_area) {
    return quotient(people, static_cast<double>(size) / cell_area);
}

/// The weight of the density in a grid cell.
__device__ inline double cell_weight(const Plan& plan, double people, unsigned cell) {
    const RegionPlan& region = plan.region;
    if (!region.fuse) return 1.0;
    const DensityPlan& density = plan.density;
    const unsigned row = cell / density.columns;
    const unsigned column = cell % density.columns;
    const unsigned height = min(density.cell_height, density.height - row * density.cell_height);
    const unsigned width = min(density.cell_width, density.width - column * density.cell_width);
    if (height * width != region.cell_size) {
        people = fill_cell(people, height * width, region.cell_area);
    }
    return density_weight(people, region.fuse_low, region.fuse_high);
}

/// How far the density is trusted in each of the block's grid cells.
__device__ inline void weigh_cells(const Plan& plan, std::size_t image, const LaneGroup& group) {
    const RegionPlan& region = plan.region;
    const double* sums = sums_of(plan, image, 0);
    double* weights = region.weights + image * region.cells;
    for (unsigned cell = group.turn * kThreads + group.lane; cell < region.cells;
         cell += group.turns * kThreads) {
        weights[cell] = cell_weight(plan, to_people(region, sums[cell]), cell);
    }
}

/// Counts the peaks of an image whose grid is one cell, where the first kernel does not.
__device__ inline void count_peaks(const Plan& plan, std::size_t image) {
    EDGECOUNT_SHARED(unsigned, counts, [kWarps]);
    const HeatmapPlan& heatmap = plan.heatmap;
    const unsigned tasks = heatmap.strips * heatmap.tiles;
    unsigned own = 0;
    for (unsigned i = threadIdx.x; i < tasks; i += kThreads) {
        own += heatmap.counts[image * tasks + i];
    }
    const unsigned all = block_sum(own, counts);
    if (threadIdx.x != 0) return;
    plan.region.shares[image * (1 + plan.region.regions)] = all * kPeakShares;
}

/// Where the grid cells of a region lie, from a lane's first on.
struct RegionCells {
    const double* sums;
    const double* weights;
    unsigned long long* shares;
};

__device__ inline RegionCells cells_of_region(const Plan& plan, std::size_t image, unsigned region,
                                              unsigned lane) {
    const RegionPlan& all = plan.region;
    const std::size_t first = (image * (1 + all.regions) + region) * all.cells + lane;
    return {sums_of(plan, image, region) + lane, all.weights + image * all.cells + lane,
            all.shares + first};
}

/// Grid cells of a lane that are read before any is used: reads would wait for each other
/// otherwise.
constexpr unsigned kCellsAhead = 4;

/// What a lane reads; zeros where there is no cell.
struct CellsAhead {
    double sums[kCellsAhead];
    double weights[kCellsAhead];
    unsigned long long shares[kCellsAhead];
};

/// Reads the next cells of a lane, of which there are some up to `left`.
__device__ inline CellsAhead read_ahead(const RegionCells& at, unsigned left) {
    CellsAhead read{};
#pragma unroll
    for (unsigned v = 0; v < kCellsAhead; ++v) {
        if (v * kThreads >= left) continue;
        read.sums[v] = at.sums[v * kThreads];
        read.weights[v] = at.weights[v * kThreads];
        read.shares[v] = at.shares[v * kThreads];
    }
    return read;
}

/// Sets the peaks that a lane has read back for the next run.
__device__ inline void clear_peaks(const RegionCells& at, const CellsAhead& read) {
#pragma unroll
    for (unsigned v = 0; v < kCellsAhead; ++v) {
        if (read.shares[v] != 0) at.shares[v * kThreads] = 0;
    }
}

// A call, or the compiler would let each cell take this way as well, and choose afterwards.
__device__ __noinline__ inline double many_peaks_of(unsigned long long shares) {
    return from_shares(static_cast<std::int64_t>(shares));
}

/// from_shares, by one sum: the shares of less than 2^20 peaks are the fraction of a double from
/// 2^20 on.
__device__ inline double peaks_of(unsigned long long shares) {
    if (shares >> 52 != 0) return many_peaks_of(shares);
    return __longlong_as_double(static_cast<long long>(0x4130000000000000U | shares)) - 0x1p20;
}

/// Sums a region over the grid cells of a lane.
__device__ inline Tally tally_lane(const RegionPlan& plan, RegionCells at, unsigned lane) {
    constexpr unsigned kStep = kCellsAhead * kThreads;
    Tally own;
    for (unsigned first = 0; first < plan.cells; first += kStep) {
        const CellsAhead read = read_ahead(at, max(plan.cells, first + lane) - first - lane);
        clear_peaks(at, read);
#pragma unroll
        for (unsigned v = 0; v < kCellsAhead; ++v) {
            if (first + v * kThreads >= plan.cells) break;  // for all lanes of the warp
            const double people = to_people(plan, read.sums[v]);
            const double peaks = peaks_of(read.shares[v]);
            own.count += blend(read.weights[v], people, peaks);
            own.density += people;
            own.peaks += peaks;
        }
        at = {at.sums + kStep, at.weights + kStep, at.shares + kStep};
    }
    return own;
}

/// Folds the lanes of a group that are 128, 64 and 32 apart. The first four threads of the warp
/// have the sums.
__device__ inline double fold_group(double sum) {
    for (unsigned distance = 16; distance >= 4; distance /= 2) {
        sum += __shfl_xor_sync(kAllLanes, sum, distance);
    }
    return sum;
}

/// Sums some lanes of an image, for the whole and each region.
__device__ inline void tally_image(const Plan& plan, std::size_t image, unsigned block) {
    const RegionPlan& region = plan.region;
    const LaneGroup group = group_of(region, block);
    if (region.density) {
        if (region.parts != 1) {
            join_parts(plan, image, block);
            __syncthreads();  // sums of the block's cells
        }
        if (region.to_people == ToPeople::division) {
            divide_sums(plan, image, group);
            __syncthreads();  // people of the block's cells
        }
        weigh_cells(plan, image, group);
    }
    if (region.cells == 1 && block == 0) count_peaks(plan, image);
    __syncthreads();  // weights of the block's cells
    for (unsigned i = group.turn; i <= region.regions; i += group.turns) {
        const RegionCells at = cells_of_region(plan, image, i, group.lane);
        Tally sums = tally_lane(region, at, group.lane);
        sums.count = fold_group(sums.count);
        sums.density = fold_group(sums.density);
        sums.peaks = fold_group(sums.peaks);
        const std::size_t first = (image * (1 + region.regions) + i) * kTallyFields;
        double* to = region.lanes + first * kWarpLanes + 4 * group.number + threadIdx.x % 32;
        if (threadIdx.x % 32 < 4) {
            to[0] = sums.count;
            to[kWarpLanes] = sums.density;
            to[2 * kWarpLanes] = sums.peaks;
        }
    }
}

/// Adds up the lanes that the blocks of an image have left, eight threads to a sum.
__device__ inline void add_lanes(const Plan& plan, std::size_t image) {
    const std::size_t tallied = image * (1 + plan.region.regions);
    const unsigned fields = (1 + plan.region.regions) * kTallyFields;
    const unsigned thread = threadIdx.x % 8;
    for (unsigned i = threadIdx.x / 8; i - threadIdx.x % 32 / 8 < fields; i += kThreads / 8) {
        const std::size_t at = tallied * kTallyFields + min(i, fields - 1);
        const double* lanes = plan.region.lanes + at * kWarpLanes + thread;
        double sum = (lanes[0] + lanes[16]) + (lanes[8] + lanes[24]);
        for (unsigned distance = 4; distance > 0; distance /= 2) {
            sum += __shfl_xor_sync(kAllLanes, sum, distance);
        }
        if (i >= fields || thread != 0) continue;
        Tally& tally = plan.list.tallies[tallied + i / kTallyFields];
        const unsigned field = i % kTallyFields;
        (field == 0 ? tally.count : field == 1 ? tally.density : tally.peaks) = sum;
    }
}

__device__ inline void finish_image(const Plan& plan, std::size_t image) {
    add_lanes(plan, image);
    if (threadIdx.x == 0) {
        plan.list.headers[image].bad = atomicExch(&plan.list.bad[image], 0U);
    }
}

}  // namespace edgecount::cuda
