// Preprocessor on the emulated GPU against preprocess, bit for bit, over random frames. Prints "ok"
// and the number of frames. The arguments are how many there are, and the seed.
#include <cuda_fp16.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <random>
#include <vector>

#include "edgecount/cuda/memory.h"
#include "edgecount/cuda/preprocess.h"
#include "edgecount/cuda/stream.h"
#include "edgecount/preprocess.h"

namespace {

using namespace edgecount;

using Random = std::mt19937;

std::size_t pick(Random& random, std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(random);
}

/// Bytes on the host, and the same on the device, as far from an aligned address as asked for.
struct Bytes {
    std::vector<std::uint8_t> host;
    cuda::DeviceMemory memory;
    std::uint8_t* device = nullptr;

    Bytes(Random& random, std::size_t size, std::size_t skipped)
        : host(size), memory(size + skipped, 0) {
        for (std::uint8_t& byte : host) byte = static_cast<std::uint8_t>(random());
        device = static_cast<std::uint8_t*>(memory.data()) + skipped;
        const cuda::Stream stream(0);
        stream.upload(device, host.data(), size);
        stream.synchronize();
    }
};

/// Options that resize to any smaller size, or keep the size, with padding around.
PreprocessOptions pick_options(Random& random, std::size_t height, std::size_t width) {
    const bool keeps = pick(random, 0, 3) == 0;
    PreprocessOptions options;
    options.resized_height =
        keeps ? height : std::max<std::size_t>(1, height * pick(random, 5, 100) / 100);
    options.resized_width =
        keeps ? width : std::max<std::size_t>(1, width * pick(random, 5, 100) / 100);
    options.out_height = options.resized_height + pick(random, 0, 20);
    options.out_width = options.resized_width + pick(random, 0, 70);
    options.swap_rb = pick(random, 0, 1) == 0;
    options.pad_value = -1.25F;
    for (unsigned channel = 0; channel < 3; ++channel) {
        options.mean[channel] = 100.0F + 7.3F * static_cast<float>(channel);
        options.scale[channel] = 0.017F + 0.001F * static_cast<float>(channel);
    }
    return options;
}

/// Returns what the device writes, as floats or halves.
template <typename T>
std::vector<T> on_device(const ImageView& image, const PreprocessOptions& options) {
    const Scalar scalar = sizeof(T) == 4 ? Scalar::float32 : Scalar::float16;
    std::vector<T> values(3 * options.out_height * options.out_width);
    const cuda::DeviceMemory out(values.size() * sizeof(T), 0);
    const cuda::Stream stream(0);
    const cuda::Preprocessor preprocessor(image.height, image.width, image.pixels, options, scalar,
                                          0);
    preprocessor.enqueue(image, out.data(), stream);
    stream.download(values.data(), out.data(), values.size() * sizeof(T));
    stream.synchronize();
    return values;
}

void check(Random& random, int number) {
    const NamedPixels format = kPixelFormats[pick(random, 0, std::size(kPixelFormats) - 1)];
    const bool nv12 = is_nv12(format.pixels);
    const bool large = pick(random, 0, 9) == 0;
    std::size_t height = pick(random, 1, large ? 300 : 60);
    std::size_t width = pick(random, 1, large ? 2600 : 90);
    if (nv12) {
        height += height % 2;
        width += width % 2;
    }
    const PreprocessOptions options = pick_options(random, height, width);
    const std::size_t step = pick(random, 0, 1) == 0 ? 4 : 1;
    const std::size_t stride = width * bytes_per_pixel(format.pixels) + pick(random, 0, 3) * step;
    const std::size_t chroma_stride = width + pick(random, 0, 1) * 5;
    const std::size_t skipped = pick(random, 0, 2) == 0 ? pick(random, 0, 3) : 0;
    const Bytes pixels(random, stride * height, skipped);
    const Bytes chroma(random, chroma_stride * (height / 2 + 1), 0);

    ImageView image;
    image.height = height;
    image.width = width;
    image.row_stride = stride;
    image.pixels = format.pixels;
    image.chroma_stride = nv12 ? chroma_stride : 0;
    image.data = pixels.host.data();
    if (nv12) image.chroma = chroma.host.data();
    std::vector<float> expected(3 * options.out_height * options.out_width);
    preprocess(image, options, expected.data());

    image.data = pixels.device;
    if (nv12) image.chroma = chroma.device;
    const bool half = pick(random, 0, 1) == 0;
    std::vector<float> floats;
    std::vector<std::uint16_t> halves;
    if (half) halves = on_device<std::uint16_t>(image, options);
    if (!half) floats = on_device<float>(image, options);
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const bool same = half ? halves[i] == __float2half_rn(expected[i]).bits
                               : std::memcmp(&floats[i], &expected[i], sizeof(float)) == 0;
        if (same) continue;
        std::fprintf(stderr, "failed: value %zu of frame %d, %zu x %zu %s\n", i, number, height,
                     width, format.name);
        std::exit(1);
    }
}

}  // namespace

int main(int count, char** arguments) {
    const int frames = count > 1 ? std::atoi(arguments[1]) : 100;
    const int seed = count > 2 ? std::atoi(arguments[2]) : 20260;
    Random random(static_cast<unsigned>(seed));
    for (int frame = 0; frame < frames; ++frame) check(random, frame);
    std::printf("ok %d\n", frames);
}
