// The interpreter's lock, given up for the kernels.
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <thread>

namespace edgecount {

/// Lets other Python threads run for the life of this object.
///
/// A thread that asks for the lock while the interpreter ends is ended inside the call, up to
/// Python 3.13 by pthread_exit, which unwinds the stack through functions that let no exception
/// pass: the process would abort. Such a thread stops here for good, as from Python 3.14 on; it is
/// a daemon, for which nobody waits.
class ReleasedGil {
public:
    ReleasedGil() : state_(PyEval_SaveThread()) {}
    ~ReleasedGil() {
        try {
            PyEval_RestoreThread(state_);
        } catch (...) {  // the unwinding of pthread_exit: nothing in there throws
            for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
        }
    }
    ReleasedGil(const ReleasedGil&) = delete;
    ReleasedGil& operator=(const ReleasedGil&) = delete;

private:
    PyThreadState* state_;
};

/// Frees an object while other threads run: CUDA waits for the device meanwhile.
struct FreeUnlocked {
    template <typename T>
    void operator()(T* object) const {
        const ReleasedGil unlocked;
        delete object;
    }
};

}  // namespace edgecount
