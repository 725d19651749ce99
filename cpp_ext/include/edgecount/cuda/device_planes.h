// Maps in device memory.
#pragma once

#include <cstddef>

namespace edgecount::cuda {

/// Planes in device memory. Rows and planes may lie apart, cells of a row may not; the address need
/// only be aligned to a cell.
struct DevicePlanes {
    const void* data = nullptr;
    std::size_t row_stride = 0;    ///< Cells from one row to the next.
    std::size_t plane_stride = 0;  ///< Cells from one plane to the next.
};

}  // namespace edgecount::cuda
