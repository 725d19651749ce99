#include "resize.h"

#include <algorithm>
#include <cmath>

namespace edgecount {
namespace {

/// Rounds down as torch does, which adds the half in double.
std::ptrdiff_t round_half(float value) {
    return static_cast<std::ptrdiff_t>(static_cast<double>(value) + 0.5);
}

float triangle(std::size_t sample, float center, float inverse) {
    const double distance = static_cast<double>(static_cast<float>(sample) - center) + 0.5;
    const float scaled = static_cast<float>(distance * static_cast<double>(inverse));
    return std::max(0.0F, 1.0F - std::fabs(scaled));
}

}  // namespace

Filter::Filter(std::size_t in_size, std::size_t out_size) {
    const float scale = static_cast<float>(in_size) / static_cast<float>(out_size);
    const float support = std::max(scale, 1.0F);
    const float inverse = 1.0F / support;
    start_.push_back(0);
    for (std::size_t i = 0; i < out_size; ++i) {
        const float center =
            static_cast<float>(static_cast<double>(scale) * (static_cast<double>(i) + 0.5));
        const std::ptrdiff_t low = std::max<std::ptrdiff_t>(round_half(center - support), 0);
        const std::ptrdiff_t high =
            std::min(round_half(center + support), static_cast<std::ptrdiff_t>(in_size));
        add(static_cast<std::size_t>(low), static_cast<std::size_t>(high), center, inverse);
    }
}

void Filter::add(std::size_t first, std::size_t end, float center, float inverse) {
    // Zeros at the ends only cost time; without them an axis that keeps its size has single taps.
    while (first + 1 < end && triangle(first, center, inverse) == 0.0F) ++first;
    while (first + 1 < end && triangle(end - 1, center, inverse) == 0.0F) --end;
    float total = 0.0F;
    for (std::size_t sample = first; sample < end; ++sample) {
        weights_.push_back(triangle(sample, center, inverse));
        total += weights_.back();
    }
    for (std::size_t i = start_.back(); i < weights_.size(); ++i) weights_[i] /= total;
    first_.push_back(first);
    start_.push_back(weights_.size());
}

std::size_t Filter::most_taps() const {
    std::size_t most = 0;
    for (std::size_t i = 0; i < size(); ++i) most = std::max(most, taps(i).count);
    return most;
}

EvenFilter::EvenFilter(const Filter& filter, std::size_t in_size) : taps(filter.most_taps()) {
    weights.resize(filter.size() * taps, 0.0F);
    for (std::size_t i = 0; i < filter.size(); ++i) {
        const Taps from = filter.taps(i);
        const std::size_t moved = std::min(from.first, in_size - taps);
        std::copy_n(from.weights, from.count, weights.data() + i * taps + (from.first - moved));
        first.push_back(static_cast<std::uint32_t>(moved));
    }
}

}  // namespace edgecount
