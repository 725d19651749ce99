// Sums of a density over grid cells, plain and under masks, in the order of src/density.cpp: for
// any grid.
//
// Eight warps read eight rows each: all that a block sums is on its way at once. The last warp of a
// band adds what the others have summed, and then the columns of each grid cell.
#pragma once

#include "cells.cuh"
#include "density.h"
#include "kernels.h"
#include "lane_sum.h"

namespace edgecount::cuda {

constexpr unsigned kGroupRows = kSumRows;
constexpr unsigned kChunk = kChunkColumns;
constexpr unsigned kLaneColumns = kChunk / 32;

/// A block's part of the density and of one region, and this warp's of that.
struct Tile {
    std::size_t image;
    unsigned region;  // 0 for the plain map, else the number of a mask plus 1
    unsigned part;    // number of the part in its image
    unsigned band;    // number in the map
    unsigned slot;    // of the band in the block
    unsigned group;   // of the band, that is the warp's
    unsigned y;       // first row of the band
    unsigned rows;    // of the band; 0 for a warp without one
    unsigned x;       // first column
    unsigned width;   // columns
};

/// The parts of the plain map come first, then those where the sum under a mask is its own.
__device__ inline Tile tile_of(const DensityPlan& plan, unsigned block) {
    const unsigned parts = plan.plain == PlainSums::parts ? plan.tiles * plan.row_blocks : 0;
    const unsigned image_blocks = parts + plan.mask_tasks;
    const unsigned warp = threadIdx.x / 32;
    Tile at;
    at.image = block / image_blocks;
    at.part = block % image_blocks;
    at.region = 0;
    if (at.part >= parts) {
        const MaskTask task = plan.tasks[at.part - parts];
        at.part = task.part;
        at.region = 1 + task.region;
    }
    at.slot = warp / plan.band_groups;
    at.group = warp % plan.band_groups;
    at.band = at.part / plan.tiles * plan.block_bands + at.slot;

    const unsigned tile = at.part % plan.tiles;
    const unsigned column = tile / plan.chunks * plan.tile_cells;
    at.x = column * plan.cell_width + tile % plan.chunks * kChunk;
    const unsigned right = min(plan.width, (column + plan.tile_cells) * plan.cell_width);
    at.width = at.x < right ? min(kChunk, right - at.x) : 0;

    const unsigned row = at.band / plan.cell_bands;
    at.y = row * plan.cell_height + at.band % plan.cell_bands * static_cast<unsigned>(kBandRows);
    const unsigned bottom = min(plan.height, (row + 1) * plan.cell_height);
    const bool present = at.slot < plan.block_bands && at.band < plan.bands;
    at.rows = present ? min(static_cast<unsigned>(kBandRows), bottom - at.y) : 0;
    return at;
}

/// Rows of the warp's group.
__device__ inline unsigned group_rows(const Tile& at) {
    const unsigned first = at.group * kGroupRows;
    return at.rows > first ? min(kGroupRows, at.rows - first) : 0;
}

/// What a lane sums: two columns, 32 apart, of eight rows. Reads of a warp lie side by side, at
/// any alignment.
using Values = float[kGroupRows][kLaneColumns];

template <typename Cell>
__device__ void read_cells(const Cell* first, std::size_t stride, unsigned rows, unsigned width,
                           Values& values) {
    const unsigned lane = threadIdx.x % 32;
    Cell read[kGroupRows][kLaneColumns];
#pragma unroll
    for (unsigned y = 0; y < kGroupRows; ++y) {
        for (unsigned v = 0; v < kLaneColumns; ++v) {
            const unsigned x = lane + 32 * v;
            read[y][v] = Cell{};
            if (y < rows && x < width) read[y][v] = first[y * stride + x];
        }
    }
    // After all reads: each use waits for its own.
#pragma unroll
    for (unsigned y = 0; y < kGroupRows; ++y) {
        for (unsigned v = 0; v < kLaneColumns; ++v) values[y][v] = to_float(read[y][v]);
    }
}

/// Reads the warp's group of rows.
__device__ inline void read_group(const Cells& map, const Tile& at, Values& values) {
    const std::size_t first = (at.y + at.group * kGroupRows) * map.row_stride + at.x;
    const unsigned rows = group_rows(at);
    if (map.half) {
        read_cells(plane_of<__half>(map, at.image) + first, map.row_stride, rows, at.width, values);
    } else {
        read_cells(plane_of<float>(map, at.image) + first, map.row_stride, rows, at.width, values);
    }
}

__device__ inline float sum_of(const float (&values)[kGroupRows]) {
    return ((values[0] + values[1]) + (values[2] + values[3])) +
           ((values[4] + values[5]) + (values[6] + values[7]));
}

/// Sums each column of the warp's group, if it has all rows. Returns whether the sums are finite.
__device__ inline bool sum_group(const Tile& at, const Values& values,
                                 float (&groups)[kWarps][kChunk]) {
    bool finite = true;
    if (group_rows(at) != kGroupRows) return finite;
#pragma unroll
    for (unsigned v = 0; v < kLaneColumns; ++v) {
        const float column[kGroupRows] = {values[0][v], values[1][v], values[2][v], values[3][v],
                                          values[4][v], values[5][v], values[6][v], values[7][v]};
        const float sum = sum_of(column);
        groups[threadIdx.x / 32][threadIdx.x % 32 + 32 * v] = sum;
        finite = finite && isfinite(sum);
    }
    return finite;
}

/// A mask over the warp's band, or none.
struct TileMask {
    const float* first;
    std::size_t stride;

