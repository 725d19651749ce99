// BoxCounter on the emulated GPU against count_boxes, bit for bit, over random and extreme maps.
// Prints "ok" and the number of batches. The arguments are how many random batches there are, and
// the seed.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "edgecount/count_boxes.h"
#include "edgecount/cuda/count_boxes.h"
#include "outcomes.h"
#include "random_maps.h"

namespace {

struct Level {
    Map scores;
    Map boxes;
    std::size_t anchors = 1;
    std::size_t stride = 8;
};

/// Levels, how their boxes are counted, and where they lie.
struct Boxes {
    std::size_t images = 1;
    std::deque<Level> levels;
    std::vector<float> coverage;
    Planes masks;
    cuda::BoxCounterOptions options;

    BoxMaps maps() const {
        BoxMaps maps;
        maps.batch = images;
        maps.masks = masks;
        for (const Level& level : levels) {
            maps.levels.push_back(
                {level.scores.planes, level.boxes.planes, level.anchors, level.stride});
        }
        return maps;
    }

    cuda::BoxCounter counter() const {
        std::vector<cuda::BoxLevelShape> shapes;
        for (const Level& level : levels) {
            const Planes& plane = level.scores.planes;
            shapes.push_back({level.anchors, plane.height, plane.width, level.stride, plane.scalar,
                              level.boxes.planes.scalar});
        }
        return cuda::BoxCounter(images, shapes, masks, options, 0);
    }

