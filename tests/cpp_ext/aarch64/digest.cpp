// Runs the kernels over seeded inputs and prints a digest of the bits that come out, so that two
// processors can be compared by a few lines of text; with every instruction set that the processor
// has, all of which must agree.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "edgecount/count_boxes.h"
#include "edgecount/count_maps.h"
#include "edgecount/preprocess.h"
#include "kernels.h"

namespace edgecount {
extern const Kernels plain_kernels;
}

namespace {

using namespace edgecount;

/// SplitMix64: unlike the distributions of <random>, the same numbers by every standard library.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        state_ += 0x9e3779b97f4a7c15U;
        std::uint64_t bits = state_;
        bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9U;
        bits = (bits ^ bits >> 27) * 0x94d049bb133111ebU;
        return bits ^ bits >> 31;
    }
    std::size_t pick(std::size_t low, std::size_t high) { return low + next() % (high - low + 1); }
    /// In [0, 1), with all bits of the fraction in use.
    float unit() { return static_cast<float>(next() >> 40) / 16777216.0F; }

private:
    std::uint64_t state_;
};

/// FNV-1a.
class Digest {
public:
    template <typename T>
    void add(const T* values, std::size_t n) {
        std::vector<unsigned char> bytes(n * sizeof(T));
        if (n != 0) std::memcpy(bytes.data(), values, bytes.size());
        for (const unsigned char byte : bytes) hash_ = (hash_ ^ byte) * 0x100000001b3U;
    }
    void add(const Tally& tally) {
        const double values[] = {tally.count, tally.density, tally.peaks};
        add(values, 3);
    }
    void add(const ImageCount& count) {
        add(&count.peak_count, 1);
        add(count.whole);
        for (const Tally& region : count.regions) add(region);
        for (const Peak& peak : count.peaks) {
            const float values[] = {peak.x, peak.y, peak.score};
            add(values, 3);
        }
        for (const Box& box : count.boxes) {
            const float values[] = {box.left, box.top, box.right, box.bottom};
            add(values, 4);
        }
    }
    std::uint64_t value() const { return hash_; }

private:
    std::uint64_t hash_ = 0xcbf29ce484222325U;
};

/// Any values, or few levels, so that most cells tie with a neighbour; some below 0.
std::vector<float> floats(Random& random, std::size_t n) {
    std::vector<float> values(n);
    const bool few = random.pick(0, 1) == 1;
    for (float& value : values) {
        value = few ? static_cast<float>(random.pick(0, 6)) / 7.0F - 0.1F : random.unit() - 0.1F;
    }
    return values;
}

/// Finite halves of all magnitudes, subnormal ones too.
std::vector<std::uint16_t> halves(Random& random, std::size_t n, std::size_t largest) {
    std::vector<std::uint16_t> values(n);
    for (std::uint16_t& value : values) {
        value = static_cast<std::uint16_t>(random.pick(0, 1) << 15 | random.pick(0, largest));
    }
    return values;
}

std::vector<float> coverage(Random& random, std::size_t n) {
    std::vector<float> values(n);
    for (float& value : values) value = random.unit();
    return values;
}

CountOptions options(Random& random) {
    CountOptions chosen;
    chosen.window = 3 + 2 * random.pick(0, 2);
    chosen.threshold = random.unit() / 2.0F;
    chosen.capacity = random.pick(0, 1) * random.pick(1, 50);
    chosen.unit = 1.0 + static_cast<double>(random.unit());
    chosen.fuse_cell = random.pick(0, 9);
    chosen.fuse_low = 1.0;
    chosen.fuse_high = 20.0;
    return chosen;
}

struct Size {
    std::size_t height;
    std::size_t width;
};

Size size(Random& random) {
    switch (random.pick(0, 5)) {
        case 0: return {1, 1};
        case 1: return {135, 240};
        default: return {random.pick(1, 40), random.pick(1, 200)};
    }
}

void count_floats(Random& random, Digest& digest) {
    const auto [height, width] = size(random);
    const std::size_t batch = random.pick(1, 2);
    const std::size_t regions = random.pick(0, 3);
    const Size coarse{(height + 1) / 2, (width + 1) / 2};
    const auto heat = floats(random, batch * height * width);
    const auto offset = floats(random, 2 * heat.size());
    const auto density = floats(random, batch * coarse.height * coarse.width);
    const auto masks = coverage(random, regions * coarse.height * coarse.width);
    Maps maps;
    maps.batch = batch;
    maps.heatmap = {heat.data(), Scalar::float32, batch, height, width};
    maps.density = {density.data(), Scalar::float32, batch, coarse.height, coarse.width};
    if (random.pick(0, 1) == 1) {
        maps.offset = {offset.data(), Scalar::float32, 2 * batch, height, width};
    }
    if (regions > 0) {
        maps.masks = {masks.data(), Scalar::float32, regions, coarse.height, coarse.width};
    }
    for (const ImageCount& count : count_maps(maps, options(random))) digest.add(count);
}

