// What counting found, as Python sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "edgecount/maps.h"

namespace edgecount {

/// The counts as the arrays that Python sees. They are handed out as views, so that a call pays
/// only for those that are looked at.
struct MapCounts {
    std::vector<std::vector<Peak>> peaks;
    std::vector<std::vector<Box>> boxes;
    std::size_t regions = 0;
    std::vector<std::int64_t> peak_count;
    std::vector<std::uint8_t> overflow;  // bool; a vector of bool has no array of them inside
    std::vector<double> density_sum;
    std::vector<double> count;
    std::vector<double> region_count;
    std::vector<double> region_density;
    std::vector<double> region_peaks;
};

MapCounts rearrange(std::vector<ImageCount>&& images, std::size_t regions);

}  // namespace edgecount
