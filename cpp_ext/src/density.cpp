#include "density.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "kernels.h"
#include "message.h"

namespace edgecount {
namespace {

// Rows that are summed in one go: they stay in the cache for the masks that follow.
constexpr std::size_t kBandRows = 64;

struct Band {
    const float* values;  // rows * width
    std::size_t rows;
    std::size_t width;
};

void add_band(std::vector<double>& columns, const Band& band, bool groups) {
    const SumKernels& sums = kernels().sums;
    std::size_t y = 0;
    for (; groups && y + kSumRows <= band.rows; y += kSumRows) {
        sums.add_rows(columns.data(), band.values + y * band.width, band.width, band.width);
    }
    for (; y < band.rows; ++y) {
        sums.add_row(columns.data(), band.values + y * band.width, band.width);
    }
}

void add_masked_band(std::vector<double>& columns, const Band& band, const float* mask,
                     bool groups) {
    const SumKernels& sums = kernels().sums;
    std::size_t y = 0;
    for (; groups && y + kSumRows <= band.rows; y += kSumRows) {
        const std::size_t first = y * band.width;
        sums.add_masked_rows(columns.data(), band.values + first, mask + first, band.width,
                             band.width);
    }
    for (; y < band.rows; ++y) {
        const std::size_t first = y * band.width;
        sums.add_masked_row(columns.data(), band.values + first, mask + first, band.width);
    }
}

double sum_span(const double* values, std::size_t n) {
    constexpr std::size_t kLanes = 8;
    double lanes[kLanes] = {};
    std::size_t x = 0;
    for (; x + kLanes <= n; x += kLanes) {
        for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += values[x + lane];
    }
    for (std::size_t lane = 0; x < n; ++x, ++lane) lanes[lane] += values[x];
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

void add_to_cells(const std::vector<double>& columns, std::size_t cell_width, double* cells) {
    for (std::size_t x = 0; x < columns.size(); x += cell_width, ++cells) {
        *cells += sum_span(columns.data() + x, std::min(cell_width, columns.size() - x));
    }
}

class DensitySums {
public:
    DensitySums(const Planes& density, std::size_t plane, const Planes& masks, const Grid& grid)
        : density_(density),
          plane_(plane),
          masks_(masks),
          grid_(grid),
          columns_(density.width),
          sums_(1 + masks.count, std::vector<double>(grid.size())) {}

    std::vector<std::vector<double>> run() {
        std::size_t next = 0;
        for (std::size_t y = 0; y < density_.height; y = next) {
            const std::size_t cell_end = (y / grid_.cell_height + 1) * grid_.cell_height;
            next = std::min({y + kBandRows, cell_end, density_.height});
            add(y, load(y, next - y));
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
        const std::size_t cell = grid_.index(y, 0);
        bool groups = true;
        std::fill(columns_.begin(), columns_.end(), 0.0);
        add_band(columns_, band, groups);
        // A NaN or an infinity stays in the sum, so that finite sums need no check of the values.
        if (!std::isfinite(sum_span(columns_.data(), columns_.size()))) {
            const float* end = band.values + band.rows * band.width;
            if (!std::all_of(band.values, end, [](float value) { return std::isfinite(value); })) {
                reject_non_finite("density", plane_);
            }
            // Finite values so large that a few of them overflow float32.
            groups = false;
            std::fill(columns_.begin(), columns_.end(), 0.0);
            add_band(columns_, band, groups);
        }
        add_to_cells(columns_, grid_.cell_width, sums_[0].data() + cell);

        for (std::size_t region = 0; region < masks_.count; ++region) {
            std::fill(columns_.begin(), columns_.end(), 0.0);
            add_masked_band(columns_, band, static_cast<const float*>(masks_.row(region, y)),
                            groups);
            add_to_cells(columns_, grid_.cell_width, sums_[1 + region].data() + cell);
        }
    }

    const Planes& density_;
    std::size_t plane_;
    const Planes& masks_;
    const Grid& grid_;
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

std::vector<std::vector<double>> sum_density(const Planes& density, std::size_t plane,
                                             const Planes& masks, const Grid& grid) {
    if (density.cells() == 0) {
        return std::vector<std::vector<double>>(1 + masks.count, std::vector<double>(grid.size()));
    }
    return DensitySums(density, plane, masks, grid).run();
}

}  // namespace edgecount
