// Random maps, on the host and on the device.
#pragma once

#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "edgecount/cuda/device_planes.h"
#include "edgecount/cuda/memory.h"
#include "edgecount/cuda/stream.h"
#include "edgecount/maps.h"

namespace {

using namespace edgecount;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

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
        case 9: return value < 0.1F ? 0.5F : 1.0F - std::floor(value * 8.0F) * 0x1p-23F;  // rounded
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

Scalar pick_scalar(Random& random) {
    return pick(random, 0, 1) == 0 ? Scalar::float32 : Scalar::float16;
}

/// Puts something that no map may hold into one cell, or into all.
void spoil(Map& map, Random& random, bool all) {
    const float bad = pick_of<float>(random, {kNaN, kInfinity, -kInfinity});
    const std::size_t at = pick(random, 0, map.values.size() - 1);
    for (std::size_t i = 0; i < map.values.size(); ++i) {
        if (all || i == at) map.values[i] = bad;
    }
    const Planes planes = map.planes;
    map.fill_host(planes.scalar, planes.count, planes.height, planes.width);
    place(map, random);
}

}  // namespace
