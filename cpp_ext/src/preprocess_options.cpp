#include "preprocess_options.h"

#include "edgecount/pixels.h"
#include "message.h"

namespace edgecount {

void check_preprocess(const ImageView& image, const PreprocessOptions& options) {
    if (image.height == 0 || image.width == 0) {
        reject("image: expected at least 1 x 1 pixel, got ", image.height, " x ", image.width);
    }
    if (is_nv12(image.pixels) && (image.height % 2 != 0 || image.width % 2 != 0)) {
        reject("image: expected an even height and width for NV12, got ", image.height, " x ",
               image.width);
    }
    if (options.resized_height == 0 || options.resized_width == 0) {
        reject("resized_height, resized_width: expected at least 1 x 1 pixel, got ",
               options.resized_height, " x ", options.resized_width);
    }
    if (options.resized_height > options.out_height || options.resized_width > options.out_width) {
        reject("resized_height, resized_width: expected at most the output's ", options.out_height,
               " x ", options.out_width, " pixels, got ", options.resized_height, " x ",
               options.resized_width);
    }
}

Normalisation normalisation(Pixels pixels, const PreprocessOptions& options) {
    Normalisation values{};
    const bool turned = options.swap_rb != is_red_first(pixels);
    for (std::size_t channel = 0; channel < 3; ++channel) {
        values.mean[channel] = options.mean[channel];
        values.scale[channel] = options.scale[channel];
        values.source[channel] = turned ? 2 - channel : channel;
    }
    return values;
}

}  // namespace edgecount
