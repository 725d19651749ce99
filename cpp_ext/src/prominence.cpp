#include "prominence.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "near_ties.h"

namespace edgecount {
namespace {

constexpr int kSide = 2 * kAround + 1;

std::int32_t bits_of(std::uint16_t half) { return static_cast<std::int16_t>(half); }
std::int32_t bits_of(float cell) {
    std::int32_t bits;
    std::memcpy(&bits, &cell, sizeof bits);
    return bits;
}

/// The scores around a peak that is kClose cells or more from the borders.
template <typename Cell>
struct InnerScores {
    const Cell* peak;
    std::ptrdiff_t width;

    std::int32_t operator()(int dy, int dx) const { return bits_of(peak[dy * width + dx]); }
};

/// A plane of scores around a peak.
struct Scores {
    const Planes& map;
    std::size_t plane;
    std::ptrdiff_t y;
    std::ptrdiff_t x;

    std::int32_t operator()(int dy, int dx) const {
        const auto row = static_cast<std::size_t>(y + dy);
        const auto column = static_cast<std::size_t>(x + dx);
        if (row >= map.height || column >= map.width) return 0;
        const void* cells = map.row(plane, row);
        if (map.scalar == Scalar::float32) return bits_of(static_cast<const float*>(cells)[column]);
        return bits_of(static_cast<const std::uint16_t*>(cells)[column]);
    }

    /// Whether all cells within kClose are inside the map.
    bool inner() const {
        const auto bottom = static_cast<std::ptrdiff_t>(map.height) - kClose;
        const auto right = static_cast<std::ptrdiff_t>(map.width) - kClose;
        return y >= kClose && x >= kClose && y < bottom && x < right;
    }

    template <typename Cell>
    InnerScores<Cell> inner_as() const {
        const auto* row = static_cast<const Cell*>(map.row(plane, static_cast<std::size_t>(y)));
        return {row + x, static_cast<std::ptrdiff_t>(map.width)};
    }
};

/// The cells around a peak, a bit of a word for each and a word for each row; the peak is in the
/// middle. Rows are looked at when the flood comes to them.
class Surroundings {
public:
    Surroundings(const Scores& scores, std::int32_t steps)
        : scores_(scores), score_(scores(0, 0)), least_(near_tie(score_, steps)) {}

    /// Floods near ties from the peak, down and up by turns. Returns whether none beats it.
    bool flood() {
        reached_[kAround] = std::uint64_t{1} << kAround;
        int top = kAround;
        int bottom = kAround;
        for (bool added = true; added;) {
            added = false;
            for (int row = std::max(top - 1, 0); row <= std::min(bottom + 1, kSide - 1); ++row) {
                if (!spread(row, added)) return false;
                if (reached_[row] != 0) bottom = std::max(bottom, row);
            }
            for (int row = std::min(bottom + 1, kSide - 1); row >= std::max(top - 1, 0); --row) {
                if (!spread(row, added)) return false;
                if (reached_[row] != 0) top = std::min(top, row);
            }
        }
        return true;
    }

private:
    void look_at(int row) {
        known_[row] = true;
        const int dy = row - kAround;
        for (int dx = -kAround; dx <= kAround; ++dx) {
            const std::int32_t cell = scores_(dy, dx);
            const std::uint64_t bit = std::uint64_t{1} << (dx + kAround);
            if (cell >= least_) open_[row] |= bit;
            if (beats(cell, score_, dy, dx)) better_[row] |= bit;
        }
    }

    /// Reaches what it can of a row. Returns false when that beats the peak.
    bool spread(int row, bool& added) {
        if (!known_[row]) look_at(row);
        std::uint64_t from = reached_[row];
        if (row > 0) from |= reached_[row - 1];
        if (row + 1 < kSide) from |= reached_[row + 1];
        std::uint64_t now = reached_[row];
        for (std::uint64_t before = ~now; now != before;) {
            before = now;
            from |= now;
            now = (from | from << 1 | from >> 1) & open_[row];
        }
        added = added || now != reached_[row];
        reached_[row] = now;
        return (now & better_[row]) == 0;
    }

    const Scores& scores_;
    std::int32_t score_;
    std::int32_t least_;
    bool known_[kSide] = {};
    std::uint64_t open_[kSide] = {};
    std::uint64_t better_[kSide] = {};
    std::uint64_t reached_[kSide] = {};
};

Standing look_close(const Scores& scores, std::int32_t steps) {
    if (!scores.inner()) return stands_out_close(scores, steps);
    if (scores.map.scalar == Scalar::float32) {
        return stands_out_close(scores.inner_as<float>(), steps);
    }
    return stands_out_close(scores.inner_as<std::uint16_t>(), steps);
}

}  // namespace

bool stands_out(const Planes& map, std::size_t plane, std::size_t y, std::size_t x) {
    const Scores scores{map, plane, static_cast<std::ptrdiff_t>(y), static_cast<std::ptrdiff_t>(x)};
    const std::int32_t steps = map.scalar == Scalar::float32 ? kNearSteps : kNearHalfSteps;
    const Standing close = look_close(scores, steps);
    if (close != Standing::unknown) return close == Standing::out;
    return Surroundings(scores, steps).flood();
}

}  // namespace edgecount
