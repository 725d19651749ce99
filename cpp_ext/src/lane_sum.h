// Sums in an order that the threads of a GPU can follow.
//
// The lane sum of some values: lane l starts from 0 and adds values l, l + lanes, ...; then the
// upper half of the lanes is added to the lower, until one is left.
#pragma once

#include <cstddef>

namespace edgecount {

/// Columns of a band are added up by a warp, grid cells by a block.
constexpr std::size_t kWarpLanes = 32;
constexpr std::size_t kBlockLanes = 256;

}  // namespace edgecount
