// Runs the kernels over random and extreme inputs, in buffers of exactly their size, so that the
// sanitizers see every read or write that leaves one; with every instruction set that the processor
// has, all of which must give the same bits. Prints "ok" and the number of calls.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include "edgecount/count_boxes.h"
#include "edgecount/count_maps.h"
#include "edgecount/preprocess.h"
#include "half.h"
#include "kernels.h"

namespace edgecount {
extern const Kernels plain_kernels;
}

namespace {

using namespace edgecount;

int calls = 0;

// Everything that came out, to compare instruction sets by.
std::vector<double> results;

void record(const Tally& tally) {
    results.insert(results.end(), {tally.count, tally.density, tally.peaks});
}

void record(const ImageCount& count) {
    results.push_back(static_cast<double>(count.peak_count));
    record(count.whole);
    for (const Tally& region : count.regions) record(region);
    for (const Peak& peak : count.peaks) {
        results.insert(results.end(), {peak.x, peak.y, peak.score});
    }
    for (const Box& box : count.boxes) {
        results.insert(results.end(), {box.left, box.top, box.right, box.bottom});
    }
}

void require(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "failed: %s (after %d calls)\n", what, calls);
    std::exit(1);
}

using Random = std::mt19937;

std::size_t pick(Random& random, std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(random);
}

/// Few levels, so that most cells tie with a neighbour.
std::vector<float> map_of(Random& random, std::size_t cells) {
    std::vector<float> values(cells);
    for (float& value : values) value = static_cast<float>(pick(random, 0, 5)) / 5.0F;
    return values;
}

/// The same or, by turns, plateaus whose last bits differ.
std::vector<float> heatmap_of(Random& random, std::size_t cells) {
    std::vector<float> values = map_of(random, cells);
    if (pick(random, 0, 1) == 0) return values;
    const std::size_t hollows = pick(random, 2, 20);
    for (float& value : values) {
        const float rounding = static_cast<float>(pick(random, 0, 40)) * 0x1p-23F;
        value = pick(random, 0, hollows) == 0 ? value / 2.0F : 1.0F - rounding;
    }
    return values;
}

std::vector<std::int32_t> bits_of(const std::vector<float>& values) {
    std::vector<std::int32_t> bits(values.size());
    std::memcpy(bits.data(), values.data(), values.size() * sizeof(float));
    return bits;
}

Planes planes_of(const std::vector<float>& values, std::size_t count, std::size_t height,
                 std::size_t width) {
    return {values.data(), Scalar::float32, count, height, width};
}

bool is_peak(const std::vector<float>& map, std::size_t height, std::size_t width, std::size_t y,
             std::size_t x, std::size_t radius, float threshold) {
    const float value = map[y * width + x];
    if (!(value > threshold)) return false;
    for (std::size_t v = y < radius ? 0 : y - radius; v <= y + radius && v < height; ++v) {
        for (std::size_t u = x < radius ? 0 : x - radius; u <= x + radius && u < width; ++u) {
            const float other = map[v * width + u];
            const std::size_t order = v * width + u;
            if (order < y * width + x && other >= value) return false;
            if (order > y * width + x && other > value) return false;
        }
    }
    return true;
}

/// Whether no path of cells that nearly tie leads from a peak to one that beats it.
template <typename Bits>
bool stands_out(const std::vector<Bits>& bits, std::size_t height, std::size_t width,
                std::size_t y, std::size_t x, int steps) {
    const int score = bits[y * width + x];
    const int least = std::max(score - steps, 1);
    std::vector<std::size_t> waiting{y * width + x};
    std::vector<bool> seen(bits.size());
    seen[y * width + x] = true;
    while (!waiting.empty()) {
        const std::size_t at = waiting.back();
        waiting.pop_back();
        if (bits[at] > score || (bits[at] == score && at < y * width + x)) return false;
        for (std::size_t i = 0; i < 9; ++i) {
            const std::size_t v = at / width + i / 3 - 1;
            const std::size_t u = at % width + i % 3 - 1;
            if (v >= height || u >= width || seen[v * width + u]) continue;
            const bool close = v <= y + 31 && y <= v + 31 && u <= x + 31 && x <= u + 31;
            if (!close || bits[v * width + u] < least) continue;
            seen[v * width + u] = true;
            waiting.push_back(v * width + u);
        }
    }
    return true;
}

template <typename Bits>
std::size_t plain_peaks(const std::vector<float>& map, const std::vector<Bits>& bits, int steps,
                        std::size_t height, std::size_t width, std::size_t window,
                        float threshold) {
    std::size_t found = 0;
    for (std::size_t y = 0; y < height; ++y) {
        for (std::size_t x = 0; x < width; ++x) {
            if (!is_peak(map, height, width, y, x, window / 2, threshold)) continue;
            found += stands_out(bits, height, width, y, x, steps) ? 1 : 0;
        }
    }
    return found;
}

