#include "density.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "kernels.h"
#include "message.h"

namespace edgecount {
namespace {

struct Band {
    const float* values;  // rows * width
    std::size_t rows;
    std::size_t width;
};

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
        : kernels_(kernels().sums),
          density_(density),
          plane_(plane),
          masks_(masks),
          grid_(grid),
          chunks_(grid.chunks(density.width)),
          parts_(grid.bands(density.height) * chunks_),
          columns_((1 + masks.count) * density.width),
          sums_(1 + masks.count) {}

    std::vector<std::vector<double>> run() {
        if (grid_.cell_width == 1 && grid_.cell_height == 1) {
            take_cells();
            return std::move(sums_);
        }
        for (std::vector<double>& sums : sums_) sums.resize(grid_.size() * parts_);
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
        kernels_.halves_to_floats(static_cast<const std::uint16_t*>(first), floats_.data(),
                                  rows * density_.width);
        return {floats_.data(), rows, density_.width};
    }

    /// The mask of the i-th sums from row y on; null for the plain ones.
    const float* mask(std::size_t i, std::size_t y) const {
        return i != 0 ? static_cast<const float*>(masks_.row(i - 1, y)) : nullptr;
    }

    void require_finite(const Band& band) const {
        if (!kernels_.are_finite(band.values, band.rows * band.width)) {
            reject_non_finite("density", plane_);
        }
    }

    /// The sums of a grid whose cells are those of the map.
    void take_cells() {
        for (std::vector<double>& sums : sums_) sums.reserve(grid_.size());
        for (std::size_t y = 0; y < density_.height; y += kBandRows) {
            const Band band = load(y, std::min(kBandRows, density_.height - y));
            require_finite(band);
            for (std::size_t i = 0; i < sums_.size(); ++i) {
                append_cells(band, mask(i, y), sums_[i]);
            }
        }
    }

    /// Appends the cells of a band, which are added to 0 like the sums of longer columns.
    void append_cells(const Band& band, const float* mask, std::vector<double>& sums) const {
        const std::size_t n = band.rows * band.width;
        sums.resize(sums.size() + n);
        kernels_.add_rows(sums.data() + sums.size() - n, true, band.values, mask, n, 1, n);
    }

    void add(std::size_t y, const Band& band) {
        sum_columns(y, band);
        for (std::size_t i = 0; i < sums_.size(); ++i) {
            // A NaN or an infinity stays in the sum: finite sums need no check of the values.
            if (std::isfinite(store(y, i))) continue;
            if (i == 0) require_finite(band);
            for (std::size_t x = 0; x < band.width; ++x) {
                columns(i)[x] = sum_huge_column(band, mask(i, y), x);
            }
            store(y, i);
        }
    }

    /// A few rows at a time, which stay in the cache for all masks.
    void sum_columns(std::size_t y, const Band& band) {
        for (std::size_t row = 0; row < band.rows; row += kSumRows) {
            const float* values = band.values + row * band.width;
            const std::size_t rows = std::min(kSumRows, band.rows - row);
            for (std::size_t i = 0; i < sums_.size(); ++i) {
                kernels_.add_rows(columns(i), row == 0, values, mask(i, y + row), band.width, rows,
                                  band.width);
            }
        }
    }

    double* columns(std::size_t i) { return columns_.data() + i * density_.width; }

    /// Sums the columns of the band from row y on, a chunk at a time. Returns the sum of all.
    double store(std::size_t y, std::size_t i) {
        const std::size_t band = y % grid_.cell_height / kBandRows;
        double* parts = sums_[i].data() + grid_.index(y, 0) * parts_ + band * chunks_;
        const double* left = columns(i);
        const double* end = left + density_.width;
        if (chunks_ == 1) return fold(left, end, grid_.cell_width, parts_, parts);
        double all = 0.0;
        for (; left < end; parts += parts_) {
            const double* right =
                left + std::min(grid_.cell_width, static_cast<std::size_t>(end - left));
            all += fold(left, right, kChunkColumns, 1, parts);
            left = right;
        }
        return all;
    }

    /// Takes columns to the parts of cells or chunks of this width, the last of which may be
    /// narrower.
    double fold(const double* left, const double* right, std::size_t width, std::size_t step,
                double* parts) const {
        const auto n = static_cast<std::size_t>(right - left);
        const std::size_t full = n / width;
        double all = kernels_.fold_columns(left, width, full, step, parts);
        if (full * width != n) {
            all += kernels_.fold_columns(left + full * width, n - full * width, 1, step,
                                         parts + full * step);
        }
        return all;
    }

    /// Takes the parts of all cells to their sums, in place: those lie before all parts to come.
    void join_parts(std::vector<double>& sums) const {
        kernels_.fold_columns(sums.data(), parts_, grid_.size(), 1, sums.data());
        sums.resize(grid_.size());
    }

    const SumKernels& kernels_;
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

Grid::Grid(std::size_t height, std::size_t width, std::size_t high, std::size_t wide)
    : cell_height(high != 0 ? high : std::max<std::size_t>(height, 1)),
      cell_width(high != 0 ? wide : std::max<std::size_t>(width, 1)),
      rows(high != 0 ? (height + high - 1) / high : 1),
      columns(high != 0 ? (width + wide - 1) / wide : 1) {}

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
