// IEEE binary16 to binary32: by the processor, or in arithmetic that compilers can vectorise.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace edgecount {

static inline float half_to_float(std::uint16_t half) {
#if defined(__F16C__)
    return _cvtsh_ss(half);
#elif defined(__ARM_FP16_FORMAT_IEEE) && !defined(__CUDACC__)
    // A type that every AArch64 converts, and compilers in vectors; nvcc is not asked to know it.
    __fp16 value;
    std::memcpy(&value, &half, sizeof value);
    return value;
#else
    // Moved into place, exponent and fraction are the value times 2^-112; subnormals come out right
    // too, as long as the processor does not flush them (see FloatEnvironment).
    const std::uint32_t magnitude = static_cast<std::uint32_t>(half & 0x7fffU) << 13;
    float value;
    std::memcpy(&value, &magnitude, sizeof value);
    value *= 0x1p112F;

    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bits |= magnitude >= 0x0f800000U ? 0x7f800000U : 0U;
    bits |= static_cast<std::uint32_t>(half & 0x8000U) << 16;
    std::memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

}  // namespace edgecount
