// Sixteen bits that order cells: half the memory and twice the speed of comparing the cells.
#pragma once

#include <cstdint>
#include <cstring>

#include "half.h"

// Small functions must become part of the loops that they are called in.
#if defined(__GNUC__)
#define EDGECOUNT_INLINE __attribute__((always_inline)) inline
#else
#define EDGECOUNT_INLINE inline
#endif

namespace edgecount {

/// The key of a cell: all bits of a half, the upper half of a float.
///
/// Where a > 0 and a >= b, key(a) >= key(b). That is enough for peaks, which are above a threshold
/// of at least 0: all negative cells have negative keys, whatever their order. Keys of halves are
/// equal only where the halves are, those of floats also where only the lower bits differ.
static inline std::int16_t key(std::uint16_t half) { return static_cast<std::int16_t>(half); }
static inline std::int16_t key(float cell) {
    std::uint32_t bits;
    std::memcpy(&bits, &cell, sizeof bits);
    return static_cast<std::int16_t>(bits >> 16);
}

/// The smallest magnitude of a key whose cell is not finite.
static constexpr std::int16_t kHalfInfinity = 0x7c00;
static constexpr std::int16_t kFloatInfinity = 0x7f80;

/// What orders cells exactly, where one of them is above 0.
static inline float order(float cell) { return cell; }
static inline std::int16_t order(std::uint16_t half) { return key(half); }

static inline float value(float cell) { return cell; }
static inline float value(std::uint16_t half) { return half_to_float(half); }

}  // namespace edgecount
