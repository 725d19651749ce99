// MapCounter on the emulated GPU against count_maps, bit for bit, over random and extreme maps.
// Prints "ok" and the number of batches. The arguments are how many random batches there are, and
// the seed.
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "edgecount/count_maps.h"
#include "edgecount/cuda/count_maps.h"
#include "edgecount/cuda/memory.h"
#include "edgecount/cuda/stream.h"

namespace {

using namespace edgecount;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

int batches = 0;

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "failed: %s (batch %d)\n", what.c_str(), batches);
    std::exit(1);
}

using Random = std::mt19937;

std::size_t pick(Random& random, std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(random);
}

template <typename T>
const T& pick_of(Random& random, const std::vector<T>& values) {
    return values[pick(random, 0, values.size() - 1)];
}

float uniform(Random& random) { return std::uniform_real_distribution<float>(0.0F, 1.0F)(random); }

/// Planes on the host, C-contiguous, and the same on the device, as far apart as asked for; what
/// lies between them is NaN.
struct Map {
    std::vector<float> values;
    std::vector<std::uint16_t> halves;
    Planes planes;
    cuda::DeviceMemory memory;
    cuda::DevicePlanes device;

    std::size_t cell_bytes() const { return planes.scalar == Scalar::float32 ? 4 : 2; }

    void fill_host(Scalar scalar, std::size_t count, std::size_t height, std::size_t width) {
        planes = {values.data(), scalar, count, height, width};
        if (scalar == Scalar::float32) return;
        halves.clear();
        for (const float value : values) halves.push_back(__half_as_ushort(__float2half_rn(value)));
        planes.data = halves.data();
    }

    void upload(std::size_t gap, std::size_t plane_gap, std::size_t skipped) {
        const std::size_t size = cell_bytes();
        device.row_stride = planes.width + gap;
        device.plane_stride = device.row_stride * planes.height + plane_gap;
        const std::size_t rows = planes.count * planes.height;
        const std::size_t last = planes.count == 0 || planes.height == 0
                                     ? 0
                                     : (planes.count - 1) * device.plane_stride +
                                           (planes.height - 1) * device.row_stride + planes.width;
        std::vector<unsigned char> bytes((skipped + last) * size, 0xff);
        for (std::size_t row = 0; row < rows; ++row) {
            const std::size_t at =
                row / planes.height * device.plane_stride + row % planes.height * device.row_stride;
            std::memcpy(bytes.data() + (skipped + at) * size, planes.row(0, row),
                        planes.width * size);
        }
        if (memory.bytes() != std::max<std::size_t>(bytes.size(), 1)) {
            memory = cuda::DeviceMemory(std::max<std::size_t>(bytes.size(), 1), 0);
        }
        const cuda::Stream stream(0);
        stream.upload(memory.data(), bytes.data(), bytes.size());
        stream.synchronize();
        device.data = static_cast<char*>(memory.data()) + skipped * size;
    }
};

/// Ways of filling a map that all make something happen.
float value_of(Random& random, std::size_t style) {
    const float value = uniform(random);
    switch (style) {
        case 0: return value;
        case 1: return std::floor(value * 4.0F) / 4.0F;             // plateaus
        case 2: return value < 0.97F ? 0.0F : 0.5F + value / 4.0F;  // few heads
        case 3: return (value < 0.3F ? -1.0F : 1.0F) * value;       // of either sign
        case 4: return std::ldexp(std::floor(value * 8.0F), -149);  // subnormal
        case 5: return value < 0.5F ? -0.0F : 0.0F;
        case 6: return std::ldexp(std::floor(value * 8.0F), -24);  // subnormal halves
        case 7: return value < 0.9F ? value : 60000.0F;
        default: return std::pow(value, 8.0F);
    }
}

void fill(Map& map, Random& random, Scalar scalar, std::size_t count, std::size_t height,
          std::size_t width, std::size_t style) {
    map.values.resize(count * height * width);
    for (float& value : map.values) value = value_of(random, style);
    map.fill_host(scalar, count, height, width);
}

void place(Map& map, Random& random) {
    const bool plain = pick(random, 0, 1) == 0;
    const std::size_t gap = plain ? 0 : pick(random, 0, 9);
    map.upload(gap, plain ? 0 : pick(random, 0, 9),
               pick(random, 0, 2) == 0 ? pick(random, 0, 3) : 0);
}

