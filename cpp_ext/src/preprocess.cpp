#include "edgecount/preprocess.h"

#include <algorithm>
#include <vector>

#include "float_environment.h"
#include "kernels.h"
#include "message.h"
#include "resize.h"

namespace edgecount {
namespace {

void check(const ImageView& image, const PreprocessOptions& options) {
    if (image.height == 0 || image.width == 0) {
        reject("image: expected at least 1 x 1 pixel, got ", image.height, " x ", image.width);
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

/// One row of each channel of the output.
struct OutputRows {
    float* channel[3];
};

OutputRows output_rows(const PreprocessOptions& options, float* out, std::size_t y) {
    const std::size_t plane = options.out_height * options.out_width;
    float* row = out + y * options.out_width;
    return {{row, row + plane, row + 2 * plane}};
}

void pad(const PreprocessOptions& options, float* out) {
    for (std::size_t y = 0; y < options.out_height; ++y) {
        const std::size_t first = y < options.resized_height ? options.resized_width : 0;
        const OutputRows rows = output_rows(options, out, y);
        for (float* row : rows.channel) {
            std::fill(row + first, row + options.out_width, options.pad_value);
        }
    }
}

Normalisation normalisation(const PreprocessOptions& options) {
    Normalisation values{};
    for (std::size_t channel = 0; channel < 3; ++channel) {
        values.mean[channel] = options.mean[channel];
        values.scale[channel] = options.scale[channel];
        values.source[channel] = options.swap_rb ? 2 - channel : channel;
    }
    return values;
}

void convert(const ImageView& image, const PreprocessOptions& options, float* out) {
    const Normalisation values = normalisation(options);
    for (std::size_t y = 0; y < image.height; ++y) {
        const OutputRows rows = output_rows(options, out, y);
        kernels().images.convert_row(image.row(y), image.width, values, rows.channel);
    }
}

void resize(const ImageView& image, const PreprocessOptions& options, float* out) {
    const ImageKernels& images = kernels().images;
    const Normalisation values = normalisation(options);
    const Filter vertical(image.height, options.resized_height);
    const EvenFilter horizontal(Filter(image.width, options.resized_width), image.width);

    // Rows are blended before pixels: that reads each image row from start to end, and leaves one
    // row of floats to be resampled. The row's last pixel is read with a float more.
    std::vector<float> blended(3 * image.width + 1);
    std::vector<float> pixels(4 * options.resized_width);
    for (std::size_t y = 0; y < options.resized_height; ++y) {
        const OutputRows rows = output_rows(options, out, y);
        const Taps taps = vertical.taps(y);
        images.blend_rows(image.row(taps.first), image.row_stride, taps.weights, taps.count,
                          blended.data(), 3 * image.width);
        images.resample_row(blended.data(), horizontal.first.data(), horizontal.weights.data(),
                            horizontal.taps, pixels.data(), options.resized_width);
        images.split_row(pixels.data(), options.resized_width, values, rows.channel);
    }
}

}  // namespace

void preprocess(const ImageView& image, const PreprocessOptions& options, float* out) {
    check(image, options);
    const FloatEnvironment environment;
    if (image.height == options.resized_height && image.width == options.resized_width) {
        convert(image, options, out);
    } else {
        resize(image, options, out);
    }
    pad(options, out);
}

}  // namespace edgecount
