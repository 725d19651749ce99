// Atomics and fences.
//
// Atomics order nothing around them; fences do. So what an atomic does to memory that other blocks
// see, where the kernel does not use the old value, is put off until its block comes to a fence, or
// the kernel ends: a fence that is missing then shows. And ThreadSanitizer is told of an order only
// where a thread fences, changes a value, and another one changes that value, and fences.
#pragma once

#include <cstdint>
#include <type_traits>

#include "block.h"

namespace emulate {

/// Takes a value to the next by its old one. The old one is to be used at once.
template <typename T, typename Next>
class Atomic {
public:
    Atomic(T* address, Next next) : address_(address), next_(next) {}
    ~Atomic() {
        if (used_) return;
        if (Block::current->is_shared(address_)) {
            update(address_, next_);
        } else {
            Block::current->put_off([address = address_, next = next_] { update(address, next); });
        }
    }
    Atomic(const Atomic&) = delete;
    Atomic& operator=(const Atomic&) = delete;

    operator T() && {
        used_ = true;
        Block::current->observe(address_);
        return update(address_, next_);
    }

private:
    static T update(T* address, const Next& next) {
        T old = __atomic_load_n(address, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(address, &old, next(old), false, __ATOMIC_RELAXED,
                                            __ATOMIC_RELAXED)) {
        }
        return old;
    }

    T* address_;
    Next next_;
    bool used_ = false;
};

}  // namespace emulate

inline void __threadfence() { emulate::Block::current->fence(); }
inline void __threadfence_system() { __threadfence(); }

template <typename T>
auto atomicAdd(T* address, std::type_identity_t<T> value) {
    static_assert(!std::is_floating_point_v<T>, "the sum would depend on the order");
    return emulate::Atomic(address, [value](T old) { return static_cast<T>(old + value); });
}
template <typename T>
auto atomicSub(T* address, std::type_identity_t<T> value) {
    return emulate::Atomic(address, [value](T old) { return static_cast<T>(old - value); });
}
template <typename T>
auto atomicOr(T* address, std::type_identity_t<T> value) {
    return emulate::Atomic(address, [value](T old) { return old | value; });
}
template <typename T>
auto atomicAnd(T* address, std::type_identity_t<T> value) {
    return emulate::Atomic(address, [value](T old) { return old & value; });
}
template <typename T>
auto atomicExch(T* address, std::type_identity_t<T> value) {
    return emulate::Atomic(address, [value](T) { return value; });
}
template <typename T>
auto atomicCAS(T* address, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
    return emulate::Atomic(address, [=](T old) { return old == compare ? value : old; });
}
template <typename T>
auto atomicMax(T* address, std::type_identity_t<T> value) {
    return emulate::Atomic(address, [value](T old) { return old > value ? old : value; });
}
template <typename T>
auto atomicMin(T* address, std::type_identity_t<T> value) {
    return emulate::Atomic(address, [value](T old) { return old < value ? old : value; });
}
inline auto atomicInc(unsigned* address, unsigned last) {
    return emulate::Atomic(address, [last](unsigned old) { return old >= last ? 0U : old + 1; });
}
