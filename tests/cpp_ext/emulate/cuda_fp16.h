// Halves, as far as our kernels need them: stored, and converted from and to float.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

struct __half {
    std::uint16_t bits;
};
using half = __half;

inline __half __ushort_as_half(unsigned short bits) { return {bits}; }
inline unsigned short __half_as_ushort(__half value) { return value.bits; }

inline float __half2float(__half value) {
    const int exponent = value.bits >> 10 & 31;
    const auto fraction = static_cast<float>(value.bits & 1023);
    float magnitude = 0.0F;
    if (exponent == 0) {
        magnitude = std::ldexp(fraction, -24);
    } else if (exponent < 31) {
        magnitude = std::ldexp(1024.0F + fraction, exponent - 25);
    } else {
        magnitude = fraction == 0.0F ? INFINITY : NAN;
    }
    return (value.bits & 0x8000) != 0 ? -magnitude : magnitude;
}

/// To nearest, ties to even.
inline __half __float2half_rn(float value) {
    const auto sign =
        static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16 & 0x8000);
    const float magnitude = std::fabs(value);
    if (std::isnan(value)) return {0x7fff};
    if (magnitude == 0.0F) return {sign};
    if (magnitude >= 65520.0F) return {static_cast<std::uint16_t>(sign | 0x7c00)};
    // In steps of the last bit that a half of this size has; rounding up may reach the next power.
    int exponent = 0;
    std::frexp(magnitude, &exponent);
    const int step = exponent < -13 ? -24 : exponent - 11;
    const auto steps = static_cast<int>(std::nearbyint(std::ldexp(magnitude, -step)));
    const int bits = step == -24 ? steps : (step + 24) * 1024 + steps;
    return {static_cast<std::uint16_t>(sign | bits)};
}
inline __half __float2half(float value) { return __float2half_rn(value); }
