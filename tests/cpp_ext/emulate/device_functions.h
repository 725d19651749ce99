// What kernels call: barriers, warp functions, bits, arithmetic of one rounding.
#pragma once

#include <math.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "atomics.h"
#include "block.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)

// What cpp_ext/cuda/launch.h defines for nvcc. The variable's address is one for each declaration
// and each instance of a template.
#define EDGECOUNT_SHARED(type, name, extents)               \
    typedef type name##_of_block extents;                   \
    static const char name##_key = 0;                       \
    name##_of_block& name = *static_cast<name##_of_block*>( \
        emulate::Block::current->shared(&name##_key, sizeof(name##_of_block)))

#define EDGECOUNT_DYNAMIC_SHARED(type, name) \
    type* name = static_cast<type*>(emulate::Block::current->dynamic_shared())

constexpr int warpSize = 32;

namespace emulate {

template <typename T>
std::uint64_t to_bits(T value) {
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    return bits;
}

template <typename T>
T from_bits(std::uint64_t bits) {
    T value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

template <typename T>
T shuffle(unsigned mask, T value, unsigned source, const Place& place) {
    return from_bits<T>(
        Block::current->meet(Meeting::shuffle, mask, to_bits(value), source, place));
}

inline std::uint64_t meet(Meeting meeting, unsigned mask, std::uint64_t value, const Place& place) {
    return Block::current->meet(meeting, mask, value, 0, place);
}

}  // namespace emulate

inline void __syncthreads(const emulate::Place& place = emulate::Place::current()) {
    emulate::Block::current->sync(false, place);
}
inline int __syncthreads_count(int predicate,
                               const emulate::Place& place = emulate::Place::current()) {
    return static_cast<int>(emulate::Block::current->sync(predicate != 0, place));
}
inline int __syncthreads_or(int predicate,
                            const emulate::Place& place = emulate::Place::current()) {
    return emulate::Block::current->sync(predicate != 0, place) != 0 ? 1 : 0;
}
inline int __syncthreads_and(int predicate,
                             const emulate::Place& place = emulate::Place::current()) {
    return emulate::Block::current->sync(predicate == 0, place) == 0 ? 1 : 0;
}

inline void __syncwarp(unsigned mask = 0xffffffffU,
                       const emulate::Place& place = emulate::Place::current()) {
    emulate::meet(emulate::Meeting::sync, mask, 0, place);
}
inline unsigned __ballot_sync(unsigned mask, int predicate,
                              const emulate::Place& place = emulate::Place::current()) {
    return static_cast<unsigned>(
        emulate::meet(emulate::Meeting::ballot, mask, predicate != 0 ? 1 : 0, place));
}
inline int __any_sync(unsigned mask, int predicate,
                      const emulate::Place& place = emulate::Place::current()) {
    return __ballot_sync(mask, predicate, place) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate,
                      const emulate::Place& place = emulate::Place::current()) {
    return __ballot_sync(mask, predicate, place) == mask ? 1 : 0;
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned value,
                                  const emulate::Place& place = emulate::Place::current()) {
    return static_cast<unsigned>(emulate::meet(emulate::Meeting::add, mask, value, place));
}
inline unsigned __reduce_min_sync(unsigned mask, unsigned value,
                                  const emulate::Place& place = emulate::Place::current()) {
    return static_cast<unsigned>(emulate::meet(emulate::Meeting::smallest, mask, value, place));
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned value,
                                  const emulate::Place& place = emulate::Place::current()) {
    return static_cast<unsigned>(emulate::meet(emulate::Meeting::largest, mask, value, place));
}

// A lane that is named beyond its part of the warp gets its own value, as on the device.
template <typename T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32,
              const emulate::Place& place = emulate::Place::current()) {
    const unsigned part = emulate::Block::current->lane() & ~static_cast<unsigned>(width - 1);
    return emulate::shuffle(mask, value, part | (static_cast<unsigned>(lane) % width), place);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 const emulate::Place& place = emulate::Place::current()) {
    const unsigned own = emulate::Block::current->lane();
    return emulate::shuffle(mask, value, own % width >= delta ? own - delta : own, place);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   const emulate::Place& place = emulate::Place::current()) {
    const unsigned own = emulate::Block::current->lane();
    const bool inside = own % width + delta < static_cast<unsigned>(width);
    return emulate::shuffle(mask, value, inside ? own + delta : own, place);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32,
                  const emulate::Place& place = emulate::Place::current()) {
    const unsigned own = emulate::Block::current->lane();
    const unsigned other = own ^ static_cast<unsigned>(bits);
    const bool inside = other / width <= own / width;
    return emulate::shuffle(mask, value, inside ? other : own, place);
}

template <typename T>
T __ldg(const T* address) {
    return *address;
}

inline int __popc(unsigned bits) { return std::popcount(bits); }
inline int __popcll(unsigned long long bits) { return std::popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __ffsll(long long bits) { return __builtin_ffsll(bits); }
inline int __clz(int bits) { return std::countl_zero(static_cast<unsigned>(bits)); }
inline int __clzll(long long bits) {
    return std::countl_zero(static_cast<unsigned long long>(bits));
}

inline int __float_as_int(float value) { return std::bit_cast<int>(value); }
inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline long long __double_as_longlong(double value) { return std::bit_cast<long long>(value); }
inline double __longlong_as_double(long long bits) { return std::bit_cast<double>(bits); }

/// The bytes of two words that the low four digits of a selector name, 0 to 7.
inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
    const unsigned long long both = static_cast<unsigned long long>(high) << 32 | low;
    unsigned bytes = 0;
    for (unsigned i = 0; i < 4; ++i) {
        const unsigned digit = selector >> (4 * i) & 7U;
        bytes |= static_cast<unsigned>(both >> (8 * digit) & 0xFFU) << (8 * i);
    }
    return bytes;
}

inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline float __saturatef(float value) {
    return value > 0.0F ? (value < 1.0F ? value : 1.0F) : 0.0F;
}
inline int __float2int_rn(float value) { return static_cast<int>(std::nearbyint(value)); }
inline long long __double2ll_rn(double value) { return std::llrint(value); }
inline long long __float2ll_rn(float value) { return std::llrint(value); }

// As CUDA has them: for two numbers of one type.
template <typename T>
constexpr T min(T a, T b) {
    return b < a ? b : a;
}
template <typename T>
constexpr T max(T a, T b) {
    return a < b ? b : a;
}
