#include "peak_sums.h"

#include <algorithm>

#include "sum_arithmetic.h"

namespace edgecount {

PeakSums::PeakSums(const Planes& heatmap, const Planes& plane, std::size_t ratio, const Grid& grid,
                   const Planes& masks)
    : size_(grid.size()), masks_(masks) {
    if (plane.cells() == 0 || !needs_cells()) return;
    rows_.resize(heatmap.height);
    columns_.resize(heatmap.width);
    for (std::size_t y = 0; y < heatmap.height; ++y) {
        const std::size_t row = std::min(y / ratio, plane.height - 1);
        rows_[y] = {static_cast<std::uint32_t>(row),
                    static_cast<std::uint32_t>(grid.index(row, 0))};
    }
    for (std::size_t x = 0; x < heatmap.width; ++x) {
        const std::size_t column = std::min(x / ratio, plane.width - 1);
        columns_[x] = {static_cast<std::uint32_t>(column),
                       static_cast<std::uint32_t>(grid.index(0, column))};
    }
}

std::vector<std::vector<double>> PeakSums::run(const Peaks& peaks) const {
    std::vector<std::vector<double>> sums(1 + masks_.count, std::vector<double>(size_));
    if (size_ == 1) {
        sums[0][0] = static_cast<double>(peaks.count);
    } else {
        for (const PeakCell& cell : peaks.cells) {
            sums[0][rows_[cell.y].grid + columns_[cell.x].grid] += 1.0;
        }
    }
    std::vector<std::int64_t> shares(masks_.count != 0 ? size_ : 0);
    for (std::size_t region = 0; region < masks_.count; ++region) {
        std::fill(shares.begin(), shares.end(), 0);
        add_shares(peaks, static_cast<const float*>(masks_.row(region, 0)), shares);
        for (std::size_t i = 0; i < size_; ++i) sums[1 + region][i] = from_shares(shares[i]);
    }
    return sums;
}

void PeakSums::add_shares(const Peaks& peaks, const float* mask,
                          std::vector<std::int64_t>& shares) const {
    for (const PeakCell& cell : peaks.cells) {
        const Place& row = rows_[cell.y];
        const Place& column = columns_[cell.x];
        shares[row.grid + column.grid] +=
            coverage_shares(mask[row.plane * masks_.width + column.plane]);
    }
}

}  // namespace edgecount