void count_some(Random& random) {
    const std::size_t height = pick(random, 1, 12);
    const std::size_t width = pick(random, 1, 150);
    const std::size_t coarse_height = (height + 1) / 2;
    const std::size_t coarse_width = (width + 1) / 2;
    const std::size_t regions = pick(random, 0, 3);
    const auto heat = heatmap_of(random, height * width);
    const auto offset = map_of(random, 2 * height * width);
    const auto density = map_of(random, coarse_height * coarse_width);
    const auto masks = map_of(random, regions * coarse_height * coarse_width);

    Maps maps;
    maps.batch = 1;
    maps.heatmap = planes_of(heat, 1, height, width);
    if (pick(random, 0, 1) == 1) maps.offset = planes_of(offset, 2, height, width);
    maps.density = planes_of(density, 1, coarse_height, coarse_width);
    if (regions > 0) maps.masks = planes_of(masks, regions, coarse_height, coarse_width);
    CountOptions options;
    options.window = 3 + 2 * pick(random, 0, 2);
    options.threshold = pick(random, 0, 3) == 0 ? -0.0F : 0.3F;
    options.capacity = pick(random, 0, 4);
    options.fuse_cell = pick(random, 0, 5);
    options.fuse_width = pick(random, 0, 5);
    options.fuse_low = 1.0;
    options.fuse_high = 3.0;

    const ImageCount count = count_maps(maps, options).at(0);
    record(count);
    ++calls;
    const std::size_t expected =
        plain_peaks(heat, bits_of(heat), 1024, height, width, options.window, options.threshold);
    require(count.peak_count == static_cast<std::int64_t>(expected), "number of peaks");
    require(count.regions.size() == regions, "number of regions");
    require(options.capacity == 0 || count.peaks.size() <= options.capacity, "capacity");
    double sum = 0.0;
    for (const float value : density) sum += value;
    require(std::abs(count.whole.density - sum) <= 1e-5 * (1.0 + sum), "density sum");
}

void count_halves(Random& random) {
    const std::size_t height = pick(random, 1, 9);
    const std::size_t width = pick(random, 1, 90);
    std::vector<std::uint16_t> heat(height * width);
    std::vector<float> same(heat.size());
    // A few values of either sign, or any finite ones.
    const bool few = pick(random, 0, 1) == 1;
    for (std::size_t i = 0; i < heat.size(); ++i) {
        const std::size_t sign = pick(random, 0, 1) << 15;
        const std::size_t size = few ? pick(random, 0, 4) << 10 : pick(random, 0, 0x7bff);
        heat[i] = static_cast<std::uint16_t>(sign | size);
        same[i] = half_to_float(heat[i]);
    }
    Maps maps;
    maps.batch = 1;
    maps.heatmap = {heat.data(), Scalar::float16, 1, height, width};
    maps.density = maps.heatmap;
    CountOptions options;
    options.window = 3 + 2 * pick(random, 0, 2);
    options.threshold = few ? 0.00015F : 1.0F;
    const ImageCount count = count_maps(maps, options).at(0);
    record(count);
    ++calls;
    const std::vector<std::int16_t> bits(heat.begin(), heat.end());
    const std::size_t expected =
        plain_peaks(same, bits, 2, height, width, options.window, options.threshold);
    require(count.peak_count == static_cast<std::int64_t>(expected), "number of peaks in halves");
}

/// Rows with far more peaks than are placed in one go.
void count_wide_rows(Random& random) {
    const std::size_t width = pick(random, 1500, 1600);
    std::vector<float> heat(2 * width, 0.0F);
    for (std::size_t x = 0; x < width; x += 2) heat[x] = 1.0F;
    Maps maps;
    maps.batch = 1;
    maps.heatmap = planes_of(heat, 1, 2, width);
    CountOptions options;
    options.capacity = pick(random, 0, width);
    const ImageCount count = count_maps(maps, options).at(0);
    record(count);
    ++calls;
    const std::size_t expected = (width + 1) / 2;
    require(count.peak_count == static_cast<std::int64_t>(expected),
            "number of peaks in a wide row");
    for (std::size_t i = 0; i < count.peaks.size(); ++i) {
        require(std::abs(count.peaks[i].x - static_cast<float>(2 * i) - 0.5F) < 0.01F,
                "raster order");
    }
}

float iou_of(const Box& a, const Box& b) {
    const float width = std::min(a.right, b.right) - std::max(a.left, b.left);
    const float height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
    const float both = std::max(width, 0.0F) * std::max(height, 0.0F);
    const auto area = [](const Box& box) {
        return (box.right - box.left) * (box.bottom - box.top);
    };
    return both / (area(a) + area(b) - both);
}

