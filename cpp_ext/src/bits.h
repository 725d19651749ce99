// Bits of a word: what C++20 has in <bit>.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace edgecount {

constexpr std::uint64_t kHighestBit = std::uint64_t{1} << 63;

/// The index of the lowest bit that is set; at least one must be.
static inline std::uint32_t lowest_bit(std::uint64_t bits) {
#if defined(_MSC_VER)
    unsigned long index;
    _BitScanForward64(&index, bits);
    return index;
#else
    return static_cast<std::uint32_t>(__builtin_ctzll(bits));
#endif
}

static inline std::size_t count_bits(std::uint64_t bits) {
#if defined(_MSC_VER)
    return static_cast<std::size_t>(__popcnt64(bits));
#else
    return static_cast<std::size_t>(__builtin_popcountll(bits));
#endif
}

}  // namespace edgecount
