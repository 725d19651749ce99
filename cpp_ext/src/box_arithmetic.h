// The arithmetic of boxes that the CPU and the GPU share.
//
// Local to each includer, as in lane_sum.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "edgecount/maps.h"
#include "sum_arithmetic.h"

namespace edgecount {

/// A box of the cell in this column and row, from its distances to the sides in cells.
///
/// A difference times a number: there is no product before a sum that could be fused.
EDGECOUNT_BOTH static inline Box decode_box(std::uint32_t column, std::uint32_t row, float stride,
                                            float left, float top, float right, float bottom) {
    const float x = static_cast<float>(column) + 0.5F;
    const float y = static_cast<float>(row) + 0.5F;
    return {(x - left) * stride, (y - top) * stride, (x + right) * stride, (y + bottom) * stride};
}

EDGECOUNT_BOTH static inline bool is_finite(const Box& box) {
    return box.left - box.left == 0.0F && box.top - box.top == 0.0F &&
           box.right - box.right == 0.0F && box.bottom - box.bottom == 0.0F;
}

/// Whether a box has area inside a frame of this size, whose left upper corner is (0, 0).
EDGECOUNT_BOTH static inline bool is_visible(const Box& box, float width, float height) {
    const float left = box.left > 0.0F ? box.left : 0.0F;
    const float top = box.top > 0.0F ? box.top : 0.0F;
    const float right = box.right < width ? box.right : width;
    const float bottom = box.bottom < height ? box.bottom : height;
    return right > left && bottom > top;
}

/// In double, whose range the sum of two floats cannot leave.
EDGECOUNT_BOTH static inline double middle(float low, float high) {
    return (static_cast<double>(low) + static_cast<double>(high)) * 0.5;
}

/// The head point of a box: its centre, in the unit of its sides.
EDGECOUNT_BOTH static inline Peak centre_of(const Box& box, float score) {
    return {static_cast<float>(middle(box.left, box.right)),
            static_cast<float>(middle(box.top, box.bottom)), score};
}

EDGECOUNT_BOTH static inline double extent(float low, float high) {
    return static_cast<double>(high) - static_cast<double>(low);
}

EDGECOUNT_BOTH static inline double box_area(const Box& box) {
    return product(extent(box.left, box.right), extent(box.top, box.bottom));
}

/// Whether the intersection of two boxes with area is more than `iou` times their union.
EDGECOUNT_BOTH static inline bool overlap(const Box& a, const Box& b, double iou) {
    const float left = a.left > b.left ? a.left : b.left;
    const float top = a.top > b.top ? a.top : b.top;
    const float right = a.right < b.right ? a.right : b.right;
    const float bottom = a.bottom < b.bottom ? a.bottom : b.bottom;
    if (!(right > left) || !(bottom > top)) return false;
    const double both = product(extent(left, right), extent(top, bottom));
    return both > product(iou, box_area(a) + box_area(b) - both);
}

/// What sorts candidates, ascending: by score, the highest first, then by rank. Scores are above 0,
/// so that their bits order them.
EDGECOUNT_BOTH static inline std::uint64_t candidate_key(float score, std::uint32_t rank) {
    std::uint32_t bits;
    std::memcpy(&bits, &score, sizeof bits);
    return static_cast<std::uint64_t>(~bits) << 32 | rank;
}

EDGECOUNT_BOTH static inline float candidate_score(std::uint64_t key) {
    const auto bits = static_cast<std::uint32_t>(~(key >> 32));
    float score;
    std::memcpy(&score, &bits, sizeof score);
    return score;
}

/// The row or column, of n, of the mask's cell in which a centre lies, or of the nearest one.
EDGECOUNT_BOTH static inline std::uint32_t mask_place(float centre, double stride,
                                                      std::uint32_t n) {
    const double place = static_cast<double>(centre) / stride;
    if (!(place >= 1.0)) return 0;
    return place >= static_cast<double>(n) ? n - 1 : static_cast<std::uint32_t>(place);
}

}  // namespace edgecount
