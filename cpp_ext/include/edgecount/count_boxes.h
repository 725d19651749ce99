// A detector's maps to counts: the boxes above a threshold, less those that others suppress.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "edgecount/maps.h"

namespace edgecount {

/// The maps of one stride for a batch of B images, with A boxes for each cell.
struct BoxLevel {
    Planes scores;           ///< B * A planes, probabilities.
    Planes boxes;            ///< B * 4 * A planes: of box a the four from 4 * a on are the distances
                             ///< from the centre of the cell to its left, top, right and bottom
                             ///< side, in cells.
    std::size_t anchors = 1;  ///< A.
    std::size_t stride = 1;   ///< Pixels to a cell.
};

struct BoxMaps {
    std::size_t batch = 0;
    std::vector<BoxLevel> levels;
    Planes masks;  ///< R planes of float32 coverage in [0, 1], on the cells of the first level.
};

struct BoxOptions {
    float threshold = 0.4F;    ///< A box's score is strictly above it.
    double iou = 0.5;          ///< A box is dropped when it overlaps a kept one by more than this.
    std::size_t capacity = 0;  ///< Most boxes returned per image; 0 for no limit.
    float width = std::numeric_limits<float>::infinity();   ///< Of the frame in the image, which
    float height = std::numeric_limits<float>::infinity();  ///< has padding right of and below it.
};

/// Counts the heads that every image's boxes show.
///
/// The sides of a box are (column + 0.5 - left) * stride and so on, in float32; boxes without area
/// inside the frame are dropped: coarse cells reach into the padding. Boxes are looked at by descending score, ties by level, row, column and box of the
/// cell; one is dropped if its intersection with a kept one, in double, is more than `iou` times
/// their union. No number of boxes is too many.
///
/// Peaks are the centres of the boxes that are left, in pixels of the network, in the order of
/// their scores. A region has the coverage of the mask's cell that the centre lies in; centres
/// outside the map belong to the nearest cell.
///
/// The result does not depend on the instruction set or on the run. Throws std::invalid_argument
/// when sizes or options do not fit together, when a score is a NaN or an infinity, or when a side
/// of a box above the threshold is; the message names the map, as "levels[0].scores", and the image.
std::vector<ImageCount> count_boxes(const BoxMaps& maps, const BoxOptions& options);

}  // namespace edgecount
