// Maps to counts on a GPU: the twin of edgecount/count_maps.h.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "edgecount/cuda/device_planes.h"
#include "edgecount/cuda/stream.h"
#include "edgecount/maps.h"

namespace edgecount::cuda {

struct MapShape {
    std::size_t height = 0;
    std::size_t width = 0;
    Scalar scalar = Scalar::float32;
    bool present = false;
};

struct CounterOptions {
    CountOptions count;         ///< Capacity 0 makes room for all peaks that a map can hold.
    bool keep_density = false;  ///< Also brings back the density, in people per cell.
    std::size_t listed = 1024;  ///< Peaks per image that come back with the counts; more of them
                                ///< cost a copy.
};

/// Counts batches of maps of one shape. Holds its workspace on the device and the pinned memory
/// that results come back to, so it is for one stream at a time.
///
/// Peaks and sums have the bits of the CPU's count_maps: what a camera counts does not depend on
/// where it is counted.
class MapCounter {
public:
    /// `heatmap` and `density` are planes per image, `offset` says whether there are two more for
    /// each image, of the heatmap's shape and scalar. `masks` are in host memory, and copied.
    /// Throws std::invalid_argument as count_maps does.
    MapCounter(std::size_t batch, const MapShape& heatmap, bool offset, const MapShape& density,
               const Planes& masks, const CounterOptions& options, int device);
    ~MapCounter();
    MapCounter(const MapCounter&) = delete;
    MapCounter& operator=(const MapCounter&) = delete;

    /// Counts the maps in the stream; results are on the host when it is done. No call waits,
    /// allocates or looks at results, so that it can be captured.
    void enqueue(const DevicePlanes& heatmap, const DevicePlanes& offset,
                 const DevicePlanes& density, const Stream& stream);

    /// The counts, once the stream has done the work of the last enqueue. Copies what did not fit
    /// into `listed`. Throws std::invalid_argument as count_maps does when a map holds a NaN or an
    /// infinity.
    std::vector<ImageCount> read(const Stream& stream);

    /// float32 people per cell, batch x height x width; null unless kept. Until the next enqueue.
    const float* density() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace edgecount::cuda