    std::vector<cuda::DeviceLevel> on_device() const {
        std::vector<cuda::DeviceLevel> given;
        for (const Level& level : levels) {
            given.push_back({level.scores.device, level.boxes.device});
        }
        return given;
    }
};

Outcome count_on_gpu(cuda::BoxCounter& counter, const Boxes& batch, const cuda::Stream& stream) {
    return outcome_of([&] {
        counter.enqueue(batch.on_device(), stream);
        stream.synchronize();
        return counter.read(stream);
    });
}

Outcome count_on_cpu(const Boxes& batch) {
    return outcome_of([&] { return count_boxes(batch.maps(), batch.options.count); });
}

void require_same_boxes(const Outcome& got, const Outcome& expected) {
    require_same(got, expected);
    for (std::size_t i = 0; i < got.counts.size(); ++i) {
        const std::vector<Box>& boxes = got.counts[i].boxes;
        if (boxes.size() != expected.counts[i].boxes.size()) fail("number of boxes");
        for (std::size_t k = 0; k < boxes.size(); ++k) {
            if (!same_bits(boxes[k], expected.counts[i].boxes[k])) fail("a box");
        }
    }
}

/// Counts it twice: the second time finds what the first has left.
void check(const Boxes& batch) {
    ++batches;
    const Outcome expected = count_on_cpu(batch);
    const cuda::Stream stream(0);
    cuda::BoxCounter counter = batch.counter();
    for (int round = 0; round < 2; ++round) {
        require_same_boxes(count_on_gpu(counter, batch, stream), expected);
    }
}

/// Distances about as long as a cell, or `scale` of that; some are the same, some leave no area.
void fill_boxes(Map& map, Random& random, Scalar scalar, const Planes& scores, float scale) {
    const bool coarse = pick(random, 0, 2) == 0;
    map.values.resize(4 * scores.count * scores.cells());
    for (float& value : map.values) {
        value = uniform(random) * scale;
        if (coarse) value = std::floor(4.0F * value) / 4.0F;
        if (pick(random, 0, 15) == 0) value = -value;
    }
    map.fill_host(scalar, 4 * scores.count, scores.height, scores.width);
}

void add_level(Boxes& batch, Random& random, std::size_t height, std::size_t width,
               std::size_t anchors, std::size_t style, float scale) {
    Level& level = batch.levels.emplace_back();
    level.anchors = anchors;
    level.stride = std::size_t{8} << (batch.levels.size() - 1);
    fill(level.scores, random, pick_scalar(random), batch.images * anchors, height, width, style);
    fill_boxes(level.boxes, random, pick_scalar(random), level.scores.planes, scale);
    place(level.scores, random);
    place(level.boxes, random);
}

void add_masks(Boxes& batch, Random& random) {
    const Planes& plane = batch.levels[0].scores.planes;
    const std::size_t regions = pick_of<std::size_t>(random, {0, 1, 2, 11});
    for (std::size_t i = 0; i < regions * plane.cells(); ++i) {
        batch.coverage.push_back(uniform(random));
    }
    batch.masks = {regions == 0 ? nullptr : batch.coverage.data(), Scalar::float32, regions,
                   plane.height, plane.width};
}

Boxes random_boxes(Random& random, std::size_t side) {
    Boxes batch;
    batch.images = pick(random, 0, 2) == 0 ? pick(random, 2, 3) : 1;
    std::size_t height = pick(random, 1, side);
    std::size_t width = pick(random, 1, side);
    for (std::size_t i = pick(random, 1, 4); i > 0; --i) {
        const float scale = pick_of<float>(random, {0.6F, 1.0F, 3.0F});
        const std::size_t style = pick_of<std::size_t>(random, {0, 0, 1, 1, 2, 3, 6, 9});
        add_level(batch, random, height, width, pick(random, 1, 3), style, scale);
        height = (height + 1) / 2;
        width = (width + 1) / 2;
    }
    add_masks(batch, random);
    BoxOptions& count = batch.options.count;
    count.threshold = pick_of<float>(random, {0.0F, 0.25F, 0.4F, 0.7F, 1e-44F});
    count.iou = pick_of<double>(random, {0.0, 0.1, 0.3, 0.5, 0.5, 0.9, 1.0});
    count.capacity = pick_of<std::size_t>(random, {0, 0, 0, 1, 7, 100});
    if (pick(random, 0, 1) == 0) {  // a frame that ends inside the maps
        count.width = 8.0F * static_cast<float>(pick(random, 0, side)) - uniform(random);
        count.height = 8.0F * static_cast<float>(pick(random, 1, side));
        count.width = std::max(count.width, 0.0F);
    }
    batch.options.listed = pick_of<std::size_t>(random, {0, 1, 20, 1024});
    return batch;
}

void check_random(Random& random) {
    Boxes batch = random_boxes(random, 20);
    if (pick(random, 0, 5) == 0) {
        Level& level = batch.levels[pick(random, 0, batch.levels.size() - 1)];
        spoil(pick(random, 0, 1) == 0 ? level.scores : level.boxes, random, false);
    }
    check(batch);
}

/// A score or a distance in every level that is not finite, and in one of them.
void check_bad(Random& random) {
    for (unsigned which = 1; which < 16; ++which) {
        Boxes batch;
        batch.images = 2;
        for (unsigned i = 0; i < 2; ++i) {
            add_level(batch, random, 6, 9, 1, 0, 1.0F);
            if ((which >> 2 * i & 1U) != 0) spoil(batch.levels[i].scores, random, false);
            if ((which >> 2 * i & 2U) != 0) spoil(batch.levels[i].boxes, random, true);
        }
        check(batch);
    }
}

/// More candidates than one run that is sorted, many of them kept, and few of those listed.
void check_dense(Random& random) {
    for (const float scale : {0.55F, 2.0F}) {
        for (const std::size_t style : {0, 1}) {
            Boxes batch;
            add_level(batch, random, 34, 33, 2, style, scale);
            add_masks(batch, random);
            batch.options.count.threshold = 0.1F;
            batch.options.count.iou = 0.3;
            batch.options.listed = 50;
            check(batch);
        }
    }
}

/// Boxes in a row that each overlap the next one alone.
void check_chain() {
    Boxes batch;
    Level& level = batch.levels.emplace_back();
    for (int i = 0; i < 600; ++i) {
        level.scores.values.push_back(0.9F - static_cast<float>(i) / 2e3F);
    }
    level.boxes.values.assign(4 * 600, 0.9F);
    level.scores.fill_host(Scalar::float32, 1, 1, 600);
    level.boxes.fill_host(Scalar::float32, 4, 1, 600);
    level.scores.upload(0, 0, 0);
    level.boxes.upload(0, 0, 0);
    batch.options.count.iou = 0.2;
    check(batch);
}

/// A recorded run, repeated over maps that have changed since, one of them with an error.
void check_graph(Random& random) {
    Boxes batch;
    add_level(batch, random, 9, 16, 1, 0, 1.0F);
    Level& level = batch.levels[0];
    level.scores.upload(0, 0, 0);
    cuda::BoxCounter counter = batch.counter();
    const cuda::Stream stream(0);
    stream.begin_capture();
    counter.enqueue(batch.on_device(), stream);
    const cuda::Graph graph = stream.end_capture();
    for (int round = 0; round < 4; ++round) {
        const Planes planes = level.scores.planes;
        fill(level.scores, random, planes.scalar, 1, planes.height, planes.width, 0);
        if (round == 1) level.scores.values[7] = kNaN;
        level.scores.fill_host(planes.scalar, 1, planes.height, planes.width);
        level.scores.upload(0, 0, 0);
        ++batches;
        graph.launch(stream);
        stream.synchronize();
        require_same_boxes(outcome_of([&] { return counter.read(stream); }), count_on_cpu(batch));
    }
}

/// Two counters at once, each on a thread and a stream of its own.
void check_threads(Random& random) {
    std::vector<std::thread> threads;
    const unsigned seeds[2] = {static_cast<unsigned>(random()), static_cast<unsigned>(random())};
    for (const unsigned seed : seeds) {
        threads.emplace_back([seed] {
            Random own(seed);
            const Boxes batch = random_boxes(own, 16);
            const Outcome expected = count_on_cpu(batch);
            const cuda::Stream stream(0);
            cuda::BoxCounter counter = batch.counter();
            for (int round = 0; round < 3; ++round) {
                require_same_boxes(count_on_gpu(counter, batch, stream), expected);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    batches += 2;
}

}  // namespace

int main(int count, char** arguments) {
    const int rounds = count > 1 ? std::atoi(arguments[1]) : 300;
    const int seed = count > 2 ? std::atoi(arguments[2]) : 20260;
    Random random(static_cast<unsigned>(seed));
    check_chain();
    check_bad(random);
    check_dense(random);
    check_graph(random);
    check_threads(random);
    for (int round = 0; round < rounds; ++round) check_random(random);
    std::printf("ok %d\n", batches);
}
