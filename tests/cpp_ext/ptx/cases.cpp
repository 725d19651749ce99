// Runs the cases of test_ptx_translator.py, a kernel that is given as PTX alone, and prints what
// each leaves, in hexadecimal.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "cases.h"
#include "launch.h"

int main(int, char** arguments) {
    const std::size_t count = std::strtoul(arguments[1], nullptr, 10);
    std::uint64_t* device = nullptr;
    cudaMalloc(reinterpret_cast<void**>(&device), count * sizeof(*device));
    std::vector<std::uint64_t> results(count);
    EDGECOUNT_LAUNCH(run_cases, dim3(1), dim3(32), 0, nullptr)(device);
    cudaMemcpy(results.data(), device, count * sizeof(*device), cudaMemcpyDeviceToHost);
    for (const std::uint64_t result : results) {
        std::printf("%llx\n", static_cast<unsigned long long>(result));
    }
    cudaFree(device);
}