void count_some_boxes(Random& random) {
    std::vector<std::vector<float>> values;
    BoxMaps maps;
    maps.batch = 1;
    for (std::size_t stride : {4, 8, 64}) {
        const std::size_t height = pick(random, 0, 9);
        const std::size_t width = pick(random, 1, 90);
        const std::size_t anchors = pick(random, 1, 3);
        values.push_back(map_of(random, anchors * height * width));
        const Planes scores{values.back().data(), Scalar::float32, anchors, height, width};
        values.push_back(map_of(random, 4 * anchors * height * width));
        const Planes boxes{values.back().data(), Scalar::float32, 4 * anchors, height, width};
        maps.levels.push_back({scores, boxes, anchors, stride});
    }
    BoxOptions options;
    options.threshold = pick(random, 0, 3) == 0 ? -0.0F : 0.3F;
    options.iou = static_cast<double>(pick(random, 0, 5)) / 5.0;
    const auto& first = maps.levels.front().scores;
    const auto masks = map_of(random, first.cells());
    maps.masks = {masks.data(), Scalar::float32, 1, first.height, first.width};
    const ImageCount count = count_boxes(maps, options).at(0);
    record(count);
    ++calls;
    for (std::size_t i = 0; i < count.boxes.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            require(count.peaks[j].score >= count.peaks[i].score, "order of the scores");
            require(iou_of(count.boxes[i], count.boxes[j]) <= options.iou + 1e-5, "overlap");
        }
    }
}

void refuse_bad_values(Random& random) {
    const std::size_t width = pick(random, 1, 130);
    auto heat = map_of(random, 3 * width);
    heat[pick(random, 0, heat.size() - 1)] = std::numeric_limits<float>::quiet_NaN();
    Maps maps;
    maps.batch = 1;
    for (const bool as_density : {false, true}) {
        maps.heatmap = as_density ? Planes{} : planes_of(heat, 1, 3, width);
        maps.density = as_density ? planes_of(heat, 1, 3, width) : Planes{};
        bool refused = false;
        try {
            count_maps(maps, {});
        } catch (const std::invalid_argument&) {
            refused = true;
        }
        require(refused, "a NaN is refused");
        ++calls;
    }
}

/// Rows of bytes with a gap between them. The last row ends with its last pixel: what lies between
/// rows is not part of the image.
struct Rows {
    std::size_t stride;
    std::vector<std::uint8_t> bytes;

    Rows(Random& random, std::size_t height, std::size_t width)
        : stride(width + pick(random, 0, 9)), bytes(stride * (height - 1) + width) {
        for (auto& value : bytes) value = static_cast<std::uint8_t>(pick(random, 0, 255));
    }
};

void preprocess_some(Random& random) {
    const auto format = kPixelFormats[pick(random, 0, std::size(kPixelFormats) - 1)].pixels;
    const bool nv12 = is_nv12(format);
    const std::size_t height = nv12 ? 2 * pick(random, 1, 10) : pick(random, 1, 20);
    const std::size_t width = nv12 ? 2 * pick(random, 1, 80) : pick(random, 1, 70);
    const Rows image(random, height, bytes_per_pixel(format) * width);
    const Rows chroma(random, nv12 ? height / 2 : 1, nv12 ? width : 1);
    const ImageView view{
        image.bytes.data(), height, width, image.stride, format, chroma.bytes.data(), chroma.stride};

    PreprocessOptions options;
    const bool same = pick(random, 0, 2) == 0;
    options.resized_height = same ? height : pick(random, 1, 40);
    options.resized_width = same ? width : pick(random, 1, 90);
    options.out_height = options.resized_height + pick(random, 0, 6);
    options.out_width = options.resized_width + pick(random, 0, 6);
    options.swap_rb = pick(random, 0, 1) == 1;
    for (float& scale : options.scale) scale = 1.0F / 255.0F;
    options.pad_value = -1.0F;
    std::vector<float> out(3 * options.out_height * options.out_width,
                           std::numeric_limits<float>::quiet_NaN());
    preprocess(view, options, out.data());
    ++calls;
    results.insert(results.end(), out.begin(), out.end());
    for (const float value : out) {
        require(value >= -1.0F && value <= 1.0001F, "every output is written and in range");
    }
}

}  // namespace

int main() {
    std::vector<double> first;
    std::vector<const Kernels*> available = available_kernels();
    available.push_back(&plain_kernels);
    for (const Kernels* kernels : available) {
        use_kernels(*kernels);
        results.clear();
        Random random(20260);
        for (int round = 0; round < 300; ++round) {
            count_some(random);
            count_halves(random);
            count_some_boxes(random);
            refuse_bad_values(random);
            preprocess_some(random);
        }
        for (int round = 0; round < 5; ++round) count_wide_rows(random);
        if (first.empty()) first = results;
        require(results == first, "all instruction sets give the same bits");
        std::fprintf(stderr, "%s: %zu results\n", kernels->name, results.size());
    }
    std::printf("ok %d\n", calls);
}
