// Camera frames to network inputs on a GPU: the twin of edgecount/preprocess.h.
#pragma once

#include <cstddef>
#include <memory>

#include "edgecount/cuda/stream.h"
#include "edgecount/maps.h"
#include "edgecount/preprocess.h"

namespace edgecount::cuda {

/// Prepares frames of one size. Holds the filter's weights on the device; may be used by several
/// streams and threads at once.
///
/// Gives the bits of the CPU's preprocess, for float16 rounded to nearest even.
class Preprocessor {
public:
    /// `height` and `width` are the frame's, in `pixels`. Throws std::invalid_argument as
    /// preprocess does.
    Preprocessor(std::size_t height, std::size_t width, Pixels pixels,
                 const PreprocessOptions& options, Scalar out, int device);
    ~Preprocessor();
    Preprocessor(const Preprocessor&) = delete;
    Preprocessor& operator=(const Preprocessor&) = delete;

    /// Writes 3 x out_height x out_width values. The view's pointers are device memory; its size
    /// and pixels must be those of the constructor. No call waits or allocates.
    void enqueue(const ImageView& image, void* out, const Stream& stream) const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace edgecount::cuda
