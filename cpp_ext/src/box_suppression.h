// Greedy suppression of boxes that show the same head.
#pragma once

#include <cstddef>
#include <vector>

#include "box_candidates.h"

namespace edgecount {

/// Keeps of candidates, in their order, those that overlap no kept one by more than an IoU.
///
/// Exactly what comparing each with all that are kept gives. Only those are compared that may
/// overlap so much: boxes are kept in a grid for each size, because IoU above t means that sizes
/// are within a factor of t, and centres near.
std::vector<Candidate> suppress(const std::vector<Candidate>& candidates, double iou);

}  // namespace edgecount