    __device__ float operator()(float value, unsigned y, unsigned x) const {
        return first == nullptr ? value : __fmul_rn(value, first[y * stride + x]);
    }
};

__device__ inline TileMask mask_of(const RegionPlan& plan, const Tile& at) {
    if (at.region == 0) return {nullptr, 0};
    const std::size_t row = static_cast<std::size_t>(at.region - 1) * plan.height + at.y;
    return {plan.masks + row * plan.width + at.x, plan.width};
}

/// Weights the warp's group of rows by a mask.
__device__ inline void weight_group(const TileMask& mask, const Tile& at, Values& values) {
    const unsigned lane = threadIdx.x % 32;
    const unsigned rows = group_rows(at);
    const float* first = mask.first + at.group * kGroupRows * mask.stride;
#pragma unroll
    for (unsigned y = 0; y < kGroupRows; ++y) {
#pragma unroll
        for (unsigned v = 0; v < kLaneColumns; ++v) {
            const unsigned x = lane + 32 * v;
            if (y < rows && x < at.width) {
                values[y][v] = __fmul_rn(values[y][v], first[y * mask.stride + x]);
            }
        }
    }
}

/// sum_huge_column of src/density.cpp.
__device__ inline double sum_huge_column(const Cells& map, const Tile& at, const TileMask& mask,
                                         unsigned x) {
    double sum = 0.0;
    for (unsigned y = 0; y < at.rows; y += kGroupRows) {
        const unsigned rows = min(kGroupRows, at.rows - y);
        float values[kGroupRows] = {};
        for (unsigned i = 0; i < rows; ++i) {
            values[i] = mask(value_at(map, at.image, at.y + y + i, at.x + x), y + i, x);
        }
        const float group = sum_of(values);
        if (rows == kGroupRows && isfinite(group)) {
            sum += static_cast<double>(group);
        } else {
            for (unsigned i = 0; i < rows; ++i) sum += static_cast<double>(values[i]);
        }
    }
    return sum;
}

/// Columns of the warp's band, all of it, for the lanes of its last group.
__device__ inline void sum_columns(const Plan& plan, const Cells& map, const Tile& at,
                                   const TileMask& mask, const Values& own, bool huge,
                                   const float (&groups)[kWarps][kChunk],
                                   double (&sums)[kLaneColumns]) {
    const unsigned full = at.rows / kGroupRows;
    const unsigned first = at.slot * plan.density.band_groups;
    const unsigned left = at.rows % kGroupRows;
#pragma unroll
    for (unsigned v = 0; v < kLaneColumns; ++v) {
        const unsigned x = threadIdx.x % 32 + 32 * v;
        double sum = 0.0;
        if (huge) {
            if (x < at.width) sum = sum_huge_column(map, at, mask, x);
        } else {
            for (unsigned i = 0; i < full; ++i) sum += static_cast<double>(groups[first + i][x]);
#pragma unroll
            for (unsigned y = 0; y < kGroupRows; ++y) {
                if (y < left) sum += static_cast<double>(own[y][v]);
            }
        }
        sums[v] = sum;
    }
}

/// Where the sums of a tile go.
struct TileSums {
    const Plan& plan;
    std::size_t image;
    unsigned part;       // number of the block in its image
    unsigned cell;       // first grid cell
    unsigned cells;      // grid cells beside each other
    unsigned cell_part;  // which part of each

    __device__ void store(unsigned region, unsigned i, double sum) const {
        const std::size_t sums = image * (1 + plan.region.regions) + region;
        plan.density.parts[(sums * plan.region.cells + cell + i) * plan.region.parts + cell_part] =
            sum;
    }

    __device__ MaskPart mask_part(unsigned region) const {
        const DensityPlan& density = plan.density;
        return plan.region.mask_parts[region * density.tiles * density.row_blocks + part];
    }

