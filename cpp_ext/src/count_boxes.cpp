#include "edgecount/count_boxes.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "box_arithmetic.h"
#include "box_candidates.h"
#include "box_suppression.h"
#include "float_environment.h"
#include "map_checks.h"
#include "message.h"

namespace edgecount {
namespace {

constexpr std::size_t kLargestStride = 65536;

void check_level(const BoxLevel& level, std::size_t batch, const std::string& at) {
    const Planes& scores = level.scores;
    if (level.stride < 1 || level.stride > kLargestStride) {
        reject(at, ".stride: expected 1 to ", kLargestStride, ", got ", level.stride);
    }
    if (scores.count != batch * level.anchors) {
        reject(at, ".scores: expected ", batch * level.anchors, " planes, got ", scores.count);
    }
    if (level.boxes.count != 4 * scores.count || level.boxes.height != scores.height ||
        level.boxes.width != scores.width) {
        reject(at, ".boxes: expected ", 4 * level.anchors, " channels of ", scores.height, " x ",
               scores.width, " cells, four for each of the scores, got ",
               batch == 0 ? 0 : level.boxes.count / batch, " of ", level.boxes.height, " x ",
               level.boxes.width);
    }
}

/// The coverage of each region by a box, by its centre's cell.
void add_coverage(const BoxMaps& maps, const Peak& centre, std::vector<std::int64_t>& shares) {
    const Planes& masks = maps.masks;
    const auto stride = static_cast<double>(maps.levels.front().stride);
    const std::size_t row =
        mask_place(centre.y, stride, static_cast<std::uint32_t>(masks.height));
    const std::size_t column = mask_place(centre.x, stride, static_cast<std::uint32_t>(masks.width));
    for (std::size_t region = 0; region < masks.count; ++region) {
        shares[region] += coverage_shares(static_cast<const float*>(masks.row(region, row))[column]);
    }
}

ImageCount count_image(const BoxMaps& maps, std::size_t image, const BoxOptions& options) {
    const std::vector<Candidate> kept =
        suppress(find_candidates(maps, image, options), options.iou);
    const std::size_t listed =
        options.capacity != 0 ? std::min(options.capacity, kept.size()) : kept.size();
    ImageCount result;
    result.peaks.reserve(listed);
    result.boxes.reserve(listed);
    std::vector<std::int64_t> shares(maps.masks.count);
    for (const auto& [box, score] : kept) {
        const Peak centre = centre_of(box, score);
        if (result.peaks.size() < listed) {
            result.peaks.push_back(centre);
            result.boxes.push_back(box);
        }
        if (maps.masks.cells() != 0) add_coverage(maps, centre, shares);
    }
    result.peak_count = static_cast<std::int64_t>(kept.size());
    result.whole.count = result.whole.peaks = static_cast<double>(kept.size());
    for (const std::int64_t share : shares) {
        const double people = from_shares(share);
        result.regions.push_back({people, 0.0, people});
    }
    return result;
}

}  // namespace

void check_boxes(const BoxMaps& maps, const BoxOptions& options) {
    check_threshold(options.threshold);
    if (!(options.iou >= 0.0 && options.iou <= 1.0)) {
        reject("iou: expected a number in [0, 1], got ", options.iou);
    }
    if (!(options.width >= 0.0F && options.height >= 0.0F)) {
        reject("size: expected pixels of 0 or more, got ", options.width, " x ", options.height);
    }
    if (maps.levels.empty()) reject("levels: expected at least one, got none");
    std::uint64_t boxes = 0;
    for (std::size_t i = 0; i < maps.levels.size(); ++i) {
        const BoxLevel& level = maps.levels[i];
        check_level(level, maps.batch, "levels[" + std::to_string(i) + "]");
        boxes += static_cast<std::uint64_t>(level.scores.cells()) * level.anchors;
    }
    if (boxes > std::numeric_limits<std::uint32_t>::max()) {
        reject("levels: expected fewer than 2^32 boxes in an image, got ", boxes);
    }
    if (maps.masks.present()) check_masks(maps.masks, maps.levels.front().scores);
}

std::vector<ImageCount> count_boxes(const BoxMaps& maps, const BoxOptions& options) {
    check_boxes(maps, options);
    const FloatEnvironment environment;
    std::vector<ImageCount> results;
    results.reserve(maps.batch);
    for (std::size_t image = 0; image < maps.batch; ++image) {
        results.push_back(count_image(maps, image, options));
    }
    return results;
}

}  // namespace edgecount