/// A batch, how it is counted, and where it lies.
struct Batch {
    std::size_t images = 1;
    Map heatmap, offset, density;
    std::vector<float> coverage;
    Planes masks;
    cuda::CounterOptions options;

    Maps maps() const { return {images, heatmap.planes, offset.planes, density.planes, masks}; }

    cuda::MapCounter counter() const {
        const auto shape = [](const Map& map) {
            return cuda::MapShape{map.planes.height, map.planes.width, map.planes.scalar,
                                  map.planes.present()};
        };
        return cuda::MapCounter(images, shape(heatmap), offset.planes.present(), shape(density),
                                masks, options, 0);
    }
};

/// What came out, or the message of the error.
struct Outcome {
    std::vector<ImageCount> counts;
    std::string error;
};

Outcome outcome_of(const std::function<std::vector<ImageCount>()>& count) {
    try {
        return {count(), ""};
    } catch (const std::invalid_argument& error) {
        return {{}, error.what()};
    }
}

template <typename T>
bool same_bits(const T& a, const T& b) {
    return std::memcmp(&a, &b, sizeof(T)) == 0;
}

void require_same(const std::string& what, double got, double expected) {
    if (same_bits(got, expected)) return;
    char text[100];
    std::snprintf(text, sizeof text, ": expected %.17g, got %.17g", expected, got);
    fail(what + text);
}

void require_same(const std::string& what, const Tally& got, const Tally& expected) {
    require_same(what + ", density", got.density, expected.density);
    require_same(what + ", peaks", got.peaks, expected.peaks);
    require_same(what + ", count", got.count, expected.count);
}

void require_same(const std::vector<Peak>& got, const std::vector<Peak>& expected) {
    if (got.size() != expected.size()) fail("length of the list of peaks");
    for (std::size_t i = 0; i < got.size(); ++i) {
        if (same_bits(got[i], expected[i])) continue;
        char text[200];
        std::snprintf(text, sizeof text, "peak %zu: expected %.9g %.9g %.9g, got %.9g %.9g %.9g", i,
                      expected[i].x, expected[i].y, expected[i].score, got[i].x, got[i].y,
                      got[i].score);
        fail(text);
    }
}

void require_same(const Outcome& got, const Outcome& expected) {
    if (got.error != expected.error) {
        fail("error: expected \"" + expected.error + "\", got \"" + got.error + "\"");
    }
    if (got.counts.size() != expected.counts.size()) fail("number of images");
    for (std::size_t i = 0; i < got.counts.size(); ++i) {
        const ImageCount& one = got.counts[i];
        const ImageCount& other = expected.counts[i];
        const std::string image = "image " + std::to_string(i);
        require_same(image + ", number of peaks", static_cast<double>(one.peak_count),
                     static_cast<double>(other.peak_count));
        require_same(one.peaks, other.peaks);
        require_same(image, one.whole, other.whole);
        for (std::size_t region = 0; region < other.regions.size(); ++region) {
            require_same(image + ", region " + std::to_string(region), one.regions.at(region),
                         other.regions.at(region));
        }
    }
}

void require_density(const cuda::MapCounter& counter, const Batch& batch) {
    const float* density = counter.density();
    if ((density != nullptr) != (batch.options.keep_density && batch.density.planes.present())) {
        fail("density kept where it should not be, or not where it should");
    }
    if (density == nullptr) return;
    const auto unit = static_cast<float>(batch.options.count.unit);
    const Map& map = batch.density;
    for (std::size_t i = 0; i < map.values.size(); ++i) {
        const float value = map.planes.scalar == Scalar::float32
                                ? map.values[i]
                                : __half2float(__ushort_as_half(map.halves[i]));
        if (!same_bits(density[i], value / unit)) fail("density in people");
    }
}

Outcome count_on_gpu(cuda::MapCounter& counter, const Batch& batch, const cuda::Stream& stream) {
    return outcome_of([&] {
        counter.enqueue(batch.heatmap.device, batch.offset.device, batch.density.device, stream);
        stream.synchronize();
        return counter.read(stream);
    });
}

