#include "box_suppression.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "box_arithmetic.h"

namespace edgecount {
namespace {

/// Sizes by the power of two of the longer side: up to 2 px, ..., from 2^15 px.
constexpr std::size_t kSizes = 16;

/// Bounds are widened by this share, which is far above rounding in double.
constexpr double kSlack = 1e-6;

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

struct Range {
    double low = std::numeric_limits<double>::infinity();
    double high = -std::numeric_limits<double>::infinity();

    void add(double value) {
        low = std::min(low, value);
        high = std::max(high, value);
    }
};

struct Measures {
    double width;
    double height;
    double x;
    double y;

    explicit Measures(const Box& box)
        : width(extent(box.left, box.right)),
          height(extent(box.top, box.bottom)),
          x(middle(box.left, box.right)),
          y(middle(box.top, box.bottom)) {}

    double side() const { return std::max(width, height); }
    std::size_t size() const {
        const int power = std::ilogb(side());
        return static_cast<std::size_t>(std::clamp(power, 0, static_cast<int>(kSizes) - 1));
    }
};

/// The kept boxes of one size, by the cells of a grid in which their centres lie.
class SizeGrid {
public:
    /// Takes note of a box that may be kept.
    void expect(const Measures& box) {
        ++count_;
        sides_.add(box.side());
        xs_.add(box.x);
        ys_.add(box.y);
    }

    /// Makes the grid for what was expected: about as many cells as boxes.
    void open() {
        if (count_ == 0) return;
        const double width = xs_.high - xs_.low;
        const double height = ys_.high - ys_.low;
        const double most = 4.0 * static_cast<double>(count_) + 64.0;
        // Cells of the size of the boxes, or larger ones if there are too many.
        cell_ = sides_.high / 2;
        while ((width / cell_ + 1) * (height / cell_ + 1) > most) cell_ *= 2;
        columns_ = place(xs_.high, xs_.low, std::numeric_limits<std::uint32_t>::max()) + 1;
        rows_ = place(ys_.high, ys_.low, std::numeric_limits<std::uint32_t>::max()) + 1;
        heads_.assign(columns_ * rows_, kNone);
    }

    /// Whether a box that is kept here overlaps this one by more than an IoU.
    bool overlaps(const Box& box, const Measures& own, double iou) const {
        if (kept_.empty()) return false;
        const double least = iou * (1 - kSlack);
        if (sides_.high < least * own.side() || own.side() < least * sides_.low) return false;
        const double across = reach(own.width, iou);
        const double down = reach(own.height, iou);
        const std::size_t first = place(own.x - across, xs_.low, columns_ - 1);
        const std::size_t last = place(own.x + across, xs_.low, columns_ - 1);
        const std::size_t bottom = place(own.y + down, ys_.low, rows_ - 1);
        for (std::size_t row = place(own.y - down, ys_.low, rows_ - 1); row <= bottom; ++row) {
            for (std::size_t column = first; column <= last; ++column) {
                for (std::uint32_t i = heads_[row * columns_ + column]; i != kNone;
                     i = kept_[i].next) {
                    if (overlap(kept_[i].box, box, iou)) return true;
                }
            }
        }
        return false;
    }

    void keep(const Box& box, const Measures& own) {
        std::uint32_t& head =
            heads_[place(own.y, ys_.low, rows_ - 1) * columns_ + place(own.x, xs_.low, columns_ - 1)];
        kept_.push_back({box, head});
        head = static_cast<std::uint32_t>(kept_.size() - 1);
    }

private:
    struct Kept {
        Box box;
        std::uint32_t next;  // in the same cell
    };

    std::size_t place(double value, double low, std::size_t last) const {
        const double place = (value - low) / cell_;
        if (!(place > 0)) return 0;
        return place >= static_cast<double>(last) ? last : static_cast<std::size_t>(place);
    }

    /// How far apart on an axis the centres of a box and one of this size may be. With sides a and
    /// b, the intersection is more than iou * max(a, b) and at most (a + b) / 2 - distance.
    double reach(double side, double iou) const {
        const double other = iou <= 0.5 ? sides_.high : std::min(side, sides_.high);
        return (side + other) / 2 - iou * std::max(side, other) + kSlack * (side + sides_.high);
    }

    std::size_t count_ = 0;
    Range sides_;
    Range xs_;
    Range ys_;
    double cell_ = 1;
    std::size_t columns_ = 0;
    std::size_t rows_ = 0;
    std::vector<std::uint32_t> heads_;  // the last one kept in each cell
    std::vector<Kept> kept_;
};

}  // namespace

std::vector<Candidate> suppress(const std::vector<Candidate>& candidates, double iou) {
    if (iou >= 1) return candidates;  // no intersection is more than the union
    SizeGrid grids[kSizes];
    for (const Candidate& candidate : candidates) {
        const Measures box(candidate.box);
        grids[box.size()].expect(box);
    }
    for (SizeGrid& grid : grids) grid.open();
    std::vector<Candidate> kept;
    for (const Candidate& candidate : candidates) {
        const Measures box(candidate.box);
        SizeGrid& own = grids[box.size()];
        // The one that suppresses it is mostly of the same size.
        bool dropped = own.overlaps(candidate.box, box, iou);
        for (const SizeGrid* grid = grids; !dropped && grid != grids + kSizes; ++grid) {
            dropped = grid != &own && grid->overlaps(candidate.box, box, iou);
        }
        if (dropped) continue;
        own.keep(candidate.box, box);
        kept.push_back(candidate);
    }
    return kept;
}

}  // namespace edgecount
