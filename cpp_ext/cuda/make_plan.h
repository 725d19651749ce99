// How the counting of a batch is cut into blocks: the sizes in a Plan, without its pointers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "count_plan.h"
#include "density.h"
#include "edgecount/cuda/count_maps.h"
#include "fusion.h"
#include "kernels.h"
#include "map_checks.h"
#include "message.h"

namespace edgecount::cuda {

// Warps enough for each of a GPU's processors to hide how long memory takes to answer.
constexpr std::size_t kWarpsPerProcessor = 32;

// Rows that a block of the second kernel lists the peaks of, at least and at most: no more blocks
// than run at once, but no long ones.
constexpr std::size_t kFewestListRows = 8;
constexpr std::size_t kMostListRows = 64;
constexpr std::size_t kBlocksPerProcessor = 4;

inline std::size_t ceil_div(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

/// As 32 bits, with one to spare, which kernels compute in.
inline unsigned narrow(std::size_t value, const char* what) {
    if (value > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
        reject(what, ": expected less than 2^31 on a GPU, got ", value);
    }
    return static_cast<unsigned>(value);
}

/// The rows of a strip: as many as leave the processors enough to do, and such that the scan reads
/// whole groups of rows, those above and below the strip included.
inline std::size_t strip_rows(std::size_t rows, std::size_t processors, unsigned radius) {
    const std::size_t wanted = std::max<std::size_t>(rows / (processors * kWarpsPerProcessor), 1);
    const std::size_t group = radius < 3 ? kReadRows<1> : kReadRows<3>;
    const std::size_t around = 2 * radius;
    const std::size_t most = (kStripRows + around) / group * group;
    return std::min(ceil_div(wanted + around, group) * group, most) - around;
}

/// The most peaks that so many cells can hold: of two cells in one window only one can be a peak.
inline std::size_t most_peaks(std::size_t height, std::size_t width, std::size_t window) {
    const std::size_t side = window / 2 + 1;
    return ceil_div(height, side) * ceil_div(width, side);
}

inline HeatmapPlan plan_heatmap(const Planes& map, const CountOptions& options,
                                std::size_t processors) {
    HeatmapPlan plan{};
    if (map.cells() == 0) return plan;
    narrow(map.cells(), "heatmap: cells");
    plan.height = static_cast<unsigned>(map.height);
    plan.width = static_cast<unsigned>(map.width);
    plan.tiles = static_cast<unsigned>(ceil_div(map.width, kTile));
    const std::size_t rows = map.height * plan.tiles * map.count;
    plan.strip_rows = static_cast<unsigned>(
        strip_rows(rows, processors, static_cast<unsigned>(options.window) / 2));
    plan.strips = static_cast<unsigned>(ceil_div(map.height, plan.strip_rows));
    const std::size_t room =
        most_peaks(plan.strip_rows, std::min<std::size_t>(plan.width, kTile), options.window);
    plan.strip_room = static_cast<unsigned>(room);
    plan.image_room = narrow(plan.strips * plan.tiles * room, "heatmap: points");
    plan.tasks = narrow(map.count * plan.strips * plan.tiles, "heatmap: parts of a batch");
    plan.blocks = static_cast<unsigned>(ceil_div(plan.tasks, kWarps));
    plan.threshold = options.threshold;
    return plan;
}

/// The factor that gives the same as dividing by the unit, for every value: there is one for powers
/// of two, which are no smaller than the normal numbers (check_unit), so that it is finite. Else 0.
template <typename T>
T exact_factor(T unit) {
    int exponent = 0;
    return std::frexp(unit, &exponent) == T{0.5} ? T{1} / unit : T{0};
}

/// How the plain sums are taken, and who keeps the density where that takes a division.
inline void plan_plain_sums(DensityPlan& plan, const Planes& map, const Grid& grid, bool keep) {
    plan.plain = PlainSums::parts;
    if (grid.cell_height == kSquare && grid.cell_width == kSquare) {
        plan.plain = PlainSums::squares;
        plan.squares = narrow(map.count * grid.size(), "density: squares of a batch");
        plan.plain_blocks = static_cast<unsigned>(ceil_div(plan.squares, kThreads / 2));
    } else if (grid.size() == 1) {
        plan.plain = PlainSums::bands;
        plan.plain_blocks =
            narrow(map.count * plan.bands * ceil_div(plan.chunks, 2), "density: parts of a batch");
    }
    if (!keep || plan.plain == PlainSums::parts) return;
    plan.sums_keep = plan.factor != 0.0F;
    if (plan.sums_keep) return;
    plan.kept_blocks = narrow(
        map.count * ceil_div(map.height, kBandRows) * ceil_div(map.width, kChunkColumns),
        "density: parts of a batch");
}

inline DensityPlan plan_density(const Planes& map, const Grid& grid, double unit, bool keep) {
    DensityPlan plan{};
    if (map.cells() == 0) return plan;
    narrow(map.cells(), "density: cells");
    const std::size_t cell_height = std::min(grid.cell_height, map.height);
    const std::size_t cell_width = std::min(grid.cell_width, map.width);
    plan.height = static_cast<unsigned>(map.height);
    plan.width = static_cast<unsigned>(map.width);
    plan.cell_height = static_cast<unsigned>(cell_height);
    plan.cell_width = static_cast<unsigned>(cell_width);
    plan.rows = static_cast<unsigned>(grid.rows);
    plan.columns = static_cast<unsigned>(grid.columns);
    plan.chunks = static_cast<unsigned>(grid.chunks(map.width));
    plan.cell_bands = static_cast<unsigned>(grid.bands(map.height));
    const std::size_t last_rows = map.height - (grid.rows - 1) * cell_height;
    plan.bands =
        static_cast<unsigned>((grid.rows - 1) * plan.cell_bands + ceil_div(last_rows, kBandRows));
    plan.band_groups = static_cast<unsigned>(ceil_div(std::min(cell_height, kBandRows), kSumRows));
    plan.block_bands = kWarps / plan.band_groups;
    plan.tile_cells = static_cast<unsigned>(std::max<std::size_t>(kChunkColumns / cell_width, 1));
    plan.tiles = static_cast<unsigned>(ceil_div(grid.columns, plan.tile_cells) * plan.chunks);
    plan.row_blocks = static_cast<unsigned>(ceil_div(plan.bands, plan.block_bands));
    plan.unit = static_cast<float>(unit);
    plan.factor = exact_factor(plan.unit);
    plan_plain_sums(plan, map, grid, keep);
    return plan;
}

/// Cuts the lanes of an image's sums into blocks: one for as many grid cells of all regions as it
/// has threads, but for a batch no more than run at once.
inline void plan_tallies(RegionPlan& plan, std::size_t batch, std::size_t processors) {
    const std::size_t cells = (1 + std::size_t{plan.regions}) * plan.cells;
    plan.blocks = 1;
    plan.group_bits = 3;
    static_assert(kLaneGroups == 8);
    while (plan.group_bits > 0 && std::size_t{plan.blocks} * kThreads < cells &&
           2 * plan.blocks * batch <= processors * kBlocksPerProcessor) {
        plan.blocks *= 2;
        --plan.group_bits;
    }
}

inline RegionPlan plan_regions(const Maps& maps, const Grid& grid, const CountOptions& options,
                               std::size_t processors) {
    const Planes& plane = mask_grid(maps);
    RegionPlan plan{};
    plan.regions = narrow(maps.masks.count, "masks: regions");
    plan.height = static_cast<unsigned>(plane.height);
    plan.width = static_cast<unsigned>(plane.width);
    plan.ratio =
        maps.heatmap.present() ? static_cast<unsigned>(grid_ratio(maps.heatmap, plane)) : 1;
    plan.cells = narrow(grid.size(), "fuse_cell: cells");
    plan.parts = static_cast<unsigned>(grid.bands(plane.height) * grid.chunks(plane.width));
    plan.density = maps.density.present();
    // On a plane without cells peaks have no place.
    plan.places = plane.cells() != 0 && (plan.cells != 1 || plan.regions != 0);
    plan.fuse = fuses(maps, options);
    plan.unit = options.unit;
    plan.factor = exact_factor(options.unit);
    plan.to_people = options.unit == 1.0  ? ToPeople::as_is
                     : plan.factor != 0.0 ? ToPeople::factor
                                          : ToPeople::division;
    plan.fuse_low = options.fuse_low;
    plan.fuse_high = options.fuse_high;
    plan.cell_area = static_cast<double>(grid.cell_height) * static_cast<double>(grid.cell_width);
    const bool fits = grid.cell_height <= plane.height && grid.cell_width <= plane.width;
    plan.cell_size = fits ? static_cast<unsigned>(grid.cell_height * grid.cell_width) : 0;
    plan_tallies(plan, maps.batch, processors);
    return plan;
}

inline ListPlan plan_list(const Maps& maps, const HeatmapPlan& heatmap, const RegionPlan& region,
                          const CounterOptions& options, std::size_t processors) {
    ListPlan plan{};
    const std::size_t rows =
        std::clamp(ceil_div(heatmap.height * maps.batch, processors * kBlocksPerProcessor),
                   kFewestListRows, kMostListRows);
    plan.block_strips =
        static_cast<unsigned>(ceil_div(rows, std::max<std::size_t>(heatmap.strip_rows, 1)));
    const std::size_t blocks =
        region.blocks + std::max<std::size_t>(ceil_div(heatmap.strips, plan.block_strips), 1);
    plan.blocks = static_cast<unsigned>(blocks);
    narrow(maps.batch * blocks, "heatmap: parts of a batch");
    const Planes& map = maps.heatmap;
    std::size_t room = most_peaks(map.height, map.width, options.count.window);
    if (options.count.capacity != 0) room = std::min(room, options.count.capacity);
    plan.room = static_cast<unsigned>(room);
    plan.listed = static_cast<unsigned>(std::min(room, options.listed));
    return plan;
}

/// The first row of a band of the density.
inline std::size_t band_begin(const DensityPlan& plan, std::size_t band) {
    return std::min<std::size_t>(
        band / plan.cell_bands * plan.cell_height + band % plan.cell_bands * kBandRows,
        plan.height);
}

/// What of a mask lies in a part of the density.
inline MaskPart mask_part(const DensityPlan& plan, const float* mask, std::size_t part) {
    const std::size_t band = part / plan.tiles * plan.block_bands;
    const std::size_t tile = part % plan.tiles;
    const std::size_t column = tile / plan.chunks * plan.tile_cells;
    const std::size_t left = column * plan.cell_width + tile % plan.chunks * kChunkColumns;
    const std::size_t right =
        std::min<std::size_t>({left + kChunkColumns, (column + plan.tile_cells) * plan.cell_width,
                               static_cast<std::size_t>(plan.width)});
    const std::size_t last = band + plan.block_bands;
    const std::size_t bottom = last < plan.bands ? band_begin(plan, last) : plan.height;
    bool none = true;
    bool all = true;
    for (std::size_t y = band_begin(plan, band); y < bottom; ++y) {
        for (std::size_t x = left; x < right; ++x) {
            none = none && mask[y * plan.width + x] == 0.0F;
            all = all && mask[y * plan.width + x] == 1.0F;
        }
    }
    return none ? MaskPart::none : (all ? MaskPart::all : MaskPart::some);
}

/// Regions x parts of one image.
inline std::vector<MaskPart> mask_parts(const DensityPlan& plan, const Planes& masks) {
    std::vector<MaskPart> parts;
    for (std::size_t region = 0; region < masks.count; ++region) {
        const auto* mask = static_cast<const float*>(masks.row(region, 0));
        for (std::size_t part = 0; part < std::size_t{plan.tiles} * plan.row_blocks; ++part) {
            parts.push_back(mask_part(plan, mask, part));
        }
    }
    return parts;
}

inline std::vector<MaskTask> mask_tasks(const DensityPlan& plan,
                                        const std::vector<MaskPart>& parts) {
    std::vector<MaskTask> tasks;
    const unsigned image_parts = plan.tiles * plan.row_blocks;
    for (unsigned i = 0; i < parts.size(); ++i) {
        if (parts[i] == MaskPart::some) tasks.push_back({i / image_parts, i % image_parts});
    }
    return tasks;
}

}  // namespace edgecount::cuda