Outcome count_on_cpu(const Batch& batch) {
    return outcome_of([&] { return count_maps(batch.maps(), batch.options.count); });
}

/// Counts it twice: the second time finds what the first has left.
void check(const Batch& batch) {
    ++batches;
    const Outcome expected = count_on_cpu(batch);
    const cuda::Stream stream(0);
    const Outcome outcome = outcome_of([&] {
        cuda::MapCounter counter = batch.counter();
        for (int round = 0; round < 2; ++round) {
            require_same(count_on_gpu(counter, batch, stream), expected);
            if (expected.error.empty()) require_density(counter, batch);
        }
        return expected.counts;
    });
    if (!outcome.error.empty()) require_same(outcome, expected);
}

Scalar pick_scalar(Random& random) {
    return pick(random, 0, 1) == 0 ? Scalar::float32 : Scalar::float16;
}

std::size_t pick_side(Random& random) {
    switch (pick(random, 0, 9)) {
        case 0: return 1;
        case 1: return pick(random, 2, 9);
        case 2: return 4 * pick(random, 1, 40);
        case 3: return 32 * pick(random, 1, 5) + pick(random, 0, 2) - 1;
        case 4: return 128 * pick(random, 1, 2) + pick(random, 0, 8) - 4;
        default: return pick(random, 1, 90);
    }
}

void pick_maps(Batch& batch, Random& random, std::size_t height, std::size_t width) {
    const std::size_t which = pick(random, 0, 6);
    const std::size_t ratio = pick_of<std::size_t>(random, {1, 1, 2, 4, 3});
    const bool up = pick(random, 0, 1) == 0 || height < ratio || width < ratio;
    const std::size_t rows = up ? (height + ratio - 1) / ratio : height / ratio;
    const std::size_t columns = up ? (width + ratio - 1) / ratio : width / ratio;
    const Scalar scalar = pick_scalar(random);
    batch.images = pick(random, 0, 3) == 0 ? pick(random, 2, 5) : 1;
    if (which != 0) {
        fill(batch.heatmap, random, scalar, batch.images, height, width, pick(random, 0, 8));
        place(batch.heatmap, random);
        if (pick(random, 0, 2) == 0) {
            fill(batch.offset, random, scalar, 2 * batch.images, height, width, 3);
            place(batch.offset, random);
        }
    }
    if (which != 1) {
        const std::size_t style = pick_of<std::size_t>(random, {0, 2, 3, 4, 5, 8, 8});
        fill(batch.density, random, pick_scalar(random), batch.images, rows, columns, style);
        place(batch.density, random);
    }
}

void pick_masks(Batch& batch, Random& random) {
    const std::size_t regions = pick_of<std::size_t>(random, {0, 0, 1, 2, 5});
    if (regions == 0) return;
    const Planes& plane =
        batch.density.planes.present() ? batch.density.planes : batch.heatmap.planes;
    for (std::size_t region = 0; region < regions; ++region) {
        const std::size_t style = pick(random, 0, 4);
        const std::size_t edge = pick(random, 0, plane.width);
        for (std::size_t i = 0; i < plane.cells(); ++i) {
            const std::size_t x = i % plane.width;
            const float inside = x < edge ? 1.0F : (x == edge ? uniform(random) : 0.0F);
            const float values[5] = {0.0F, 1.0F, inside, uniform(random), inside};
            batch.coverage.push_back(values[style]);
        }
    }
    batch.masks = {batch.coverage.data(), Scalar::float32, regions, plane.height, plane.width};
}

void pick_options(Batch& batch, Random& random) {
    CountOptions& count = batch.options.count;
    count.window = 3 + 2 * pick(random, 0, 2);
    count.threshold = pick_of<float>(random, {0.0F, 0.25F, 0.4F, 0.7F, 1e-44F});
    count.capacity = pick_of<std::size_t>(random, {0, 0, 0, 1, 7, 100});
    count.unit = pick_of<double>(random, {1.0, 1.0, 100.0, 0.3});
    count.fuse_cell = pick_of<std::size_t>(
        random, {0, 0, 1, 2, 4, 5, 8, 8, 16, 32, 33, 64, 100, std::size_t{1} << 62});
    count.fuse_low = static_cast<double>(uniform(random)) * 4.0;
    count.fuse_high = static_cast<double>(uniform(random)) * 12.0;
    batch.options.keep_density = pick(random, 0, 2) == 0;
    batch.options.listed = pick_of<std::size_t>(random, {0, 1, 20, 1024});
}

