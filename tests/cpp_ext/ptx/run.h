// What translated PTX calls, on the fibers of the emulated GPU (../emulate).
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <map>
#include <type_traits>
#include <vector>

#include "device_memory.h"

namespace ptx {

using emulate::Block;
using emulate::Meeting;
using emulate::Place;

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;
using f32 = float;
using f64 = double;
using pred = bool;

/// What a register holds before anything is written to it.
template <typename T>
constexpr T unset = static_cast<T>(0xa5a5a5a5a5a5a5a5U);
template <>
inline constexpr bool unset<bool> = true;
template <>
inline constexpr f32 unset<f32> = -3e38F;
template <>
inline constexpr f64 unset<f64> = -3e38;

template <typename To, typename From>
inline To bits(From value) {
    return std::bit_cast<To>(value);
}

template <typename T>
inline T loaded(const char* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}
template <typename T>
inline void stored(char* to, T value) {
    std::memcpy(to, &value, sizeof value);
}

template <typename T>
inline T quotient(T a, T b) {
    // What the device gives then is not defined.
    if (b == 0) emulate::fail("PTX: a division by zero");
    return a / b;
}
template <typename T>
inline T remainder(T a, T b) {
    if (b == 0) emulate::fail("PTX: a division by zero");
    return a % b;
}

template <typename T>
inline T shifted_left(T value, u32 by) {
    return by < 8 * sizeof(T) ? static_cast<T>(value << by) : T{0};
}
template <typename T>
inline T shifted_right(T value, u32 by) {
    if (by < 8 * sizeof(T)) return static_cast<T>(value >> by);
    return value < 0 ? static_cast<T>(-1) : T{0};
}

// Of a number and a NaN these give the number, and -0 is less than 0.
template <typename T>
inline T smaller(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
        if (std::isnan(a)) return b;
        if (a == 0 && b == 0) return std::signbit(a) ? a : b;
        return b < a ? b : a;
    }
    return b < a ? b : a;
}
template <typename T>
inline T greater(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
        if (std::isnan(a)) return b;
        if (a == 0 && b == 0) return std::signbit(a) ? b : a;
        return a < b ? b : a;
    }
    return a < b ? b : a;
}
template <typename T>
inline T magnitude(T value) {
    if constexpr (std::is_floating_point_v<T>) return std::fabs(value);
    return value < 0 ? static_cast<T>(0 - value) : value;
}

template <typename T>
inline T upper_half(T a, T b) {
    using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
    return static_cast<T>((static_cast<Wide>(a) * static_cast<Wide>(b)) >> 8 * sizeof(T));
}

enum class Rounding { nearest, zero, down, up };

template <typename Float>
inline Float to_integral(Float value, Rounding rounding) {
    if (rounding == Rounding::zero) return std::trunc(value);
    if (rounding == Rounding::down) return std::floor(value);
    if (rounding == Rounding::up) return std::ceil(value);
    return std::nearbyint(value);
}

/// The nearest value that there is, for what is beyond the type; 0 for a NaN.
template <typename T, typename Float>
inline T to_integer(Float value, Rounding rounding) {
    if (std::isnan(value)) return 0;
    const Float whole = to_integral(value, rounding);
    // The type's last value may not be one of the Float: one beyond it is.
    const Float beyond = std::ldexp(Float{1}, std::numeric_limits<T>::digits);
    if (whole >= beyond) return std::numeric_limits<T>::max();
    if (whole <= static_cast<Float>(std::numeric_limits<T>::min())) {
        return std::numeric_limits<T>::min();
    }
    return static_cast<T>(whole);
}

inline f32 from_half(u16 value) { return __half2float(__half{value}); }
inline u16 to_half(f32 value) { return __float2half_rn(value).bits; }
inline u32 to_half(f32 upper, f32 lower) {
    return u32{to_half(upper)} << 16 | to_half(lower);
}

template <typename T>
inline u32 ones(T value) {
    return static_cast<u32>(std::popcount(value));
}
template <typename T>
inline u32 leading_zeros(T value) {
    return static_cast<u32>(std::countl_zero(value));
}
/// How far its first bit is from the top; all bits set where there is none.
template <typename T>
inline u32 leading_zeros_of_found(T value) {
    return value == 0 ? ~u32{0} : leading_zeros(value);
}
template <typename T>
inline T reversed(T value) {
    T result = 0;
    for (unsigned i = 0; i < 8 * sizeof(T); ++i) {
        result = static_cast<T>(result << 1 | (value >> i & 1U));
    }
    return result;
}

