// The key that refuses most cells at once.
#pragma once

#include <cstdint>

#include "edgecount/maps.h"
#include "half.h"
#include "keys.h"

namespace edgecount {

/// A key that no cell above the threshold is below, and at least 0: no cell outside the map has it.
inline std::int16_t threshold_key(Scalar scalar, float threshold) {
    if (!(threshold > 0.0F)) return 0;  // -0 has the key of what is outside
    if (scalar == Scalar::float32) return key(threshold);
    // There are few positive halves: the first above the threshold is found by halving.
    std::uint16_t low = 0;
    auto high = static_cast<std::uint16_t>(kHalfInfinity);
    while (low < high) {
        const auto middle = static_cast<std::uint16_t>((low + high) / 2);
        if (half_to_float(middle) > threshold) {
            high = middle;
        } else {
            low = static_cast<std::uint16_t>(middle + 1);
        }
    }
    return key(low);
}

}  // namespace edgecount
