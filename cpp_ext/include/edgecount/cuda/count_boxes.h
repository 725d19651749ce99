// Boxes to counts on a GPU: the twin of edgecount/count_boxes.h.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "edgecount/count_boxes.h"
#include "edgecount/cuda/device_planes.h"
#include "edgecount/cuda/stream.h"
#include "edgecount/maps.h"

namespace edgecount::cuda {

/// The size of one level's maps.
struct BoxLevelShape {
    std::size_t anchors = 1;
    std::size_t height = 0;
    std::size_t width = 0;
    std::size_t stride = 1;  ///< Pixels to a cell.
    Scalar scores = Scalar::float32;
    Scalar boxes = Scalar::float32;
};

/// One level's maps: for each image `anchors` planes of scores, and four times as many of
/// distances.
struct DeviceLevel {
    DevicePlanes scores;
    DevicePlanes boxes;
};

struct BoxCounterOptions {
    BoxOptions count;           ///< Capacity 0 makes room for a box at every anchor.
    std::size_t listed = 1024;  ///< Boxes per image that come back with the counts; more of them
                                ///< cost a copy.
};

/// Counts batches of boxes of one shape. Holds its workspace on the device and the pinned memory
/// that results come back to, so it is for one stream at a time.
///
/// The workspace has room for a box at every anchor of the maps, 28 bytes each, so that no number
/// of candidates is too large. Boxes, their order and sums have the bits of the CPU's count_boxes.
class BoxCounter {
public:
    /// `masks` are in host memory, on the grid of the first level, and copied. Throws
    /// std::invalid_argument as count_boxes does, and for more than 16 levels.
    BoxCounter(std::size_t batch, const std::vector<BoxLevelShape>& levels, const Planes& masks,
               const BoxCounterOptions& options, int device);
    ~BoxCounter();
    BoxCounter(const BoxCounter&) = delete;
    BoxCounter& operator=(const BoxCounter&) = delete;

    /// Counts the maps in the stream; results are on the host when it is done. No call waits,
    /// allocates or looks at results, so that it can be captured.
    void enqueue(const std::vector<DeviceLevel>& levels, const Stream& stream);

    /// The counts, once the stream has done the work of the last enqueue. Copies what did not fit
    /// into `listed`. Throws std::invalid_argument as count_boxes does when a score or a
    /// candidate's box is a NaN or an infinity.
    std::vector<ImageCount> read(const Stream& stream);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace edgecount::cuda
