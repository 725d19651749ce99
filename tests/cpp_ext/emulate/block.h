// A block of CUDA threads, one fiber each, that runs on the host thread that calls it.
//
// A thread runs until it has to wait for others; which goes on next is drawn by lot, so that code
// that relies on an order fails. What has no meaning on a GPU ends the program with a message.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <source_location>
#include <utility>
#include <vector>

#include "fiber.h"
#include "vector_types.h"

// Set before each thread goes on: no fiber moves to another host thread.
constinit inline thread_local uint3 threadIdx{};
constinit inline thread_local uint3 blockIdx{};
constinit inline thread_local uint3 blockDim{};
constinit inline thread_local uint3 gridDim{};

namespace emulate {

using Place = std::source_location;

[[noreturn]] inline void fail(const char* what, const Place& place = {}) {
    std::fprintf(stderr, "emulated GPU: %s (%s:%u, block %u %u %u, thread %u %u %u)\n", what,
                 place.file_name(), place.line(), blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x,
                 threadIdx.y, threadIdx.z);
    std::abort();
}

/// What the lanes of a warp do together.
enum class Meeting { none, sync, shuffle, ballot, add, smallest, largest };

struct Thread {
    explicit Thread(void (*entry)()) : fiber(entry) {}

    Fiber fiber;
    uint3 index{};
    unsigned number = 0;
    bool done = false;
    Place place;
    // In a meeting of its warp: with whom, and what it brings and gets.
    Meeting meeting = Meeting::none;
    unsigned mask = 0;
    unsigned source = 0;
    std::uint64_t value = 0;
    // What orders it with threads of other blocks, see atomics.h.
    bool fenced = false;
    std::vector<const void*> observed;
};

/// A kernel with its arguments. The tags order the host and the threads of all blocks, but no two
/// blocks.
struct Body {
    std::function<void()> kernel;
    char begin = 0;
    char end = 0;
};

/// What the threads of a block meet at.
struct Tags {
    char barriers[2];
    char warps[32];
};

/// Bits of lanes: those there are, those that wait in a meeting, those that have left the kernel.
struct Warp {
    unsigned lanes = 0;
    unsigned waiting = 0;
    unsigned done = 0;
};

class Block {
public:
    static inline thread_local Block* current = nullptr;

    void run(const Body& body, dim3 size, std::size_t shared_bytes, std::uint64_t seed) {
        const Unseen unseen;
        current = this;
        body_ = &body;
        random_ = seed * 0x9e3779b97f4a7c15U + 1;
        shared_.clear();
        dynamic_.allocate(shared_bytes);
#if defined(__SANITIZE_THREAD__)
        threads_.swap(others_);
#endif
        size_ = static_cast<unsigned>(size.count());
        done_ = arrived_ = 0;
        std::fill(std::begin(warps_), std::end(warps_), Warp{});
        tags_ = std::make_unique<Tags>();
        for (unsigned i = 0; i < size_; ++i) prepare(i, size);
        while (!ready_.empty()) step();
        if (done_ != size_) fail("deadlock: threads wait for others that never come", stuck());
        move_to_end(fenced_, unseen_);
        move_to_end(late_, unseen_);
        current = nullptr;
    }

    /// Shared memory, by the address of something that is unique to its declaration.
    void* shared(const void* key, std::size_t bytes) {
        const Unseen unseen;
        Memory& memory = shared_[key];
        if (memory.first == nullptr) memory.allocate(bytes);
        return memory.first.get();
    }
    void* dynamic_shared() const { return dynamic_.first.get(); }

    bool is_shared(const void* address) const {
        const Unseen unseen;
        for (const auto& [key, memory] : shared_) {
            if (memory.holds(address)) return true;
        }
        return dynamic_.holds(address);
    }

    /// Keeps work until the block comes to a fence and then changes a value that it has seen: what
    /// makes sure that others see the work. Else it is done at the end of the kernel.
    void put_off(std::function<void()> work) {
        const Unseen unseen;
        late_.push_back(std::move(work));
    }
    void fence() {
        {
            const Unseen unseen;
            move_to_end(late_, fenced_);
        }
        running_->fenced = true;
        for (const void* address : running_->observed) acquire(address);
        running_->observed.clear();
    }
    void observe(const void* address) {
        perform(fenced_);
        if (running_->fenced) release(address);
        running_->observed.push_back(address);
    }
    void end_kernel() { perform(unseen_); }

