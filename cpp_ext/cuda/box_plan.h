// What the kernels that count boxes are told: sizes, how the work is cut, and where everything
// lies.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "count_plan.h"
#include "edgecount/maps.h"
#include "sum_arithmetic.h"

namespace edgecount::cuda {

/// Levels that fit into the arguments of a kernel.
constexpr unsigned kMostLevels = 16;

/// Candidates that one block sorts.
constexpr unsigned kRun = 4 * kThreads;

/// A candidate as it is sorted, see candidate_key: its rank is the number of its anchor, of those
/// of an image. No two are equal.
using Key = std::uint64_t;

/// The maps of one level.
struct LevelPlan {
    unsigned anchors;
    unsigned height;
    unsigned width;
    unsigned quads;        // of cells in a row of scores
    unsigned first;        // number of its first anchor, of those of an image
    unsigned first_block;  // that reads its scores, of those of an image
    float stride;
};

struct BoxPlan {
    unsigned batch;
    unsigned levels;
    unsigned room;         // anchors of an image
    unsigned scan_blocks;  // of the first kernel for an image
    unsigned sort_blocks;  // of the next two, which go over as many candidates as there are
    unsigned place_blocks;
    unsigned listed;  // boxes of an image in the results
    float threshold;
    double iou;
    float width;  // of the frame, in pixels; beyond it is padding
    float height;

    LevelPlan level[kMostLevels];

    Key* keys;         ///< Batch x room; each run of kRun is sorted.
    float4* boxes;     ///< Batch x room: candidates in order; then the boxes that are kept.
    float* scores;     ///< Batch x room: theirs.
    unsigned* counts;  ///< Batch: candidates; 0 between runs, like the next.
    unsigned* bad;     ///< Batch: bits of the maps that are not finite, see bad_scores.

    unsigned regions;
    const float* masks;  ///< Regions x height x width of the first level.

    Header* headers;       ///< Batch.
    double* tallies;       ///< Batch x regions.
    float4* found_boxes;   ///< Batch x listed.
    float* found_scores;   ///< Batch x listed.
};

/// The maps of all levels.
struct BoxMapsOnDevice {
    Cells scores[kMostLevels];
    Cells boxes[kMostLevels];
};

/// The bits of a level's maps in BoxPlan::bad. The map of the lowest is named, as on the CPU.
EDGECOUNT_BOTH static inline unsigned bad_scores(unsigned level) { return 1U << level; }
EDGECOUNT_BOTH static inline unsigned bad_boxes(unsigned level) {
    return 1U << (kMostLevels + level);
}

}  // namespace edgecount::cuda