/// The low `count` bits, all of them from the type's size on.
template <typename T>
inline T low_bits(u32 count) {
    return count >= 8 * sizeof(T) ? static_cast<T>(~T{0}) : static_cast<T>((T{1} << count) - 1);
}
template <typename T>
inline T extracted(T value, u32 first, u32 count) {
    static_assert(std::is_unsigned_v<T>, "fields with a sign are not known");
    return shifted_right(value, first & 255U) & low_bits<T>(count & 255U);
}
template <typename T>
inline T inserted(T field, T into, u32 first, u32 count) {
    const T mask = shifted_left(low_bits<T>(count & 255U), first & 255U);
    return (into & ~mask) | (shifted_left(field, first & 255U) & mask);
}

/// Bytes of two words, each named by four bits of the selector.
inline u32 permuted(u32 low, u32 high, u32 selector) {
    const u64 all = u64{high} << 32 | low;
    u32 result = 0;
    for (unsigned i = 0; i < 4; ++i) {
        const u32 which = selector >> 4 * i & 15U;
        auto byte = static_cast<u32>(all >> 8 * (which & 7U) & 255U);
        if ((which & 8U) != 0) byte = (byte & 128U) != 0 ? 255U : 0U;
        result |= byte << 8 * i;
    }
    return result;
}
/// Bit by bit what a table of eight gives for the bits of three words.
inline u32 looked_up(u32 a, u32 b, u32 c, u32 table) {
    u32 result = 0;
    for (unsigned i = 0; i < 32; ++i) {
        const u32 at = (a >> i & 1U) << 2 | (b >> i & 1U) << 1 | (c >> i & 1U);
        result |= (table >> at & 1U) << i;
    }
    return result;
}
inline u32 funnel_l(u32 low, u32 high, u32 by) {
    return static_cast<u32>((u64{high} << 32 | low) << by >> 32);
}
inline u32 funnel_r(u32 low, u32 high, u32 by) {
    return static_cast<u32>((u64{high} << 32 | low) >> by);
}
inline u32 funnel_l_wrap(u32 low, u32 high, u32 by) { return funnel_l(low, high, by % 32); }
inline u32 funnel_r_wrap(u32 low, u32 high, u32 by) { return funnel_r(low, high, by % 32); }
inline u32 funnel_l_clamp(u32 low, u32 high, u32 by) {
    return by >= 32 ? low : funnel_l(low, high, by);
}
inline u32 funnel_r_clamp(u32 low, u32 high, u32 by) {
    return by >= 32 ? high : funnel_r(low, high, by);
}

inline u32 lanes_below() { return (1U << Block::current->lane()) - 1; }

struct Shuffled {
    u32 value;
    bool inside;
};

/// The value of a lane, or the own one where that lane is beyond this one's part of the warp.
inline Shuffled shuffle(bool inside, u32 from, u32 value, u32 mask, const Place& place) {
    const unsigned source = inside ? from : Block::current->lane();
    const u64 got = Block::current->meet(Meeting::shuffle, mask, value, source, place);
    return {static_cast<u32>(got), inside};
}

/// The parts of a warp, as the third operand of shfl describes them.
struct Part {
    explicit Part(u32 shape) {
        const u32 lane = Block::current->lane();
        const u32 segment = shape >> 8 & 31U;
        first = lane & segment;
        last = first | (shape & 31U & ~segment);
    }
    u32 first;
    u32 last;
};

inline Shuffled shuffle_bfly(u32 value, u32 by, u32 shape, u32 mask, const Place& place) {
    const u32 from = Block::current->lane() ^ (by & 31U);
    return shuffle(from <= Part(shape).last, from, value, mask, place);
}
inline Shuffled shuffle_down(u32 value, u32 by, u32 shape, u32 mask, const Place& place) {
    const u32 from = Block::current->lane() + (by & 31U);
    return shuffle(from <= Part(shape).last, from, value, mask, place);
}
inline Shuffled shuffle_up(u32 value, u32 by, u32 shape, u32 mask, const Place& place) {
    // What is the last lane for the others is the first one here.
    const s32 from = static_cast<s32>(Block::current->lane()) - static_cast<s32>(by & 31U);
    const bool inside = from >= static_cast<s32>(Part(shape).last);
    return shuffle(inside, static_cast<u32>(from), value, mask, place);
}
inline Shuffled shuffle_idx(u32 value, u32 which, u32 shape, u32 mask, const Place& place) {
    const Part part(shape);
    const u32 from = part.first | (which & 31U & ~(shape >> 8 & 31U));
    return shuffle(from <= part.last, from, value, mask, place);
}

inline u32 voted(bool value, u32 mask, const Place& place) {
    return static_cast<u32>(
        Block::current->meet(Meeting::ballot, mask, value ? 1 : 0, 0, place));
}

}  // namespace ptx
