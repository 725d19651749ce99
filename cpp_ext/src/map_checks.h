// What the CPU and the GPU ask of maps and options before they count.
#pragma once

#include "density.h"
#include "edgecount/count_boxes.h"
#include "edgecount/maps.h"

namespace edgecount {

/// Throws std::invalid_argument when sizes or options do not fit together or a mask holds what is
/// no coverage. Reads no map but the masks.
void check_maps(const Maps& maps, const CountOptions& options);

/// The same for boxes.
void check_boxes(const BoxMaps& maps, const BoxOptions& options);

/// Throws std::invalid_argument unless the threshold is finite and at least 0.
void check_threshold(float threshold);

/// Throws std::invalid_argument unless the masks are as large as a map and hold coverage.
void check_masks(const Planes& masks, const Planes& like);

/// The map whose cells masks and fusion go by.
const Planes& mask_grid(const Maps& maps);

/// Whether the two streams are blended cell by cell.
bool fuses(const Maps& maps, const CountOptions& options);

/// The cells that they are blended in; one for the whole map where they are not.
Grid fusion_grid(const Maps& maps, const CountOptions& options);

}  // namespace edgecount
