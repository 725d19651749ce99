// CUDA's small vectors, aligned as on the device: UndefinedBehaviorSanitizer then sees loads that
// are not.
#pragma once

#include <cstdint>

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x = 1, y = 1, z = 1;

    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
    constexpr std::size_t count() const { return std::size_t{x} * y * z; }
};

#define EMULATE_VECTORS(type, name)                                                             \
    struct alignas(2 * sizeof(type)) name##2 { type x, y; };                                    \
    struct alignas(4 * sizeof(type) < 16 ? 4 * sizeof(type) : 16) name##4 { type x, y, z, w; }; \
    constexpr name##2 make_##name##2(type x, type y) { return {x, y}; }                         \
    constexpr name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

EMULATE_VECTORS(unsigned char, uchar)
EMULATE_VECTORS(unsigned short, ushort)
EMULATE_VECTORS(int, int)
EMULATE_VECTORS(unsigned, uint)
EMULATE_VECTORS(long long, longlong)
EMULATE_VECTORS(float, float)
EMULATE_VECTORS(double, double)
#undef EMULATE_VECTORS

struct uchar3 {
    unsigned char x, y, z;
};
struct float3 {
    float x, y, z;
};
constexpr uchar3 make_uchar3(unsigned char x, unsigned char y, unsigned char z) {
    return {x, y, z};
}
constexpr float3 make_float3(float x, float y, float z) { return {x, y, z}; }
