#include "kernels.h"

#include <atomic>

namespace edgecount {

extern const Kernels baseline_kernels;
extern const Kernels avx2_kernels;

namespace {

std::atomic<const Kernels*> in_use{nullptr};

}  // namespace

std::vector<const Kernels*> available_kernels() {
    std::vector<const Kernels*> available{&baseline_kernels};
#if defined(EDGECOUNT_HAS_AVX2)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
        __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") &&
        __builtin_cpu_supports("f16c")) {
        available.push_back(&avx2_kernels);
    }
#endif
    return available;
}

const Kernels& kernels() {
    const Kernels* chosen = in_use.load(std::memory_order_relaxed);
    if (chosen == nullptr) {
        chosen = available_kernels().back();
        in_use.store(chosen, std::memory_order_relaxed);
    }
    return *chosen;
}

void use_kernels(const Kernels& chosen) { in_use.store(&chosen, std::memory_order_relaxed); }

}  // namespace edgecount
