// A CUDA call that failed.
#pragma once

#include <stdexcept>

namespace edgecount::cuda {

/// Says what was tried, on which device, and what CUDA said. RuntimeError in Python.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace edgecount::cuda
