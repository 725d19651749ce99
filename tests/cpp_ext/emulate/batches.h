// Random batches of maps, and how they are counted.
#pragma once

#include <cstddef>
#include <vector>

#include "edgecount/cuda/count_maps.h"
#include "random_maps.h"

namespace {

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
        fill(batch.heatmap, random, scalar, batch.images, height, width, pick(random, 0, 9));
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

/// Spoils one of the maps. In the offset it may be where there is no peak.
void spoil(Batch& batch, Random& random) {
    std::vector<Map*> present;
    for (Map* map : {&batch.heatmap, &batch.offset, &batch.density}) {
        if (map->planes.present()) present.push_back(map);
    }
    Map& map = *pick_of(random, present);
    spoil(map, random, &map == &batch.offset);
}

}  // namespace
