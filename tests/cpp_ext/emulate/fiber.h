// A stack of its own that can be left and entered again, and that the sanitizers know of.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <memory>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

namespace emulate {

/// What ThreadSanitizer takes for the order between two fibers: it sees a fiber as a thread, and a
/// switch alone orders nothing.
inline void release([[maybe_unused]] const void* tag) {
#if defined(__SANITIZE_THREAD__)
    __tsan_release(const_cast<void*>(tag));
#endif
}
inline void acquire([[maybe_unused]] const void* tag) {
#if defined(__SANITIZE_THREAD__)
    __tsan_acquire(const_cast<void*>(tag));
#endif
}

/// While it lives, ThreadSanitizer looks away: at the emulation's own records, which all fibers of
/// a block share. Must not live across a switch.
class Unseen {
public:
    Unseen() {
#if defined(__SANITIZE_THREAD__)
        AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
        AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
    }
    ~Unseen() {
#if defined(__SANITIZE_THREAD__)
        AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
        AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#endif
    }
    Unseen(const Unseen&) = delete;
    Unseen& operator=(const Unseen&) = delete;
};

/// The compiler's own jumps: those of the library ask the system about signals, which would take
/// most of the time. Nothing may know that this does not return, or the sanitizers would forget
/// what they know of the stack.
using Jump = void* [5];
__attribute__((noipa, no_sanitize("address", "thread", "undefined"))) inline void jump(Jump& to) {
    __builtin_longjmp(to, 1);
}

class Fiber {
public:
    /// `entry` must never return.
    explicit Fiber(void (*entry)()) : stack_(new char[kBytes]) {
        getcontext(&begin_);
        begin_.uc_stack.ss_sp = stack_.get();
        begin_.uc_stack.ss_size = kBytes;
        begin_.uc_link = nullptr;
        makecontext(&begin_, entry, 0);
#if defined(__SANITIZE_THREAD__)
        thread_ = __tsan_create_fiber(0);
#endif
    }
    ~Fiber() {
#if defined(__SANITIZE_ADDRESS__)
        ASAN_UNPOISON_MEMORY_REGION(stack_.get(), kBytes);
#endif
#if defined(__SANITIZE_THREAD__)
        __tsan_destroy_fiber(thread_);
#endif
    }
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    /// From outside: runs the fiber until it leaves.
    void enter() {
#if defined(__SANITIZE_THREAD__)
        outside_thread_ = __tsan_get_current_fiber();
        __tsan_switch_to_fiber(thread_, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(&outside_fake_, stack_.get(), kBytes);
#endif
        if (__builtin_setjmp(outside_) == 0) go_inside();
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(outside_fake_, nullptr, nullptr);
#endif
    }

    /// From inside: the first thing to do.
    void arrive() {
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(inside_fake_, &outside_stack_, &outside_bytes_);
#endif
    }

    /// From inside: goes back to where it was entered from, and returns when it is entered again.
    void leave() {
#if defined(__SANITIZE_THREAD__)
        __tsan_switch_to_fiber(outside_thread_, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(&inside_fake_, outside_stack_, outside_bytes_);
#endif
        if (__builtin_setjmp(inside_) == 0) jump(outside_);
        arrive();
    }

private:
    static constexpr std::size_t kBytes = 64 * 1024;

    __attribute__((noipa, no_sanitize("address", "thread", "undefined"))) void go_inside() {
        if (begun_) jump(inside_);
        begun_ = true;
        setcontext(&begin_);
    }

    std::unique_ptr<char[]> stack_;
    ucontext_t begin_{};
    bool begun_ = false;
    Jump inside_{};
    Jump outside_{};
    [[maybe_unused]] void* inside_fake_ = nullptr;
    [[maybe_unused]] void* outside_fake_ = nullptr;
    [[maybe_unused]] const void* outside_stack_ = nullptr;
    [[maybe_unused]] std::size_t outside_bytes_ = 0;
    [[maybe_unused]] void* thread_ = nullptr;
    [[maybe_unused]] void* outside_thread_ = nullptr;
};

}  // namespace emulate