    /// Waits for all threads of the block, and returns how many came with a true predicate.
    unsigned sync(bool predicate, const Place& place) {
        const unsigned round = round_ % 2;
        const char* tag = &tags_->barriers[round];
        release(tag);
        if (!arrive(predicate, place)) running_->fiber.leave();
        acquire(tag);
        const Unseen unseen;
        return counts_[round];
    }

    /// Waits for the lanes of the mask, all in the same meeting, and returns what it gives.
    std::uint64_t meet(Meeting meeting, unsigned mask, std::uint64_t value, unsigned source,
                       const Place& place) {
        const char* tag = &tags_->warps[running_->number / 32];
        if (meeting == Meeting::sync) release(tag);
        if (!join(meeting, mask, value, source, place)) running_->fiber.leave();
        if (meeting == Meeting::sync) acquire(tag);
        const Unseen unseen;
        return running_->value;
    }

    unsigned lane() const { return running_->number % 32; }

private:
    /// Shared memory, of exactly its size, so that AddressSanitizer sees where it ends.
    struct Memory {
        std::unique_ptr<char, decltype(&std::free)> first{nullptr, &std::free};
        std::size_t bytes = 0;

        void allocate(std::size_t size) {
            void* memory = nullptr;
            if (posix_memalign(&memory, 16, size) != 0) fail("no memory left");
            std::memset(memory, 0xff, size);
            first.reset(static_cast<char*>(memory));
            bytes = size;
        }
        bool holds(const void* address) const {
            const auto* at = static_cast<const char*>(address);
            return at >= first.get() && at < first.get() + bytes;
        }
    };

    using Work = std::vector<std::function<void()>>;

    static void perform(Work& work) {
        const Unseen unseen;
        for (const auto& one : std::exchange(work, {})) one();
    }

    static void move_to_end(Work& from, Work& to) {
        std::move(from.begin(), from.end(), std::back_inserter(to));
        from.clear();
    }

    void prepare(unsigned number, dim3 size) {
        if (number == threads_.size()) threads_.push_back(std::make_unique<Thread>(&live));
        Thread& thread = *threads_[number];
        thread.number = number;
        thread.index = {number % size.x, number / size.x % size.y, number / size.x / size.y};
        thread.done = false;
        thread.meeting = Meeting::none;
        thread.fenced = false;
        thread.observed.clear();
        warps_[number / 32].lanes |= 1U << number % 32;
        ready_.push_back(number);
    }

    void step() {
        // A linear congruential generator: its upper bits are random enough to draw lots by.
        random_ = random_ * 6364136223846793005U + 1442695040888963407U;
        const std::size_t drawn = (random_ >> 32) * ready_.size() >> 32;
        running_ = threads_[std::exchange(ready_[drawn], ready_.back())].get();
        ready_.pop_back();
        threadIdx = running_->index;
        running_->fiber.enter();
    }

    /// The life of a fiber: a thread of one block after the other.
    static void live() {
        current->running_->fiber.arrive();
        while (true) {
            const Body& body = current->body();
            acquire(&body.begin);
            body.kernel();
            release(&body.end);
            current->end();
            current->running_->fiber.leave();
        }
    }

    const Body& body() const {
        const Unseen unseen;
        return *body_;
    }

    void end() {
        const Unseen unseen;
        running_->done = true;
        warps_[running_->number / 32].done |= 1U << lane();
        ++done_;
        if (arrived_ != 0) fail("threads leave the kernel while others wait", barrier_place_);
    }

    /// Returns whether all threads are there.
    bool arrive(bool predicate, const Place& place) {
        const Unseen unseen;
        if (done_ != 0) fail("__syncthreads after some threads have left the kernel", place);
        if (arrived_ != 0 && place.line() != barrier_place_.line()) {
            fail("__syncthreads in different places", place);
        }
        running_->place = barrier_place_ = place;
        unsigned& count = counts_[round_ % 2];
        count = (arrived_ == 0 ? 0 : count) + (predicate ? 1 : 0);
        if (++arrived_ != size_) return false;
        arrived_ = 0;
        ++round_;
        for (unsigned i = 0; i < size_; ++i) {
            if (i != running_->number) ready_.push_back(i);
        }
        return true;
    }

    /// Returns whether all lanes of the mask are there.
    bool join(Meeting meeting, unsigned mask, std::uint64_t value, unsigned source,
              const Place& place) {
        const Unseen unseen;
        Thread& me = *running_;
        if ((mask >> lane() & 1U) == 0) fail("a lane that its own mask leaves out", place);
        me.meeting = meeting;
        me.mask = mask;
        me.value = value;
        me.source = source;
        me.place = place;
        Warp& warp = warps_[me.number / 32];
        compare(warp, me);
        warp.waiting |= 1U << lane();
        if ((warp.waiting & mask) != mask) return false;
        warp.waiting &= ~mask;
        finish(me.number - lane(), me);
        return true;
    }

