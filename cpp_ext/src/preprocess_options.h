// What the CPU and the GPU make of the options of preprocessing.
#pragma once

#include "edgecount/preprocess.h"
#include "kernels.h"

namespace edgecount {

/// Throws std::invalid_argument when the sizes do not fit. The image's pointers are not looked at.
void check_preprocess(const ImageView& image, const PreprocessOptions& options);

/// Whether pixels are only normalised, each for itself.
inline bool keeps_size(const ImageView& image, const PreprocessOptions& options) {
    return image.height == options.resized_height && image.width == options.resized_width;
}

Normalisation normalisation(Pixels pixels, const PreprocessOptions& options);

}  // namespace edgecount
