#include "peaks.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "half.h"
#include "kernels.h"
#include "key_window.h"
#include "message.h"
#include "prominence.h"
#include "threshold_key.h"

namespace edgecount {
namespace {

// A crowd as dense as a heatmap can hold it has about this many cells to a head: room for its peaks
// is made at once, and memory that stays unused costs nothing.
constexpr std::size_t kCellsPerPeak = 32;

float value_at(const Planes& map, std::size_t plane, const PeakCell& cell) {
    const void* row = map.row(plane, cell.y);
    if (map.scalar == Scalar::float32) return static_cast<const float*>(row)[cell.x];
    return half_to_float(static_cast<const std::uint16_t*>(row)[cell.x]);
}

class PeakScan {
public:
    PeakScan(const Planes& heatmap, const Planes& offset, std::size_t image,
             const CountOptions& options, bool keep_cells)
        : heatmap_(heatmap),
          offset_(offset),
          image_(image),
          options_(options),
          keep_cells_(keep_cells),
          kernels_(kernels().peaks),
          threshold_(threshold_key(heatmap.scalar, options.threshold)),
          rows_(heatmap, image, options.window / 2),
          indices_(rows_.blocks() * kBlock + 3) {}

    Peaks run() {
        const std::size_t usual = heatmap_.cells() / kCellsPerPeak;
        peaks_.points.reserve(options_.capacity != 0 ? std::min(usual, options_.capacity) : usual);
        const auto radius = static_cast<std::ptrdiff_t>(options_.window / 2);
        const auto height = static_cast<std::ptrdiff_t>(heatmap_.height);
        // The rows above the map have no peaks, but their steps slide the first rows' maxima. Keys
        // are made one row ahead: a row that was just stored would have to be waited for.
        rows_.load(0);
        for (std::ptrdiff_t y = -radius; y < height; ++y) {
            if (y + radius + 1 < height) rows_.load(static_cast<std::size_t>(y + radius + 1));
            const std::size_t listed = kernels_.scan_row(
                rows_.around(y), threshold_, options_.window / 2, rows_.blocks(), indices_.data());
            append(static_cast<std::size_t>(y), listed);
        }
        place();
        // The heatmap first, and not what happened to be read first: a GPU reads in no order.
        if (!rows_.finite()) reject_non_finite("heatmap", image_);
        if (!offsets_finite_) reject_non_finite("offset", image_);
        return std::move(peaks_);
    }

private:
    void append(std::size_t y, std::size_t listed) {
        const PeakRow row{heatmap_.row(image_, 0), heatmap_.height,    heatmap_.width, y,
                          options_.threshold,      options_.window / 2};
        for (std::size_t i = 0, n = 0; i < listed; i += n) {
            n = std::min(listed - i, kGroup - group_.count);
            const std::size_t first = group_.count;
            kernels_.cells(heatmap_.scalar).append_peaks(row, indices_.data() + i, n, group_);
            if (group_.near_ties) drop_near_ties(first);
            if (group_.count == kGroup) place();
        }
    }

    /// Drops those of the latest peaks, from the first on, that do not stand out.
    void drop_near_ties(std::size_t first) {
        group_.near_ties = false;
        const std::size_t end = group_.count;
        group_.count = first;
        for (std::size_t i = first; i < end; ++i) {
            if (group_.near_tie[i] && !stands_out(heatmap_, image_, group_.y[i], group_.x[i])) {
                continue;
            }
            const std::size_t to = group_.count++;
            group_.x[to] = group_.x[i];
            group_.y[to] = group_.y[i];
            group_.score[to] = group_.score[i];
            group_.left[to] = group_.left[i];
            group_.right[to] = group_.right[i];
            group_.above[to] = group_.above[i];
            group_.below[to] = group_.below[i];
        }
    }

    void place() {
        if (keep_cells_) {
            for (std::size_t i = 0; i < group_.count; ++i) {
                peaks_.cells.push_back({group_.x[i], group_.y[i]});
            }
        }
        const std::size_t placed = peaks_.points.size();
        std::size_t room = group_.count;
        if (options_.capacity != 0) room = std::min(room, options_.capacity - placed);
        kernels_.place_peaks(group_, room, places_);
        if (offset_.present()) add_offsets(room);
        peaks_.points.insert(peaks_.points.end(), places_, places_ + room);
        peaks_.count += group_.count;
        group_.count = 0;
    }

    void add_offsets(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            const PeakCell cell{group_.x[i], group_.y[i]};
            const float dx = value_at(offset_, 2 * image_, cell);
            const float dy = value_at(offset_, 2 * image_ + 1, cell);
            offsets_finite_ = offsets_finite_ && std::isfinite(dx) && std::isfinite(dy);
            places_[i].x = static_cast<float>(cell.x) + dx;
            places_[i].y = static_cast<float>(cell.y) + dy;
        }
    }

    const Planes& heatmap_;
    const Planes& offset_;
    std::size_t image_;
    const CountOptions& options_;
    bool keep_cells_;
    const PeakKernels& kernels_;
    std::int16_t threshold_;
    KeyWindow rows_;
    std::vector<std::uint32_t> indices_;
    PeakGroup group_;
    Peak places_[kGroup];
    Peaks peaks_;
    bool offsets_finite_ = true;
};

}  // namespace

Peaks find_peaks(const Planes& heatmap, const Planes& offset, std::size_t image,
                 const CountOptions& options, bool keep_cells) {
    if (heatmap.cells() == 0) return {};
    return PeakScan(heatmap, offset, image, options, keep_cells).run();
}

}  // namespace edgecount
