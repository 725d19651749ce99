// Grid cells to counts, in the order of src/fusion.cpp: an image's first block gets the density's
// part ready, its last one counts.
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

/// Takes the parts of all grid cells to people, a warp to a cell.
__device__ inline void join_parts(const Plan& plan, std::size_t first, std::size_t count) {
    for (std::size_t i = first + threadIdx.x / 32; i < first + count; i += kWarps) {
        const double* parts = plan.density.parts + i * plan.region.parts;
        double sum = 0.0;
        for (unsigned part = threadIdx.x % 32; part < plan.region.parts; part += kWarpLanes) {
            sum += parts[part];
        }
        sum = warp_sum(sum);
        if (threadIdx.x % 32 == 0) plan.region.people[i] = sum / plan.region.unit;
    }
}

/// The same where a cell has one part: a thread to a cell.
__device__ inline void take_sums(const Plan& plan, std::size_t first, std::size_t count) {
    for (std::size_t i = first + threadIdx.x; i < first + count; i += kThreads) {
        plan.region.people[i] = plan.density.parts[i] / plan.region.unit;
    }
}

/// The weight of the density in a grid cell.
__device__ inline double cell_weight(const Plan& plan, double people, unsigned cell) {
    if (!plan.region.fuse) return 1.0;
    const DensityPlan& density = plan.density;
    const unsigned row = cell / density.columns;
    const unsigned column = cell % density.columns;
    const unsigned height = min(density.cell_height, density.height - row * density.cell_height);
    const unsigned width = min(density.cell_width, density.width - column * density.cell_width);
    const double share =
        static_cast<double>(static_cast<std::size_t>(height) * width) / plan.region.cell_area;
    return density_weight(people / share, plan.region.fuse_low, plan.region.fuse_high);
}

/// The people of all grid cells, and how far they are trusted.
__device__ inline void weigh_density(const Plan& plan, std::size_t image) {
    const RegionPlan& region = plan.region;
    if (!region.density) return;
    const std::size_t count = (1 + region.regions) * static_cast<std::size_t>(region.cells);
    if (region.parts == 1) {
        take_sums(plan, image * count, count);
    } else {
        join_parts(plan, image * count, count);
    }
    __syncthreads();
    for (unsigned cell = threadIdx.x; cell < region.cells; cell += kThreads) {
        region.weights[image * region.cells + cell] =
            cell_weight(plan, region.people[image * count + cell], cell);
    }
}

/// Folds the lanes of three sums, a warp to each, and returns that of the thread's warp.
__device__ inline double fold_lanes(const double (&lanes)[kThreads]) {
    const unsigned lane = threadIdx.x % 32;
    double sums[4];
    for (unsigned i = 0; i < 4; ++i) sums[i] = lanes[lane + 32 * i] + lanes[lane + 32 * i + 128];
    return warp_sum((sums[0] + sums[2]) + (sums[1] + sums[3]));
}

/// Peaks of a grid cell: all of them for region 0, else by the coverage of that region's mask.
/// Sets their sum back for the next run.
__device__ inline double take_peaks(const RegionPlan& plan, std::size_t image, unsigned region,
                                    unsigned cell) {
    if (region == 0) {
        return static_cast<double>(atomicExch(&plan.cell_peaks[image * plan.cells + cell], 0U));
    }
    const std::size_t at = (image * plan.regions + region - 1) * plan.cells + cell;
    return from_shares(static_cast<std::int64_t>(atomicExch(&plan.shares[at], 0ULL)));
}

/// Counts the whole and each region.
__device__ inline void count_regions(const Plan& plan, std::size_t image) {
    EDGECOUNT_SHARED(double, lanes, [3][kThreads]);
    const RegionPlan& region = plan.region;
    const std::size_t first = image * (1 + region.regions);
    for (unsigned i = 0; i <= region.regions; ++i) {
        Tally own;
        for (unsigned cell = threadIdx.x; cell < region.cells; cell += kThreads) {
            double people = 0.0;
            double weight = 0.0;
            if (region.density) {
                people = region.people[(first + i) * region.cells + cell];
                weight = region.weights[image * region.cells + cell];
            }
            const double peaks = take_peaks(region, image, i, cell);
            own.count += blend(weight, people, peaks);
            own.density += people;
            own.peaks += peaks;
        }
        lanes[0][threadIdx.x] = own.count;
        lanes[1][threadIdx.x] = own.density;
        lanes[2][threadIdx.x] = own.peaks;
        __syncthreads();
        const unsigned warp = threadIdx.x / 32;
        if (warp < 3) {
            const double sum = fold_lanes(lanes[warp]);
            Tally& tally = plan.list.tallies[first + i];
            double& field = warp == 0 ? tally.count : (warp == 1 ? tally.density : tally.peaks);
            if (threadIdx.x % 32 == 0) field = sum;
        }
        __syncthreads();  // lanes are still read
    }
}

__device__ inline void finish_image(const Plan& plan, std::size_t image) {
    count_regions(plan, image);
    if (threadIdx.x == 0) {
        plan.list.headers[image].bad = atomicExch(&plan.list.bad[image], 0U);
    }
}

}  // namespace edgecount::cuda
