#include <nanobind/nanobind.h>

#include "bindings.h"
#include "edgecount/device.h"

namespace {

constexpr const char* kModuleDoc =
    R"(The kernels of edgecount in C++ and CUDA: preprocessing and counting.

Coordinates are continuous: cell (or pixel) i of an axis spans [i, i + 1). Arrays are NumPy arrays
in CPU memory, unless they are said to be on a device. The kernels release the GIL and may run on
several threads at once.

The device classes, `device_array` and `device_memory` exist where `cuda_built` is true. They work
in the primary context of their device, release the GIL, may be used on any thread, and raise
RuntimeError when CUDA fails. Arrays of CuPy, torch, Numba and PyCUDA come in through
`device_array`.

Attributes:
    cuda_built: Whether this build has the CUDA part.
    cuda_architectures: The GPUs that the CUDA part was compiled for, in CMake's words, such as
        "87-real 87-virtual"; empty without it.)";

constexpr const char* kCudaDeviceCountDoc =
    R"(Return the number of CUDA devices that can be used now.

It is 0 without the CUDA part (see `cuda_built`), a driver or a device.)";

}  // namespace

NB_MODULE(_ext, module) {
    module.doc() = kModuleDoc;
    // A camera's thread may hang in its driver when the interpreter ends, and hold objects then:
    // nothing that a user could do something about.
    nanobind::set_leak_warnings(false);
    edgecount::bind_map_counts(module);
    edgecount::bind_count_maps(module);
    edgecount::bind_count_boxes(module);
    edgecount::bind_preprocess(module);
    module.attr("cuda_built") = edgecount::cuda_built();
#if defined(EDGECOUNT_HAS_CUDA)
    module.attr("cuda_architectures") = EDGECOUNT_CUDA_ARCHITECTURES;
#else
    module.attr("cuda_architectures") = "";
#endif
    module.def("cuda_device_count", &edgecount::cuda_device_count, kCudaDeviceCountDoc);
#if defined(EDGECOUNT_HAS_CUDA)
    edgecount::bind_device_array(module);
    edgecount::bind_device_memory(module);
    edgecount::bind_device_stream(module);
    edgecount::bind_device_interop(module);
    edgecount::bind_map_counter(module);
    edgecount::bind_box_counter(module);
    edgecount::bind_preprocessor(module);
#endif
}
