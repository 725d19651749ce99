#include "peak_sums.h"

#include <algorithm>

#include "sum_arithmetic.h"

namespace edgecount {
namespace {

/// The largest number of peaks whose coverage, in whole shares, a double holds exactly.
constexpr std::size_t kExactPeaks = std::size_t{1} << 21;

}  // namespace

PeakSums::PeakSums(const Planes& heatmap, const Planes& plane, std::size_t ratio, const Grid& grid,
                   const Planes& masks)
    : size_(grid.size()), masks_(masks) {
    if (plane.cells() == 0 || !needs_cells()) return;
    rows_ = places(heatmap.height, ratio, plane.height, grid.cell_height, grid.columns);
    columns_ = places(heatmap.width, ratio, plane.width, grid.cell_width, 1);
}

std::vector<PeakSums::Place> PeakSums::places(std::size_t n, std::size_t ratio, std::size_t size,
                                              std::size_t side, std::size_t step) {
    std::vector<Place> places(n);
    Place place{0, 0};
    // Counted, because divisions would take longer than a small map's peaks.
    std::size_t until = ratio;
    std::size_t cell_end = side;
    for (std::size_t i = 0; i < n; ++i) {
        if (i == until && place.plane + 1 < size) {
            until += ratio;
            if (++place.plane == cell_end) {
                cell_end += side;
                place.grid += static_cast<std::uint32_t>(step);
            }
        }
        places[i] = place;
    }
    return places;
}

std::vector<std::vector<double>> PeakSums::run(const Peaks& peaks) const {
    std::vector<std::vector<double>> sums(1 + masks_.count);
    for (std::vector<double>& cells : sums) cells.resize(size_);
    if (size_ == 1) sums[0][0] = static_cast<double>(peaks.count);
    if (rows_.empty()) return sums;  // on a plane without cells peaks have no place
    if (size_ != 1) {
        for (const PeakCell& cell : peaks.cells) {
            sums[0][rows_[cell.y].grid + columns_[cell.x].grid] += 1.0;
        }
    }
    if (masks_.count != 0) add_coverage(peaks, sums);
    return sums;
}

void PeakSums::add_coverage(const Peaks& peaks, std::vector<std::vector<double>>& sums) const {
    if (size_ != 1 && peaks.cells.size() <= kExactPeaks) {
        // Straight to where they belong: of many grid cells, most have no peak.
        for_each_share(peaks, [&](std::size_t region, std::size_t cell, std::int64_t shares) {
            sums[1 + region][cell] += from_shares(shares);
        });
        return;
    }
    std::vector<std::int64_t> all(masks_.count * size_);
    for_each_share(peaks, [&](std::size_t region, std::size_t cell, std::int64_t shares) {
        all[region * size_ + cell] += shares;
    });
    for (std::size_t i = 0; i < all.size(); ++i) {
        sums[1 + i / size_][i % size_] = from_shares(all[i]);
    }
}

template <typename Add>
void PeakSums::for_each_share(const Peaks& peaks, Add add) const {
    const auto* masks = static_cast<const float*>(masks_.data);
    for (const PeakCell& cell : peaks.cells) {
        const Place& row = rows_[cell.y];
        const Place& column = columns_[cell.x];
        const float* mask = masks + row.plane * masks_.width + column.plane;
        for (std::size_t region = 0; region < masks_.count; ++region, mask += masks_.cells()) {
            add(region, row.grid + column.grid, coverage_shares(*mask));
        }
    }
}

}  // namespace edgecount