/// Something that no map may hold, in one cell of one map. In the offset it may hit no peak.
void spoil(Batch& batch, Random& random) {
    std::vector<Map*> present;
    for (Map* map : {&batch.heatmap, &batch.offset, &batch.density}) {
        if (map->planes.present()) present.push_back(map);
    }
    Map& map = *pick_of(random, present);
    const float bad = pick_of<float>(random, {kNaN, kInfinity, -kInfinity});
    const bool all = &map == &batch.offset;
    const std::size_t at = pick(random, 0, map.values.size() - 1);
    for (std::size_t i = 0; i < map.values.size(); ++i) {
        if (all || i == at) map.values[i] = bad;
    }
    const Planes planes = map.planes;
    map.fill_host(planes.scalar, planes.count, planes.height, planes.width);
    place(map, random);
}

void check_random(Random& random) {
    Batch batch;
    std::size_t height = pick_side(random);
    std::size_t width = pick_side(random);
    if (pick(random, 0, 9) == 0)
        (pick(random, 0, 1) == 0 ? height : width) = pick(random, 200, 400);
    pick_maps(batch, random, height, width);
    pick_masks(batch, random);
    pick_options(batch, random);
    if (pick(random, 0, 7) == 0) spoil(batch, random);
    check(batch);
}

/// Density values that overflow the sums in float32, alone and beside others of either sign.
void check_huge(Random& random) {
    for (const std::size_t fuse_cell : {0, 8, 5, 100}) {
        Batch batch;
        const std::size_t height = pick(random, 1, 150);
        const std::size_t width = pick(random, 1, 150);
        fill(batch.heatmap, random, Scalar::float32, 1, height, width, 0);
        fill(batch.density, random, Scalar::float32, 1, height, width, 3);
        for (float& value : batch.density.values) {
            if (pick(random, 0, 9) == 0) value *= 3e38F;
        }
        place(batch.heatmap, random);
        place(batch.density, random);
        pick_masks(batch, random);
        batch.options.count.fuse_cell = fuse_cell;
        batch.options.count.fuse_high = 1e30;
        check(batch);
    }
}

/// More peaks than a block lists in one go, in rows of several blocks' width.
void check_dense(Random& random) {
    Batch batch;
    const std::size_t width = 4300;
    batch.images = 2;
    fill(batch.heatmap, random, Scalar::float16, 2, 5, width, 5);
    for (std::size_t i = 0; i < batch.heatmap.values.size(); ++i) {
        const std::size_t y = i / width % 5;
        if (y % 2 == 0 && i % width % 2 == 0) batch.heatmap.values[i] = 1.0F;
    }
    batch.heatmap.fill_host(Scalar::float16, 2, 5, width);
    batch.heatmap.upload(0, 0, 0);
    batch.options.listed = 100;
    check(batch);
    batch.options.count.capacity = 3000;
    check(batch);
}

/// A map of the size of a camera's, in two precisions.
void check_large(Random& random) {
    Batch batch;
    fill(batch.heatmap, random, Scalar::float16, 1, 540, 960, 0);
    fill(batch.density, random, Scalar::float32, 1, 270, 480, 8);
    batch.heatmap.upload(0, 0, 0);
    batch.density.upload(0, 0, 0);
    pick_masks(batch, random);
    batch.options.count.fuse_cell = 8;
    batch.options.count.fuse_high = 9.0;
    check(batch);
}

/// Maps without cells, and batches without images.
void check_empty() {
    for (const std::size_t side : {0, 3}) {
        for (const std::size_t fuse_cell : {0, 4}) {
            for (const std::size_t images : {0, 2}) {
                Batch batch;
                batch.images = images;
                batch.heatmap.values.resize(1);
                batch.density.values.resize(1);
                batch.heatmap.fill_host(Scalar::float32, images, 0, side);
                batch.density.fill_host(Scalar::float32, images, 0, side);
                batch.heatmap.upload(0, 0, 0);
                batch.density.upload(0, 0, 0);
                batch.options.count.fuse_cell = fuse_cell;
                check(batch);
            }
        }
    }
}