    /// Checks that the lanes of this one's mask can come, and those that are here mean the same.
    void compare(const Warp& warp, const Thread& me) const {
        if ((me.mask & ~warp.lanes) != 0) fail("a mask with lanes beyond the block", me.place);
        if ((me.mask & warp.done) != 0) {
            fail("a mask with lanes that have left the kernel", me.place);
        }
        const unsigned here = warp.waiting & me.mask;
        if (here == 0) return;
        const unsigned first = me.number - lane();
        const Thread& other = *threads_[first + static_cast<unsigned>(std::countr_zero(here))];
        if (other.meeting != me.meeting || other.mask != me.mask ||
            other.place.line() != me.place.line()) {
            fail("lanes of one mask in different places", me.place);
        }
    }

    void finish(unsigned first, const Thread& me) {
        std::uint64_t values[32];
        const Meeting meeting = me.meeting;
        const std::uint64_t all = combine(first, me, values);
        for (unsigned rest = me.mask; rest != 0; rest &= rest - 1) {
            Thread& other = *threads_[first + static_cast<unsigned>(std::countr_zero(rest))];
            if (meeting == Meeting::shuffle && (me.mask >> other.source & 1U) == 0) {
                fail("a shuffle from a lane outside the mask", me.place);
            }
            other.value = meeting == Meeting::shuffle ? values[other.source] : all;
            other.meeting = Meeting::none;
            if (&other != running_) ready_.push_back(other.number);
        }
    }

    std::uint64_t combine(unsigned first, const Thread& me, std::uint64_t* values) {
        std::uint64_t all = me.meeting == Meeting::smallest ? ~std::uint64_t{0} : 0;
        for (unsigned rest = me.mask; rest != 0; rest &= rest - 1) {
            const auto lane = static_cast<unsigned>(std::countr_zero(rest));
            const std::uint64_t value = values[lane] = threads_[first + lane]->value;
            if (me.meeting == Meeting::ballot) all |= std::uint64_t{value != 0} << lane;
            if (me.meeting == Meeting::add) all += value;
            if (me.meeting == Meeting::smallest) all = std::min(all, value);
            if (me.meeting == Meeting::largest) all = std::max(all, value);
        }
        return all;
    }

    Place stuck() const {
        for (unsigned i = 0; i < size_; ++i) {
            if (!threads_[i]->done) return threads_[i]->place;
        }
        return {};
    }

    const Body* body_ = nullptr;
    std::vector<std::unique_ptr<Thread>> threads_;
#if defined(__SANITIZE_THREAD__)
    // To it a thread comes after the last one on its fiber, of another block. With two sets of
    // fibers that take turns there is no order between a block and the next.
    std::vector<std::unique_ptr<Thread>> others_;
#endif
    std::vector<unsigned> ready_;
    std::map<const void*, Memory> shared_;
    Memory dynamic_;
    Work late_;
    Work fenced_;
    Work unseen_;  // of blocks that are done
    std::uint64_t random_ = 0;
    Thread* running_ = nullptr;
    unsigned size_ = 0;
    unsigned done_ = 0;
    unsigned arrived_ = 0;
    unsigned round_ = 0;
    unsigned counts_[2] = {};  // of two rounds: a thread may be a barrier ahead of the rest
    Place barrier_place_;
    Warp warps_[32];
    // New for each block, or ThreadSanitizer would see an order between blocks.
    std::unique_ptr<Tags> tags_;
};

/// Runs the blocks of a grid in a random order.
inline void run_grid(std::function<void()> kernel, dim3 grid, dim3 block, std::size_t shared_bytes,
                     std::uint64_t seed) {
    static thread_local Block runner;
    const Body body{std::move(kernel)};
    std::vector<unsigned> order(grid.count());
    std::iota(order.begin(), order.end(), 0U);
    std::shuffle(order.begin(), order.end(), std::minstd_rand(static_cast<unsigned>(seed + 1)));
    release(&body.begin);
    for (const unsigned i : order) {
        {
            const Unseen unseen;
            gridDim = {grid.x, grid.y, grid.z};
            blockDim = {block.x, block.y, block.z};
            blockIdx = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
        }
        runner.run(body, block, shared_bytes, seed + i);
    }
    runner.end_kernel();
    acquire(&body.end);
}

}  // namespace emulate