void count_halves(Random& random, Digest& digest) {
    const auto [height, width] = size(random);
    // A large density would hide the small ones, which conversions treat apart.
    const auto heat = halves(random, height * width, 0x7bff);
    const auto density = halves(random, height * width, random.pick(0, 1) == 1 ? 0x7bff : 0x7ff);
    Maps maps;
    maps.batch = 1;
    maps.heatmap = {heat.data(), Scalar::float16, 1, height, width};
    maps.density = {density.data(), Scalar::float16, 1, height, width};
    for (const ImageCount& count : count_maps(maps, options(random))) digest.add(count);
}

void count_by_boxes(Random& random, Digest& digest) {
    const auto [height, width] = size(random);
    const auto scores = floats(random, 2 * height * width);
    const auto boxes = floats(random, 4 * scores.size());
    const auto small = halves(random, height * width, 0x3bff);
    const auto near = halves(random, 4 * small.size(), 0x4400);
    const auto masks = coverage(random, height * width);
    BoxMaps maps;
    maps.batch = 1;
    maps.levels.push_back({{scores.data(), Scalar::float32, 2, height, width},
                           {boxes.data(), Scalar::float32, 8, height, width},
                           2,
                           12});
    maps.levels.push_back({{small.data(), Scalar::float16, 1, height, width},
                           {near.data(), Scalar::float16, 4, height, width},
                           1,
                           16});
    maps.masks = {masks.data(), Scalar::float32, 1, height, width};
    BoxOptions chosen;
    chosen.threshold = random.unit() / 2.0F;
    chosen.iou = static_cast<double>(random.unit());
    for (const ImageCount& count : count_boxes(maps, chosen)) digest.add(count);
}

PreprocessOptions preprocessing(Random& random, const Size& from) {
    PreprocessOptions chosen;
    const bool same = random.pick(0, 2) == 0;
    chosen.resized_height = same ? from.height : random.pick(1, 2 * from.height);
    chosen.resized_width = same ? from.width : random.pick(1, 2 * from.width);
    chosen.out_height = chosen.resized_height + random.pick(0, 6);
    chosen.out_width = chosen.resized_width + random.pick(0, 6);
    chosen.swap_rb = random.pick(0, 1) == 1;
    for (float& mean : chosen.mean) mean = 255.0F * random.unit();
    for (float& scale : chosen.scale) scale = random.unit() / 50.0F;
    chosen.pad_value = -random.unit();
    return chosen;
}

std::vector<std::uint8_t> bytes(Random& random, std::size_t n) {
    std::vector<std::uint8_t> values(n);
    for (std::uint8_t& value : values) value = static_cast<std::uint8_t>(random.pick(0, 255));
    return values;
}

void run_preprocess(const ImageView& image, const PreprocessOptions& chosen, Digest& digest) {
    std::vector<float> out(3 * chosen.out_height * chosen.out_width);
    preprocess(image, chosen, out.data());
    digest.add(out.data(), out.size());
}

void preprocess_packed(Random& random, Digest& digest) {
    const Pixels formats[] = {Pixels::bgr, Pixels::rgb, Pixels::bgrx, Pixels::rgbx, Pixels::grey};
    const Pixels pixels = formats[random.pick(0, 4)];
    const Size from = size(random);
    const std::size_t stride = bytes_per_pixel(pixels) * from.width + random.pick(0, 9);
    const auto image = bytes(random, stride * from.height);
    run_preprocess({image.data(), from.height, from.width, stride, pixels},
                   preprocessing(random, from), digest);
}

void preprocess_nv12(Random& random, Digest& digest) {
    Size from = size(random);
    from = {2 * ((from.height + 1) / 2), 2 * ((from.width + 1) / 2)};
    const std::size_t stride = from.width + random.pick(0, 9);
    const auto luma = bytes(random, stride * from.height);
    const auto chroma = bytes(random, stride * from.height / 2);
    ImageView image{luma.data(), from.height, from.width, stride};
    const Pixels formats[] = {Pixels::nv12_bt601, Pixels::nv12_bt601_full, Pixels::nv12_bt709,
                              Pixels::nv12_bt709_full};
    image.pixels = formats[random.pick(0, 3)];
    image.chroma = chroma.data();
    image.chroma_stride = stride;
    run_preprocess(image, preprocessing(random, from), digest);
}

struct Subject {
    const char* name;
    void (*run)(Random& random, Digest& digest);
};

std::uint64_t digest_of(const Subject& subject) {
    Random random(20261);
    Digest digest;
    for (int round = 0; round < 200; ++round) subject.run(random, digest);
    return digest.value();
}

}  // namespace

int main() {
    std::vector<const Kernels*> available = available_kernels();
    available.push_back(&plain_kernels);
    const Subject subjects[] = {{"count float32", count_floats},
                                {"count float16", count_halves},
                                {"count boxes", count_by_boxes},
                                {"preprocess packed pixels", preprocess_packed},
                                {"preprocess NV12", preprocess_nv12}};
    for (const Subject& subject : subjects) {
        use_kernels(*available.front());
        const std::uint64_t first = digest_of(subject);
        for (const Kernels* kernels : available) {
            use_kernels(*kernels);
            if (digest_of(subject) == first) continue;
            std::fprintf(stderr, "%s: %s gives other bits than %s\n", subject.name, kernels->name,
                         available.front()->name);
            return 1;
        }
        std::printf("%s: %016llx\n", subject.name, static_cast<unsigned long long>(first));
    }
}
