// Whether a peak stands out from the scores around it.
#pragma once

#include <cstddef>

#include "edgecount/maps.h"

namespace edgecount {

/// Whether no path of near ties leads from a peak to a cell that beats it, within kAround cells;
/// see peaks.h.
bool stands_out(const Planes& map, std::size_t plane, std::size_t y, std::size_t x);

}  // namespace edgecount
