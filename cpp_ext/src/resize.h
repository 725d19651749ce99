// The triangle filter of the resize.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace edgecount {

/// The input samples that make one output sample.
struct Taps {
    std::size_t first;
    std::size_t count;
    const float* weights;
};

/// The weights of one axis.
///
/// Computed in float32 and in torch's order of operations: on long axes float32 coordinates are
/// coarse, and exact ones would give weights that differ from those of the training transform.
class Filter {
public:
    Filter(std::size_t in_size, std::size_t out_size);

    std::size_t size() const { return first_.size(); }
    Taps taps(std::size_t i) const {
        return {first_[i], start_[i + 1] - start_[i], weights_.data() + start_[i]};
    }
    std::size_t most_taps() const;

private:
    void add(std::size_t first, std::size_t end, float center, float inverse);

    std::vector<std::size_t> first_;
    std::vector<std::size_t> start_;
    std::vector<float> weights_;
};

/// The same weights with as many taps for each output sample, so that a loop over them needs no
/// branch: short ones are filled up with zeros, inside the input.
struct EvenFilter {
    EvenFilter(const Filter& filter, std::size_t in_size);

    std::size_t taps = 1;
    std::vector<std::uint32_t> first;
    std::vector<float> weights;
};

}  // namespace edgecount