Batch usual_batch(Random& random) {
    Batch batch;
    batch.images = 2;
    fill(batch.heatmap, random, Scalar::float32, 2, 60, 140, 0);
    fill(batch.density, random, Scalar::float32, 2, 30, 70, 8);
    batch.heatmap.upload(0, 0, 0);
    batch.density.upload(0, 0, 0);
    pick_masks(batch, random);
    batch.options.count.fuse_cell = 8;
    batch.options.count.fuse_high = 9.0;
    batch.options.keep_density = true;
    return batch;
}

/// A recorded run, repeated over maps that have changed since.
void check_graph(Random& random) {
    Batch batch = usual_batch(random);
    cuda::MapCounter counter = batch.counter();
    const cuda::Stream stream(0);
    stream.begin_capture();
    counter.enqueue(batch.heatmap.device, {}, batch.density.device, stream);
    const cuda::Graph graph = stream.end_capture();
    for (int round = 0; round < 3; ++round) {
        for (Map* map : {&batch.heatmap, &batch.density}) {
            const Planes planes = map->planes;
            fill(*map, random, planes.scalar, 2, planes.height, planes.width, 8);
            map->upload(0, 0, 0);
        }
        ++batches;
        graph.launch(stream);
        stream.synchronize();
        require_same(outcome_of([&] { return counter.read(stream); }), count_on_cpu(batch));
        require_density(counter, batch);
    }
}

/// Two counters at once, each on a thread and a stream of its own.
void check_threads(Random& random) {
    std::vector<std::thread> threads;
    const unsigned seeds[2] = {static_cast<unsigned>(random()), static_cast<unsigned>(random())};
    for (const unsigned seed : seeds) {
        threads.emplace_back([seed] {
            Random own(seed);
            const Batch batch = usual_batch(own);
            const Outcome expected = count_on_cpu(batch);
            const cuda::Stream stream(0);
            cuda::MapCounter counter = batch.counter();
            for (int round = 0; round < 3; ++round) {
                require_same(count_on_gpu(counter, batch, stream), expected);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    batches += 2;
}

/// What the constructor and enqueue refuse.
void check_refusals(Random& random) {
    const auto refused = [](const std::string& start, const std::function<void()>& call) {
        try {
            call();
        } catch (const std::invalid_argument& error) {
            if (std::string(error.what()).rfind(start, 0) == 0) return;
            fail("expected a message about " + start + ", got " + error.what());
        }
        fail("expected an error about " + start);
    };
    Batch batch = usual_batch(random);
    batch.options.count.window = 4;
    refused("window", [&] { batch.counter(); });
    batch.options.count.window = 3;
    batch.masks.height -= 1;
    batch.masks.data = batch.heatmap.values.data();
    refused("masks", [&] { batch.counter(); });
    batch.masks = {};
    batch.density.planes.height = 29;
    refused("density", [&] { batch.counter(); });
    batch.density.planes.height = 30;

    cuda::MapCounter counter = batch.counter();
    const cuda::Stream stream(0);
    const cuda::DevicePlanes heatmap = batch.heatmap.device;
    const cuda::DevicePlanes density = batch.density.device;
    refused("heatmap", [&] { counter.enqueue({}, {}, density, stream); });
    refused("offset", [&] { counter.enqueue(heatmap, heatmap, density, stream); });
    cuda::DevicePlanes narrow = density;
    narrow.row_stride = 69;
    refused("density", [&] { counter.enqueue(heatmap, {}, narrow, stream); });
    ++batches;
}

}  // namespace

int main(int count, char** arguments) {
    const int rounds = count > 1 ? std::atoi(arguments[1]) : 300;
    const int seed = count > 2 ? std::atoi(arguments[2]) : 20260;
    Random random(static_cast<unsigned>(seed));
    check_empty();
    check_graph(random);
    check_refusals(random);
    check_huge(random);
    check_dense(random);
    check_threads(random);
    for (int round = 0; round < rounds; ++round) check_random(random);
    check_large(random);
    std::printf("ok %d\n", batches);
}
