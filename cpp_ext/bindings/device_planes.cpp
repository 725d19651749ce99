#include "device_planes.h"

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "device_array.h"

namespace nb = nanobind;

namespace edgecount {
namespace {

/// Where the rows and planes of an array of shape (..., H, W) begin, in cells. Axes of one item may
/// have any stride.
cuda::DevicePlanes layout(const char* name, const DeviceArray& array) {
    cuda::DevicePlanes planes;
    planes.data = array.data;
    if (array.nbytes() == 0) return planes;
    const auto itemsize = static_cast<std::int64_t>(array.itemsize());
    const std::size_t row = array.ndim() - 2;
    const auto stride = [&](std::size_t axis, std::int64_t otherwise) {
        return array.shape[axis] == 1 ? otherwise : array.strides[axis] / itemsize;
    };
    const std::int64_t cell = stride(row + 1, 1);
    const std::int64_t row_stride = stride(row, array.shape[row + 1]);
    // Where an image has one plane, planes are as far apart as images.
    const std::size_t plane = row == 2 && array.shape[1] == 1 ? 0 : row - 1;
    const std::int64_t plane_stride = stride(plane, array.shape[row] * row_stride);
    // The planes of an image follow each other, and the images all planes.
    const std::int64_t image_stride = row == 1 ? 0 : array.shape[1] * plane_stride;
    const bool even = row == 1 || stride(0, image_stride) == image_stride;
    if (cell != 1 || row_stride < array.shape[row + 1] || plane_stride < 0 || !even) {
        throw std::invalid_argument(
            std::string(name) +
            ": expected cells side by side in rows, and all planes as far apart, got strides " +
            array.strides_name() + " for shape " + array.shape_name());
    }
    planes.row_stride = static_cast<std::size_t>(row_stride);
    planes.plane_stride = static_cast<std::size_t>(plane_stride);
    return planes;
}

}  // namespace

cuda::DevicePlanes as_device_planes(const char* name, nb::handle object,
                                    const ExpectedMap& expected, int device) {
    if (!expected.present) {
        if (object.is_none()) return {};
        throw std::invalid_argument(std::string(name) +
                                    ": expected None, as the counter was made for, got an array");
    }
    const DeviceArray& array = as_device_array(name, object);
    require_device(name, array, device);
    require_dtype(name, array, expected.dtype);
    require_shape(name, array, expected.shape);
    return layout(name, array);
}

}  // namespace edgecount
