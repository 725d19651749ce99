// What the counting kernels are told: sizes, how the work is cut, and where everything lies.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "edgecount/maps.h"

namespace edgecount::cuda {

/// Threads of a block, in all kernels of this part.
constexpr unsigned kThreads = 256;
constexpr unsigned kWarps = kThreads / 32;

/// The sum over grid cells has as many lanes as a block has threads (src/lane_sum.h). A warp adds
/// up those of one group: four side by side of each 32, so that it reads whole sectors of memory,
/// and folds lanes that are 128, 64 and 32 apart by itself.
constexpr unsigned kLaneGroups = kThreads / 32;

/// A peak that counts in full, see coverage_shares.
constexpr unsigned long long kPeakShares = 1ULL << 32;

/// Doubles in a Tally.
constexpr unsigned kTallyFields = 3;

/// Columns of a heatmap that a warp finds the peaks of: four to a lane, but for the outermost
/// lanes.
constexpr unsigned kTile = 120;

/// Rows of a heatmap that a warp reads in one go, before it looks at any: reads would wait for each
/// other otherwise. The widest window leaves fewer registers for them.
template <unsigned radius>
constexpr unsigned kReadRows = radius < 3 ? 4 : 2;

/// Why an image has no counts.
constexpr unsigned kBadHeatmap = 1;
constexpr unsigned kBadOffset = 2;
constexpr unsigned kBadDensity = 4;

/// A map as a kernel gets it, see DevicePlanes.
struct Cells {
    const void* data;
    std::size_t row_stride;
    std::size_t plane_stride;
    bool half;
};

/// Rows of a heatmap that a warp scans at most: a lane for each when it lists their peaks. More
/// would save little, as what strips share comes from a cache.
constexpr unsigned kStripRows = 32;

/// A heatmap, cut into strips of rows and these into tiles of kTile columns. A warp scans one tile
/// of a strip: a task.
struct HeatmapPlan {
    unsigned height;
    unsigned width;
    unsigned strip_rows;
    unsigned strips;
    unsigned tiles;
    unsigned strip_room;  // for points of a task
    unsigned image_room;  // for points of an image
    unsigned tasks;       // of the whole batch
    unsigned blocks;      // of the first kernel
    float threshold;

    Peak* points;            ///< Batch x strips x tiles x strip_room.
    unsigned* counts;        ///< Batch x strips x tiles: points.
    unsigned short* begins;  ///< Batch x strips x tiles x (strip_rows + 1): a row's first point.
};

/// What of a mask lies in a block's part of the density.
enum class MaskPart : std::uint8_t { none, all, some };

/// A part of the density that has to be summed under a mask: there is some of the mask in it.
struct MaskTask {
    unsigned region;
    unsigned part;
};

/// Side of the squares of a usual grid, and of the sums that are taken in float32.
constexpr unsigned kSquare = 8;

/// How the density is summed where no mask plays a part.
enum class PlainSums : std::uint8_t {
    parts,    ///< As under masks.
    squares,  ///< In squares of kSquare, two threads to each.
    bands,    ///< The whole map is one cell: two chunks of a band in a block.
};

/// A density, cut into the bands and chunks of Grid. A block sums `block_bands` bands of one tile,
/// which is as many whole grid cells as fit into a chunk's columns, or one chunk of a wider cell.
struct DensityPlan {
    unsigned height;
    unsigned width;
    unsigned cell_height;
    unsigned cell_width;
    unsigned rows;     // of grid cells
    unsigned columns;  // of grid cells
    unsigned chunks;   // in a cell
    unsigned cell_bands;
    unsigned bands;        // of the map
    unsigned band_groups;  // of kSumRows rows, the last of which may have fewer
    unsigned block_bands;
    unsigned tile_cells;
    unsigned tiles;
    unsigned row_blocks;  // below each other
    unsigned mask_tasks;  // of an image
    PlainSums plain;
    unsigned squares;       // of the whole batch
    unsigned plain_blocks;  // for squares or bands of the whole batch
    bool sums_keep;         // whether these keep what they read
    unsigned kept_blocks;   // that keep the density else, for the whole batch
    unsigned blocks;        // of the first kernel, for the whole batch

    const MaskTask* tasks;
    double* parts;  ///< Batch x (1 + regions) x grid cells x (bands x chunks of a cell).
    float* kept;    ///< Batch x height x width, in people, aligned for four cells; or null.
    float unit;
    float factor;  ///< Multiplying by it gives the same bits as dividing by the unit; or 0.
};

/// How a sum of the density becomes people.
enum class ToPeople : std::uint8_t {
    as_is,     ///< The unit is 1.
    factor,    ///< By a factor that gives the same bits as dividing by the unit.
    division,  ///< By a division, which takes some GPUs as long as ten sums.
};

/// Regions, the grid of their masks, and the fusion.
struct RegionPlan {
    unsigned regions;
    unsigned height;  // of the masks
    unsigned width;
    unsigned ratio;       // heatmap cells to one of theirs, along each axis
    unsigned cells;       // of the grid
    unsigned parts;       // of a cell
    unsigned blocks;      // of the second kernel that tally one image; each has some lane groups
    unsigned group_bits;  // of their number, which is a power of two
    unsigned cell_size;   // map cells in a whole grid cell; 0 where that is larger than the map
    bool density;         // whether there is one
    bool places;          // whether a peak counts for a region or a grid cell
    bool fuse;
    ToPeople to_people;
    double unit;
    double factor;
    double fuse_low;
    double fuse_high;
    double cell_area;

    const float* masks;          ///< Regions x height x width.
    const MaskPart* mask_parts;  ///< Regions x parts of one image of the density.
    unsigned long long* shares;  ///< Batch x (1 + regions) x cells; 0 between runs.
    double* sums;                ///< Batch x (1 + regions) x cells: those of the parts.
    double* weights;             ///< Batch x cells.
    double* lanes;               ///< Batch x (1 + regions) x fields of a Tally x 32 lanes.
};

/// What comes back of an image besides tallies and points.
struct Header {
    std::int64_t peak_count;
    unsigned bad;
    unsigned unused;
};

struct ListPlan {
    unsigned block_strips;  // that one block lists the peaks of
    unsigned blocks;        // of the second kernel for one image; those that tally come first
    unsigned room;          // for points of an image
    unsigned listed;        // of these, in the results

    unsigned* bad;      ///< Batch; 0 between runs, like the next.
    unsigned* tickets;  ///< Batch: blocks that are done.
    Header* headers;    ///< Batch.
    Tally* tallies;     ///< Batch x (1 + regions).
    Peak* points;       ///< Batch x listed.
    Peak* rest;         ///< Batch x (room - listed).
};

struct Plan {
    unsigned batch;
    HeatmapPlan heatmap;
    DensityPlan density;
    RegionPlan region;
    ListPlan list;
};

}  // namespace edgecount::cuda
