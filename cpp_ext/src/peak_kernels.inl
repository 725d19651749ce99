// The loops over cells that find peaks; kernels_*.cpp include this file with one instruction set
// each.
//
// Local to each includer, and free of library templates, or the linker might give the code of one
// instruction set to another.
#include "bits.h"
#include "half.h"
#include "kernels.h"
#include "keys.h"
#include "lanes.h"
#include "near_ties.h"

namespace edgecount {
namespace {

inline std::ptrdiff_t smaller(std::ptrdiff_t a, std::ptrdiff_t b) { return a < b ? a : b; }

template <typename T>
EDGECOUNT_INLINE void raise(T& best, T other) {
    best = best > other ? best : other;
}

inline Lanes load_keys(const float* cells) { return load_upper(cells); }
inline Lanes load_keys(const std::uint16_t* cells) {
    return load(reinterpret_cast<const std::int16_t*>(cells));
}

template <typename Cell>
void make_keys(const void* cells, std::int16_t* keys, std::size_t n, std::int16_t* largest) {
    const Cell* from = static_cast<const Cell*>(cells);
    if (n < kLanes) {
        for (std::size_t x = 0; x < n; ++x) {
            keys[x] = key(from[x]);
            raise(largest[0], static_cast<std::int16_t>(keys[x] & 0x7fff));
        }
        return;
    }
    Lanes best = load(largest);
    for (std::size_t x = 0; x < n; x += kLanes) {
        // The last step goes back over cells that are done, rather than beyond the row.
        const std::size_t at = x + kLanes <= n ? x : n - kLanes;
        const Lanes lanes = load_keys(from + at);
        best = larger(best, magnitude(lanes));
        store(keys + at, lanes);
    }
    store(largest, best);
}

/// Writes the indices of the bits of a word, from `first` on, and returns how many. Always writes
/// three: few words have more, and a branch for each would guess wrong too often.
EDGECOUNT_INLINE std::size_t list_bits(std::uint64_t bits, std::uint32_t first,
                                       std::uint32_t* indices) {
    const std::size_t count = count_bits(bits);
    for (std::size_t i = 0; i < 3; ++i) {
        indices[i] = first + lowest_bit(bits | kHighestBit);
        bits &= bits - 1;
    }
    for (indices += 3; bits != 0; bits &= bits - 1) *indices++ = first + lowest_bit(bits);
    return count;
}

template <typename Cell>
std::size_t list_above(const void* cells, std::size_t n, std::int16_t threshold,
                       std::int16_t* largest, std::uint32_t* indices) {
    const Cell* from = static_cast<const Cell*>(cells);
    const Lanes least = fill(threshold);
    Lanes best = load(largest);
    std::size_t count = 0;
    std::size_t x = 0;
    for (; x + kBlock <= n; x += kBlock) {
        std::uint64_t bits = 0;
        for (std::size_t lane = 0; lane < kBlock; lane += kLanes) {
            const Lanes keys = load_keys(from + x + lane);
            best = larger(best, magnitude(keys));
            bits |= equal_bits(larger(keys, least), keys) << lane;
        }
        // Most blocks have no head.
        if (bits != 0) count += list_bits(bits, static_cast<std::uint32_t>(x), indices + count);
    }
    store(largest, best);
    for (; x < n; ++x) {
        const std::int16_t own = key(from[x]);
        raise(largest[0], static_cast<std::int16_t>(own & 0x7fff));
        indices[count] = static_cast<std::uint32_t>(x);
        count += own >= threshold ? 1 : 0;
    }
    return count;
}

// The radius is a constant here, so that a cell's neighbours stay in registers.
template <std::size_t radius>
std::size_t scan_row_by(const ScanRows& rows, std::int16_t threshold, std::size_t blocks,
                        std::uint32_t* indices) {
    const ScanRows from = rows;
    const Lanes least = fill(threshold);
    std::size_t count = 0;
    for (std::size_t first = 0; first < blocks * kBlock; first += kBlock) {
        std::uint64_t bits = 0;
        for (std::size_t lane = 0; lane < kBlock; lane += kLanes) {
            const std::size_t x = first + lane;
            const std::int16_t* next = from.next + x;
            Lanes best = load(next);
            for (std::size_t i = 1; i <= radius; ++i) {
                best = larger(best, larger(load(next - i), load(next + i)));
            }
            store(from.next_maxima + x, best);
            best = larger(best, least);
            for (std::size_t i = 0; i < 2 * radius; ++i) {
                best = larger(best, load(from.maxima[i] + x));
            }
            bits |= equal_bits(load(from.row + x), best) << lane;
        }
        count += list_bits(bits, static_cast<std::uint32_t>(first), indices + count);
    }
    return count;
}

std::size_t scan_row(const ScanRows& rows, std::int16_t threshold, std::size_t radius,
                     std::size_t blocks, std::uint32_t* indices) {
    if (radius == 1) return scan_row_by<1>(rows, threshold, blocks, indices);
    if (radius == 2) return scan_row_by<2>(rows, threshold, blocks, indices);
    return scan_row_by<3>(rows, threshold, blocks, indices);
}

/// The rows of a window, each as wide as the map; those outside the map are null.
template <typename Cell, std::ptrdiff_t radius>
struct WindowRows {
    const Cell* rows[2 * radius + 1];
    std::ptrdiff_t width;

