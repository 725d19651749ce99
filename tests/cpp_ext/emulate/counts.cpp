// MapCounter on the emulated GPU against count_maps, bit for bit, over random and extreme maps.
// Prints "ok" and the number of batches. The arguments are how many random batches there are, and
// the seed.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "batches.h"
#include "edgecount/count_maps.h"
#include "outcomes.h"

namespace {

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
        const float people = value / unit;
        // Which NaN it is does not matter.
        if (std::isnan(people) && std::isnan(density[i])) continue;
        if (!same_bits(density[i], people)) fail("density in people");
    }
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
            require_density(counter, batch);
        }
        return expected.counts;
    });
    if (!outcome.error.empty()) require_same(outcome, expected);
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

/// Several bad maps, and more peaks than the CPU places in one go: all name the same one.
void check_several_bad(Random& random) {
    for (unsigned which = 1; which < 8; ++which) {
        Batch batch;
        batch.images = 2;
        fill(batch.heatmap, random, Scalar::float32, 2, 30, 150, 0);
        fill(batch.offset, random, Scalar::float32, 4, 30, 150, 0);
        fill(batch.density, random, Scalar::float32, 2, 30, 150, 0);
        for (Map* each : {&batch.heatmap, &batch.offset, &batch.density}) each->upload(0, 0, 0);
        if ((which & 1U) != 0) spoil(batch.heatmap, random, false);
        if ((which & 2U) != 0) spoil(batch.offset, random, true);
        if ((which & 4U) != 0) spoil(batch.density, random, false);
        check(batch);
    }
}

/// A NaN or an infinity in each of the maps.
void check_bad(Random& random) {
    for (Map Batch::* const map : {&Batch::heatmap, &Batch::offset, &Batch::density}) {
        Batch batch;
        batch.images = 2;
        fill(batch.heatmap, random, Scalar::float16, 2, 30, 150, 0);
        fill(batch.offset, random, Scalar::float16, 4, 30, 150, 0);
        fill(batch.density, random, Scalar::float32, 2, 15, 75, 0);
        for (Map* each : {&batch.heatmap, &batch.offset, &batch.density}) each->upload(0, 0, 0);
        spoil(batch.*map, random, map == &Batch::offset);
        check(batch);
    }
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
        batch.options.count.fuse_width = pick_of<std::size_t>(random, {0, 3, 8, 70});
        batch.options.count.fuse_high = 1e30;
        check(batch);
    }
}

/// Sums of a density that no mask plays a part in, beside masks that have all of some parts, and
/// under none at all.
void check_plain(Random& random) {
    for (const std::size_t fuse_cell : {8, 0, 8, 0}) {
        for (const Scalar scalar : {Scalar::float32, Scalar::float16}) {
            Batch batch;
            batch.images = 2;
            const std::size_t height = pick(random, 60, 140);
            const std::size_t width = 4 * pick(random, 33, 50) + pick(random, 0, 1);
            fill(batch.density, random, scalar, 2, height, width, 8);
            place(batch.density, random);
            // Without one there are no squares.
            fill(batch.heatmap, random, scalar, 2, height, width, 2);
            place(batch.heatmap, random);
            if (pick(random, 0, 1) == 0) {
                for (std::size_t i = 0; i < height * width; ++i) {
                    batch.coverage.push_back(i % width < width / 2 + 2 ? 1.0F : 0.0F);
                }
                batch.masks = {batch.coverage.data(), Scalar::float32, 1, height, width};
            }
            batch.options.count.fuse_cell = fuse_cell;
            check(batch);
            batch.options.keep_density = true;
            batch.options.listed = pick(random, 0, 40);
            for (const double unit : {1.0, 0.125, 100.0}) {
                batch.options.count.unit = unit;
                check(batch);
            }
            batch.options.count.unit = pick_of<double>(random, {64.0, 0.3});
            spoil(batch, random);
            check(batch);
        }
    }
}

/// The density is kept at the borders of squares and bands, under units that divide in other ways.
void check_kept(Random& random) {
    for (const std::size_t fuse_cell : {0, 8}) {
        for (const std::size_t width : {1, 4, 7, 8, 12, 63, 130, 132}) {
            Batch batch;
            batch.images = 2;
            const std::size_t height = pick_of<std::size_t>(random, {1, 7, 8, 9, 63, 65, 71});
            const std::size_t style = pick_of<std::size_t>(random, {0, 3, 4, 5});
            fill(batch.density, random, pick_scalar(random), 2, height, width, style);
            place(batch.density, random);
            fill(batch.heatmap, random, Scalar::float16, 2, height, width, 2);
            place(batch.heatmap, random);
            batch.options.count.fuse_cell = fuse_cell;
            batch.options.count.fuse_width = pick_of<std::size_t>(random, {0, 8, 33});
            batch.options.count.unit =
                pick_of<double>(random, {1.0, 2.0, 0.25, 3.0, 0x1p-130, 0x1p-125, 0x1p127});
            batch.options.keep_density = true;
            batch.options.listed = pick(random, 0, 9);
            check(batch);
        }
    }
}

/// Grid cells of several parts, few and so many that several blocks sum them.
void check_parts(Random& random) {
    for (const std::size_t fuse_cell : {1, 70}) {
        for (const double unit : {1.0, 3.0}) {
            Batch batch;
            fill(batch.heatmap, random, Scalar::float32, 1, 72, 140, 2);
            fill(batch.density, random, Scalar::float32, 1, 72, 140, 8);
            place(batch.heatmap, random);
            place(batch.density, random);
            for (std::size_t i = 0; i < 2 * 72 * 140; ++i) {
                batch.coverage.push_back(uniform(random));
            }
            batch.masks = {batch.coverage.data(), Scalar::float32, 2, 72, 140};
            batch.options.count.unit = unit;
            batch.options.count.fuse_cell = fuse_cell;
            batch.options.count.fuse_width = 65;
            batch.options.count.fuse_high = 9.0;
            check(batch);
        }
    }
}

/// More peaks than a warp or a block lists in one go.
void check_dense(Random& random) {
    Batch batch;
    batch.images = 2;
    const std::size_t height = 9;
    const std::size_t width = 4300;
    fill(batch.heatmap, random, Scalar::float16, 2, height, width, 5);
    for (std::size_t i = 0; i < batch.heatmap.values.size(); ++i) {
        const std::size_t y = i / width % height;
        if (y % 2 == 0 && i % width % 2 == 0) batch.heatmap.values[i] = 1.0F;
    }
    batch.heatmap.fill_host(Scalar::float16, 2, height, width);
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
    batch.heatmap.upload(2, 0, 0);
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
            map->upload(map == &batch.heatmap ? 2 : 0, 0, 0);
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
    check_bad(random);
    check_several_bad(random);
    check_dense(random);
    check_huge(random);
    check_plain(random);
    check_kept(random);
    check_parts(random);
    check_threads(random);
    for (int round = 0; round < rounds; ++round) check_random(random);
    check_large(random);
    std::printf("ok %d\n", batches);
}
