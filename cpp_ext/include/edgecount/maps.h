// What goes into and comes out of counting: borrowed planes, options and results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace edgecount {

enum class Scalar { float32, float16 };

/// Planes of one size in C order, borrowed from the caller. `data` is null when the map is absent.
struct Planes {
    const void* data = nullptr;
    Scalar scalar = Scalar::float32;
    std::size_t count = 0;
    std::size_t height = 0;
    std::size_t width = 0;

    bool present() const { return data != nullptr; }
    std::size_t cells() const { return height * width; }

    /// The first cell of one row of one plane.
    const void* row(std::size_t plane, std::size_t y) const {
        const std::size_t size = scalar == Scalar::float32 ? 4 : 2;
        return static_cast<const char*>(data) + (plane * height + y) * width * size;
    }
};

/// The maps of a batch of B images.
struct Maps {
    std::size_t batch = 0;
    Planes heatmap;  ///< B planes, probabilities.
    Planes offset;   ///< 2 * B planes: dx and dy of each image, in heatmap cells.
    Planes density;  ///< B planes, people per cell times CountOptions::unit.
    Planes masks;    ///< R planes of float32 coverage in [0, 1], on the density's grid or, without
                     ///< a density, on the heatmap's.
};

struct CountOptions {
    std::size_t window = 3;      ///< Side of the square a peak must win: 3, 5 or 7 cells.
    float threshold = 0.4F;      ///< A peak is strictly above it.
    std::size_t capacity = 0;    ///< Most peaks returned per image; 0 for no limit.
    double unit = 1.0;           ///< Density value of one person.
    std::size_t fuse_cell = 0;   ///< Height of a fusion cell in density cells; 0 for no fusion.
    std::size_t fuse_width = 0;  ///< Its width; 0 for a square.
    double fuse_low = 0.0;       ///< People per fusion cell up to which the peaks alone count.
    double fuse_high = 0.0;      ///< People per fusion cell from which the density alone counts.
};

/// A head point, continuous: cell i spans [i, i + 1). In heatmap cells, or the centre of a box in
/// pixels of the network.
struct Peak {
    float x;
    float y;
    float score;
};

/// Sides of a head's box in pixels of the network.
struct Box {
    float left;
    float top;
    float right;
    float bottom;
};

/// The three counts of an image or of one of its regions.
struct Tally {
    double count = 0.0;    ///< Fused.
    double density = 0.0;  ///< Sum of the density, in people.
    double peaks = 0.0;    ///< Peaks, each weighted by the coverage of its cell.
};

struct ImageCount {
    std::vector<Peak> peaks;      ///< In raster order, or of boxes by score, up to the capacity.
    std::vector<Box> boxes;       ///< Those of the peaks, of a detector.
    std::int64_t peak_count = 0;  ///< All that were found, also beyond the capacity.
    Tally whole;
    std::vector<Tally> regions;

    bool overflow() const { return peak_count > static_cast<std::int64_t>(peaks.size()); }
};

}  // namespace edgecount
