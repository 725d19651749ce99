// Maps to counts: peaks, density sums, regions and their fusion.
#pragma once

#include <vector>

#include "edgecount/maps.h"

namespace edgecount {

/// Counts the people of every image of a batch.
///
/// The result does not depend on the instruction set or on the run. Throws std::invalid_argument
/// when sizes or options do not fit together, or when a map holds a NaN or an infinity; the message
/// names the map and the image.
std::vector<ImageCount> count_maps(const Maps& maps, const CountOptions& options);

}  // namespace edgecount
