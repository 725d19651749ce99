#include "density.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "kernels.h"
#include "lane_sum.h"
#include "message.h"

namespace edgecount {
namespace {

struct Band {
    const float* values;  // rows * width
    std::size_t rows;
    std::size_t width;
};

void add_band(std::vector<double>& columns, const Band& band) {
    const SumKernels& sums = kernels().sums;
    std::size_t y = 0;
    for (; y + kSumRows <= band.rows; y += kSumRows) {
        sums.add_rows(columns.data(), band.values + y * band.width, band.width, band.width);
    }
    for (; y < band.rows; ++y) {
        sums.add_row(columns.data(), band.values + y * band.width, band.width);
    }
}

void add_masked_band(std::vector<double>& columns, const Band& band, const float* mask) {
    const SumKernels& sums = kernels().sums;
    std::size_t y = 0;
    for (; y + kSumRows <= band.rows; y += kSumRows) {
        const std::size_t first = y * band.width;
        sums.add_masked_rows(columns.data(), band.values + first, mask + first, band.width,
                             band.width);
    }
    for (; y < band.rows; ++y) {
        const std::size_t first = y * band.width;
        sums.add_masked_row(columns.data(), band.values + first, mask + first, band.width);
    }
}

/// A column of finite values so large that a few of them may overflow float32; the mask may be
/// null. Where none do, the sum is that of the other functions.
double sum_huge_column(const Band& band, const float* mask, std::size_t x) {
    double sum = 0.0;
    for (std::size_t y = 0; y < band.rows; y += kSumRows) {
        const std::size_t n = std::min(kSumRows, band.rows - y);
        float values[kSumRows] = {};
        for (std::size_t i = 0; i < n; ++i) {
            const std::size_t at = (y + i) * band.width + x;
            values[i] = mask != nullptr ? band.values[at] * mask[at] : band.values[at];
        }
        const float group = ((values[0] + values[1]) + (values[2] + values[3])) +
                            ((values[4] + values[5]) + (values[6] + values[7]));
        if (n == kSumRows && std::isfinite(group)) {
            sum += static_cast<double>(group);
        } else {
            for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(values[i]);
        }
    }
    return sum;
}

class DensitySums {
public:
    DensitySums(const Planes& density, std::size_t plane, const Planes& masks, const Grid& grid)
        : density_(density),
          plane_(plane),
          masks_(masks),
          grid_(grid),
          chunks_(grid.chunks(density.width)),
          parts_(grid.bands(density.height) * chunks_),
          columns_(density.width),
          sums_(1 + masks.count, std::vector<double>(grid.size() * parts_)) {}

    std::vector<std::vector<double>> run() {
        std::size_t next = 0;
        for (std::size_t y = 0; y < density_.height; y = next) {
            const std::size_t cell_end = (y / grid_.cell_height + 1) * grid_.cell_height;
            next = std::min({y + kBandRows, cell_end, density_.height});
            add(y, load(y, next - y));
        }
        if (parts_ != 1) {
            for (std::vector<double>& sums : sums_) join_parts(sums);
        }
        return std::move(sums_);
    }

private:
    Band load(std::size_t y, std::size_t rows) {
        const void* first = density_.row(plane_, y);
        if (density_.scalar == Scalar::float32) {
            return {static_cast<const float*>(first), rows, density_.width};
        }
        floats_.resize(kBandRows * density_.width);
        kernels().sums.halves_to_floats(static_cast<const std::uint16_t*>(first), floats_.data(),
                                        rows * density_.width);
        return {floats_.data(), rows, density_.width};
    }

    void add(std::size_t y, const Band& band) {
        std::fill(columns_.begin(), columns_.end(), 0.0);
        add_band(columns_, band);
        // A NaN or an infinity stays in the sum, so that finite sums need no check of the values.
        if (!std::isfinite(store(y, sums_[0]))) {
            const float* end = band.values + band.rows * band.width;
            if (!std::all_of(band.values, end, [](float value) { return std::isfinite(value); })) {
                reject_non_finite("density", plane_);
            }
            store_huge(y, band, nullptr, sums_[0]);
        }
        for (std::size_t region = 0; region < masks_.count; ++region) {
            const auto* mask = static_cast<const float*>(masks_.row(region, y));
            std::fill(columns_.begin(), columns_.end(), 0.0);
            add_masked_band(columns_, band, mask);
            if (!std::isfinite(store(y, sums_[1 + region]))) {
                store_huge(y, band, mask, sums_[1 + region]);
            }
        }
    }

    void store_huge(std::size_t y, const Band& band, const float* mask, std::vector<double>& sums) {
        for (std::size_t x = 0; x < columns_.size(); ++x) {
            columns_[x] = sum_huge_column(band, mask, x);
        }
        store(y, sums);
    }

    /// Sums the columns of the band from row y on, a chunk at a time. Returns the sum of all.
    double store(std::size_t y, std::vector<double>& sums) {
        const std::size_t band = y % grid_.cell_height / kBandRows;
        double* parts = sums.data() + grid_.index(y, 0) * parts_ + band * chunks_;
        double all = 0.0;
        for (std::size_t x = 0; x < columns_.size(); parts += parts_) {
            const std::size_t end = std::min(x + grid_.cell_width, columns_.size());
            for (std::size_t chunk = 0; x < end; ++chunk) {
                const std::size_t n = std::min(kChunkColumns, end - x);
                parts[chunk] = lane_sum<kWarpLanes>(columns_.data() + x, n);
                all += parts[chunk];
                x += n;
            }
        }
        return all;
    }

    /// Takes the parts of all cells to their sums.
    void join_parts(std::vector<double>& sums) const {
        for (std::size_t cell = 0; cell < grid_.size(); ++cell) {
            sums[cell] = lane_sum<kWarpLanes>(sums.data() + cell * parts_, parts_);
        }
        sums.resize(grid_.size());
    }

    const Planes& density_;
    std::size_t plane_;
    const Planes& masks_;
    const Grid& grid_;
    std::size_t chunks_;
    std::size_t parts_;  // of a cell
    std::vector<double> columns_;
    std::vector<float> floats_;
    std::vector<std::vector<double>> sums_;
};

}  // namespace

Grid::Grid(std::size_t height, std::size_t width, std::size_t side)
    : cell_height(side != 0 ? side : std::max<std::size_t>(height, 1)),
      cell_width(side != 0 ? side : std::max<std::size_t>(width, 1)),
      rows(side != 0 ? (height + side - 1) / side : 1),
      columns(side != 0 ? (width + side - 1) / side : 1) {}

std::size_t Grid::chunks(std::size_t width) const {
    return (std::min(cell_width, std::max<std::size_t>(width, 1)) + kChunkColumns - 1) /
           kChunkColumns;
}

std::size_t Grid::bands(std::size_t height) const {
    return (std::min(cell_height, std::max<std::size_t>(height, 1)) + kBandRows - 1) / kBandRows;
}

std::vector<std::vector<double>> sum_density(const Planes& density, std::size_t plane,
                                             const Planes& masks, const Grid& grid) {
    if (density.cells() == 0) {
        return std::vector<std::vector<double>>(1 + masks.count, std::vector<double>(grid.size()));
    }
    return DensitySums(density, plane, masks, grid).run();
}

}  // namespace edgecount
