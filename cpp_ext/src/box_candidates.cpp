#include "box_candidates.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>

#include "box_arithmetic.h"
#include "half.h"
#include "kernels.h"
#include "keys.h"
#include "message.h"
#include "threshold_key.h"

namespace edgecount {
namespace {

/// Cells that are listed in one go: few enough for their scores to stay in the cache.
constexpr std::size_t kChunk = 4096;

float value_at(const Planes& map, std::size_t plane, std::size_t cell) {
    const void* cells = map.row(plane, 0);
    if (map.scalar == Scalar::float32) return static_cast<const float*>(cells)[cell];
    return half_to_float(static_cast<const std::uint16_t*>(cells)[cell]);
}

/// The scores of one image above the threshold, as keys that sort them.
class ScoreScan {
public:
    ScoreScan(const BoxMaps& maps, std::size_t image, float threshold)
        : maps_(maps), image_(image), threshold_(threshold), indices_(kChunk + 3) {}

    std::vector<std::uint64_t> run() {
        std::size_t rank = 0;
        for (std::size_t i = 0; i < maps_.levels.size(); ++i) {
            const BoxLevel& level = maps_.levels[i];
            if (!scan(level, static_cast<std::uint32_t>(rank))) {
                reject_non_finite(("levels[" + std::to_string(i) + "].scores").c_str(), image_);
            }
            rank += level.scores.cells() * level.anchors;
        }
        std::sort(keys_.begin(), keys_.end());
        return std::move(keys_);
    }

private:
    /// Lists a level, and returns whether all its scores are finite.
    bool scan(const BoxLevel& level, std::uint32_t rank) {
        const Planes& scores = level.scores;
        const bool floats = scores.scalar == Scalar::float32;
        std::int16_t largest[kLargest] = {};
        for (std::size_t anchor = 0; anchor < level.anchors; ++anchor) {
            for (std::size_t at = 0; at < scores.cells(); at += kChunk) {
                scan_chunk(level, anchor, at, rank, largest);
            }
        }
        return *std::max_element(std::begin(largest), std::end(largest)) <
               (floats ? kFloatInfinity : kHalfInfinity);
    }

    void scan_chunk(const BoxLevel& level, std::size_t anchor, std::size_t at, std::uint32_t rank,
                    std::int16_t* largest) {
        const Planes& scores = level.scores;
        const std::size_t plane = image_ * level.anchors + anchor;
        const std::size_t size = scores.scalar == Scalar::float32 ? 4 : 2;
        const void* cells = static_cast<const char*>(scores.row(plane, 0)) + at * size;
        const std::size_t n = std::min(kChunk, scores.cells() - at);
        const std::size_t listed = kernels().peaks.cells(scores.scalar).list_above(
            cells, n, threshold_key(scores.scalar, threshold_), largest, indices_.data());
        for (std::size_t i = 0; i < listed; ++i) {
            const std::size_t cell = at + indices_[i];
            const float score = value_at(scores, plane, cell);
            if (!(score > threshold_)) continue;
            const auto place = static_cast<std::uint32_t>(cell * level.anchors + anchor);
            keys_.push_back(candidate_key(score, rank + place));
        }
    }

    const BoxMaps& maps_;
    std::size_t image_;
    float threshold_;
    std::vector<std::uint32_t> indices_;
    std::vector<std::uint64_t> keys_;
};

/// The boxes of one image by their ranks.
class BoxReader {
public:
    BoxReader(const BoxMaps& maps, std::size_t image) : maps_(maps), image_(image) {
        for (const BoxLevel& level : maps.levels) {
            ends_.push_back((ends_.empty() ? 0 : ends_.back()) +
                            level.scores.cells() * level.anchors);
        }
    }

    std::size_t level_of(std::uint32_t rank) const {
        std::size_t level = 0;
        while (rank >= ends_[level]) ++level;
        return level;
    }

    Box read(std::size_t index, std::uint32_t rank) const {
        const BoxLevel& level = maps_.levels[index];
        const std::size_t place = rank - (index == 0 ? 0 : ends_[index - 1]);
        const std::size_t cell = place / level.anchors;
        const std::size_t plane = 4 * (image_ * level.anchors + place % level.anchors);
        const std::size_t row = cell / level.boxes.width;
        const auto distance = [&](std::size_t k) { return value_at(level.boxes, plane + k, cell); };
        return decode_box(static_cast<std::uint32_t>(cell - row * level.boxes.width),
                          static_cast<std::uint32_t>(row), static_cast<float>(level.stride),
                          distance(0), distance(1), distance(2), distance(3));
    }

private:
    const BoxMaps& maps_;
    std::size_t image_;
    std::vector<std::size_t> ends_;
};

}  // namespace

std::vector<Candidate> find_candidates(const BoxMaps& maps, std::size_t image,
                                       const BoxOptions& options) {
    const std::vector<std::uint64_t> keys = ScoreScan(maps, image, options.threshold).run();
    const BoxReader reader(maps, image);
    const std::size_t none = maps.levels.size();
    std::size_t non_finite = none;  // the first such level
    std::vector<Candidate> found;
    found.reserve(keys.size());
    for (const std::uint64_t key : keys) {
        const auto rank = static_cast<std::uint32_t>(key);
        const std::size_t level = reader.level_of(rank);
        const Box box = reader.read(level, rank);
        if (!is_finite(box)) non_finite = std::min(non_finite, level);
        if (!is_visible(box, options.width, options.height)) continue;
        found.push_back({box, candidate_score(key)});
    }
    if (non_finite != none) {
        reject_non_finite(("levels[" + std::to_string(non_finite) + "].boxes").c_str(), image);
    }
    return found;
}

}  // namespace edgecount
