#include "edgecount/preprocess.h"

#include <algorithm>
#include <vector>

#include "channel_rows.h"
#include "float_environment.h"
#include "kernels.h"
#include "preprocess_options.h"
#include "resize.h"

namespace edgecount {
namespace {

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

void convert(const ImageView& image, const PreprocessOptions& options, float* out) {
    const Normalisation values = normalisation(image.pixels, options);
    ChannelRows source(image, 1);
    for (std::size_t y = 0; y < image.height; ++y) {
        const OutputRows rows = output_rows(options, out, y);
        kernels().images.convert_row(source.rows(y, 1), image.width, values, rows.channel);
    }
}

void resize(const ImageView& image, const PreprocessOptions& options, float* out) {
    const ImageKernels& images = kernels().images;
    const Normalisation values = normalisation(image.pixels, options);
    const Filter vertical(image.height, options.resized_height);
    const EvenFilter horizontal(Filter(image.width, options.resized_width), image.width);
    ChannelRows source(image, vertical.most_taps());

    // Rows are blended before pixels: that reads each image row from start to end, and leaves one
    // row of floats to be resampled. The row's last pixel is read with a float more.
    std::vector<float> blended(3 * image.width + 1);
    std::vector<float> pixels(4 * options.resized_width);
    for (std::size_t y = 0; y < options.resized_height; ++y) {
        const OutputRows rows = output_rows(options, out, y);
        const Taps taps = vertical.taps(y);
        images.blend_rows(source.rows(taps.first, taps.count), source.stride(), taps.weights,
                          taps.count, blended.data(), 3 * image.width);
        images.resample_row(blended.data(), horizontal.first.data(), horizontal.weights.data(),
                            horizontal.taps, pixels.data(), options.resized_width);
        images.split_row(pixels.data(), options.resized_width, values, rows.channel);
    }
}

}  // namespace

void preprocess(const ImageView& image, const PreprocessOptions& options, float* out) {
    check_preprocess(image, options);
    const FloatEnvironment environment;
    if (keeps_size(image, options)) {
        convert(image, options, out);
    } else {
        resize(image, options, out);
    }
    pad(options, out);
}

}  // namespace edgecount