    /// The plain sum, which is also that of every region that has all of the tile.
    __device__ void store_plain(unsigned i, double sum) const {
        store(0, i, sum);
        for (unsigned region = 0; region < plan.region.regions; ++region) {
            const MaskPart here = mask_part(region);
            if (here == MaskPart::some) continue;
            store(1 + region, i, here == MaskPart::all ? sum : 0.0);
        }
    }
};

__device__ inline TileSums sums_of(const Plan& plan, const Tile& at) {
    const DensityPlan& density = plan.density;
    const unsigned tile = at.part % density.tiles;
    const unsigned column = tile / density.chunks * density.tile_cells;
    return {plan,
            at.image,
            at.part,
            at.band / density.cell_bands * density.columns + column,
            min(density.tile_cells, density.columns - column),
            at.band % density.cell_bands * density.chunks + tile % density.chunks};
}

/// Sums the columns of each grid cell in the tile: as many lanes as a cell has columns, up to the
/// whole warp, add up some columns each, and then their sums are folded.
__device__ inline void sum_cells(const TileSums& out, const Tile& at,
                                 const double (&columns)[kChunk]) {
    const unsigned span = min(out.plan.density.cell_width, kChunk);
    unsigned lanes = 1;
    while (lanes < span && lanes < kWarpLanes) lanes *= 2;
    const unsigned lane = threadIdx.x % 32 % lanes;
    const unsigned together = 32 / lanes;
    for (unsigned first = 0; first < out.cells; first += together) {
        const unsigned i = first + threadIdx.x % 32 / lanes;
        const unsigned end = min((i + 1) * span, at.width);
        double sum = 0.0;
        for (unsigned x = i * span + lane; x < end; x += kWarpLanes) sum += columns[x];
        for (unsigned half = lanes / 2; half > 0; half /= 2) {
            sum += __shfl_xor_sync(kAllLanes, sum, half);
        }
        if (lane != 0 || i >= out.cells) continue;
        if (at.region == 0) {
            out.store_plain(i, sum);
        } else {
            out.store(at.region, i, sum);
        }
    }
}

/// Divides cells by the unit: by a multiplication where that gives the same bits. A division takes
/// GPUs ten instructions, and many more where the cell is 0, as most of a density are.
template <unsigned n>
__device__ void to_people(const DensityPlan& plan, float (&cells)[n]) {
    if (plan.factor != 0.0F) {
        for (float& cell : cells) cell = __fmul_rn(cell, plan.factor);
    } else {
        for (float& cell : cells) cell = __fdiv_rn(cell, plan.unit);
    }
}

/// The density in people, where it is asked for.
__device__ inline void keep(const DensityPlan& plan, const Tile& at, const Values& values) {
    if (plan.kept == nullptr) return;
    const unsigned rows = group_rows(at);
    const std::size_t y = at.image * plan.height + at.y + at.group * kGroupRows;
    float* first = plan.kept + y * plan.width + at.x;
    for (unsigned i = 0; i < kGroupRows; ++i) {
        float row[kLaneColumns];
        for (unsigned v = 0; v < kLaneColumns; ++v) row[v] = values[i][v];
        to_people(plan, row);
        for (unsigned v = 0; v < kLaneColumns; ++v) {
            const unsigned x = threadIdx.x % 32 + 32 * v;
            if (i < rows && x < at.width) {
                first[static_cast<std::size_t>(i) * plan.width + x] = row[v];
            }
        }
    }
}

/// Sums the tile of this block, the number of which is given.
__device__ inline void sum_density(const Plan& plan, const Cells& map, unsigned block) {
    EDGECOUNT_SHARED(float, groups, [kWarps][kChunk]);
    EDGECOUNT_SHARED(double, columns, [kWarps][kChunk]);
    const Tile at = tile_of(plan.density, block);
    const TileMask mask = mask_of(plan.region, at);
    Values values;
    read_group(map, at, values);
    if (at.region == 0) {
        keep(plan.density, at, values);
    } else {
        weight_group(mask, at, values);
    }
    const bool finite = sum_group(at, values, groups);
    const bool huge = __syncthreads_or(!finite) != 0;
    const bool last = at.rows != 0 && at.group == (at.rows - 1) / kGroupRows;
    if (!last) return;

    double sums[kLaneColumns];
    sum_columns(plan, map, at, mask, values, huge, groups, sums);
    bool bad = false;
    for (unsigned v = 0; v < kLaneColumns; ++v) {
        columns[at.slot][threadIdx.x % 32 + 32 * v] = sums[v];
        bad = bad || !isfinite(sums[v]);
    }
    __syncwarp();
    if (bad) atomicOr(&plan.list.bad[at.image], kBadDensity);
    sum_cells(sums_of(plan, at), at, columns[at.slot]);
}

}  // namespace edgecount::cuda