    EDGECOUNT_INLINE const Cell* operator[](std::ptrdiff_t y) const { return rows[y + radius]; }
};

/// Whether two cells nearly tie, the second of which is at least 0 and not above the first.
inline bool tie_nearly(float first, float second) {
    std::int32_t bits[2];
    std::memcpy(&bits[0], &first, sizeof first);
    std::memcpy(&bits[1], &second, sizeof second);
    return bits[1] >= near_tie(bits[0], kNearSteps);
}
inline bool tie_nearly(std::int16_t first, std::int16_t second) {
    return second >= near_tie(first, kNearHalfSteps);
}

/// Whether the cell in column x wins its window: over the earlier cells in raster order outright,
/// over the later ones also by a tie. `whole` is true where the window is inside the map. `near`
/// becomes whether another cell nearly ties with it.
template <bool whole, typename Cell, std::ptrdiff_t radius>
EDGECOUNT_INLINE bool wins(const WindowRows<Cell, radius>& window, std::ptrdiff_t x,
                           bool& near) {
    const auto own = order(window[0][x]);
    // Nothing below 0 can keep a cell from being a peak.
    auto before = order(Cell{});
    auto after = before;
    for (std::ptrdiff_t dy = -radius; dy <= radius; ++dy) {
        if (!whole && window[dy] == nullptr) continue;
        for (std::ptrdiff_t dx = -radius; dx <= radius; ++dx) {
            if (!whole && (x + dx < 0 || x + dx >= window.width)) continue;
            if (dy < 0 || (dy == 0 && dx < 0)) raise(before, order(window[dy][x + dx]));
            if (dy > 0 || (dy == 0 && dx > 0)) raise(after, order(window[dy][x + dx]));
        }
    }
    const bool first = (own > before) & (own >= after);
    raise(before, after);
    near = tie_nearly(own, before);
    return first;
}

/// Appends the cell in column x if it is a peak. What is none is written all the same, for the next
/// to write over: a branch would guess wrong too often.
template <bool whole, typename Cell, std::ptrdiff_t radius>
EDGECOUNT_INLINE void append(const WindowRows<Cell, radius>& window, std::uint32_t column,
                             std::uint32_t y, float threshold, PeakGroup& group) {
    const std::ptrdiff_t x = column;
    // Without a neighbour on both sides the peak stands in for both, which shifts nothing.
    const std::ptrdiff_t across = whole || (x > 0 && x + 1 < window.width) ? 1 : 0;
    const bool down = whole || (window[-1] != nullptr && window[1] != nullptr);
    const float score = value(window[0][x]);
    const float left = value(window[0][x - across]);
    const float right = value(window[0][x + across]);
    const float above = value(window[down ? -1 : 0][x]);
    const float below = value(window[down ? 1 : 0][x]);
    bool near = false;
    const bool peak = wins<whole>(window, x, near) & (score > threshold);
    const std::size_t i = group.count;
    group.near_tie[i] = near;
    group.near_ties |= peak & near;
    group.x[i] = column;
    group.y[i] = y;
    group.score[i] = score;
    group.left[i] = left;
    group.right[i] = right;
    group.above[i] = above;
    group.below[i] = below;
    group.count = i + (peak ? 1 : 0);
}

template <typename Cell, std::ptrdiff_t radius>
void append_peaks_by(const PeakRow& at, const std::uint32_t* indices, std::size_t n,
                     PeakGroup& group) {
    const float threshold = at.threshold;
    const auto height = static_cast<std::ptrdiff_t>(at.height);
    const auto y = static_cast<std::ptrdiff_t>(at.y);
    WindowRows<Cell, radius> window{{}, static_cast<std::ptrdiff_t>(at.width)};
    for (std::ptrdiff_t dy = -radius; dy <= radius; ++dy) {
        if (y + dy < 0 || y + dy >= height) continue;
        window.rows[dy + radius] = static_cast<const Cell*>(at.plane) + (y + dy) * window.width;
    }
    const bool whole_rows = y >= radius && y + radius < height;
    const auto whole = [&](std::uint32_t x) {
        return whole_rows && x >= radius && x + radius < window.width;
    };
    const auto row = static_cast<std::uint32_t>(at.y);
    std::size_t i = 0;
    for (; i < n && !whole(indices[i]); ++i) {
        append<false>(window, indices[i], row, threshold, group);
    }
    std::size_t end = n;
    while (end > i && !whole(indices[end - 1])) --end;
    for (; i < end; ++i) append<true>(window, indices[i], row, threshold, group);
    for (; i < n; ++i) append<false>(window, indices[i], row, threshold, group);
}

template <typename Cell>
void append_peaks(const PeakRow& row, const std::uint32_t* indices, std::size_t n,
                  PeakGroup& group) {
    if (row.radius == 1) return append_peaks_by<Cell, 1>(row, indices, n, group);
    if (row.radius == 2) return append_peaks_by<Cell, 2>(row, indices, n, group);
    return append_peaks_by<Cell, 3>(row, indices, n, group);
}

/// Where the parabola through three samples peaks, relative to the middle one, in [-0.5, 0.5].
inline float parabola_shift(float before, float middle, float after) {
    const float left = before - middle;
    const float right = after - middle;
    const float shift = 0.5F * (left - right) / (left + right);
    const float above = shift > -0.5F ? shift : -0.5F;
    const float cut = above < 0.5F ? above : 0.5F;
    // Not a number when all three are equal, or the differences of huge values overflow.
    return shift == shift ? cut : 0.0F;
}

void place_peaks(const PeakGroup& group, std::size_t n, Peak* places) {
    for (std::size_t i = 0; i < n; ++i) {
        const float score = group.score[i];
        // A signed conversion is one instruction, and no map has 2^31 columns.
        const float x = static_cast<float>(static_cast<std::int32_t>(group.x[i])) + 0.5F;
        const float y = static_cast<float>(static_cast<std::int32_t>(group.y[i])) + 0.5F;
        places[i] = {x + parabola_shift(group.left[i], score, group.right[i]),
                     y + parabola_shift(group.above[i], score, group.below[i]), score};
    }
}

constexpr PeakKernels peak_kernels_here() {
    return {{make_keys<float>, list_above<float>, append_peaks<float>},
            {make_keys<std::uint16_t>, list_above<std::uint16_t>, append_peaks<std::uint16_t>},
            scan_row,
            place_peaks};
}

}  // namespace
}  // namespace edgecount
