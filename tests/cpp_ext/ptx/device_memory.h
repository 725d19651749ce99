// Where translated PTX reads and writes: every access is checked, and launches lead to it.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace ptx {

inline void require_aligned(std::uint64_t address, std::uint64_t size) {
    if (address % size != 0) emulate::fail("PTX: an access that is not aligned");
}

/// A variable of the module in device memory. An integer begins with the number in the environment
/// variable of its name, if there is one: that chooses a planted bug (../planted_bugs.py).
struct ModuleMemory {
    ModuleMemory(const char* name, char* first, std::uint64_t size) {
        all()[name] = {first, size};
        const char* given = std::getenv(name);
        if (given == nullptr || size != sizeof(int)) return;
        const int value = std::atoi(given);
        std::memcpy(first, &value, sizeof value);
    }
    struct Range {
        char* first;
        std::uint64_t size;
    };
    static std::map<std::string, Range>& all() {
        static auto& only = *new std::map<std::string, Range>;
        return only;
    }
};

/// The last allocation that was found: accesses near each other are in the same one.
struct LastFound {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
};
constinit inline thread_local LastFound last_found[4]{};

inline bool is_in_module(std::uint64_t address, std::uint64_t size) {
    for (const auto& [name, range] : ModuleMemory::all()) {
        const auto first = reinterpret_cast<std::uint64_t>(range.first);
        if (address >= first && address + size <= first + range.size) return true;
    }
    return false;
}

inline void find_allocation(std::uint64_t address, std::uint64_t size) {
    const auto& memory = emulate::device().memory;
    auto next = memory.upper_bound(reinterpret_cast<const char*>(address));
    if (next != memory.begin()) {
        --next;
        const auto first = reinterpret_cast<std::uint64_t>(next->first);
        if (address + size <= first + next->second.bytes) {
            std::move_backward(last_found, last_found + 3, last_found + 4);
            last_found[0] = {first, first + next->second.bytes};
            return;
        }
    }
    if (!is_in_module(address, size)) emulate::fail("PTX: an access outside device memory");
}

inline char* at_global(std::uint64_t address, std::uint64_t size) {
    require_aligned(address, size);
    const bool found = std::any_of(last_found, last_found + 4, [&](const LastFound& range) {
        return address >= range.first && address + size <= range.end;
    });
    if (!found) find_allocation(address, size);
    return reinterpret_cast<char*>(address);
}
/// What the host has on its stack: parameters and local memory, whose addresses have no other form.
inline char* at_own(std::uint64_t address, std::uint64_t size) {
    require_aligned(address, size);
    return reinterpret_cast<char*>(address);
}
inline char* at_param(std::uint64_t address, std::uint64_t size) { return at_own(address, size); }
inline char* at_local(std::uint64_t address, std::uint64_t size) { return at_own(address, size); }
inline char* at_const(std::uint64_t address, std::uint64_t size) {
    return at_global(address, size);
}

/// The shared memory of a block, all variables in one piece.
class Shared {
public:
    static Shared of_kernel(std::uint32_t size) {
        static const char key = 0;
        // What was found for the launch before may have been given back since.
        std::fill_n(last_found, 4, LastFound{});
        kept = {static_cast<char*>(emulate::Block::current->shared(&key, size)), size};
        return kept;
    }
    /// Of a function that a kernel calls. Fibers of one block are on one thread of the host.
    static Shared of_function() { return kept; }

    char* at(std::uint32_t offset, std::uint32_t size) const {
        require_aligned(offset, size);
        if (offset > bytes || size > bytes - offset) {
            emulate::fail("PTX: an access outside shared memory");
        }
        return first + offset;
    }
    std::uint64_t address(std::uint64_t offset) const {
        return reinterpret_cast<std::uint64_t>(first) + offset;
    }
    std::uint64_t offset(std::uint64_t at) const {
        return at - reinterpret_cast<std::uint64_t>(first);
    }

    char* first = nullptr;
    std::uint32_t bytes = 0;

private:
    static thread_local Shared kept;
};
constinit inline thread_local Shared Shared::kept{};

/// By an address that does not tell the space: device memory, or what cvta gave for shared memory.
inline char* at_generic(std::uint64_t address, std::uint64_t size) {
    const Shared shared = Shared::of_function();
    const std::uint64_t first = shared.address(0);
    if (shared.bytes == 0 || address < first || address >= first + shared.bytes) {
        return at_global(address, size);
    }
    return shared.at(static_cast<std::uint32_t>(shared.offset(address)),
                     static_cast<std::uint32_t>(size));
}

/// Makes launches of a kernel run its translation, and tells at the end how many have.
class Registered {
public:
    template <typename... Parameters>
    Registered(void (*kernel)(Parameters...), const char* name, emulate::Translation translation,
               std::size_t parameter_bytes)
        : name_(name), kernel_(reinterpret_cast<const void*>(kernel)) {
        emulate::translations()[kernel_] = {translation, parameter_bytes, 0};
    }
    ~Registered() {
        std::printf("launched %lu %s\n", emulate::translations()[kernel_].launches, name_);
    }
    Registered(const Registered&) = delete;
    Registered& operator=(const Registered&) = delete;

private:
    const char* name_;
    const void* kernel_;
};

}  // namespace ptx
