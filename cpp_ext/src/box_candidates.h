// The boxes of an image whose scores are above the threshold.
#pragma once

#include <cstddef>
#include <vector>

#include "edgecount/count_boxes.h"

namespace edgecount {

struct Candidate {
    Box box;
    float score;
};

/// Returns the boxes with area in the frame of one image, by descending score, ties by level, row, column and
/// box of the cell.
///
/// Throws std::invalid_argument when a score of the image is not finite, else when a side of a box
/// above the threshold is not; the message names the map.
std::vector<Candidate> find_candidates(const BoxMaps& maps, std::size_t image,
                                       const BoxOptions& options);

}  // namespace edgecount
