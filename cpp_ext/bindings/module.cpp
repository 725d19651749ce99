#include <nanobind/nanobind.h>

#include "bindings.h"
#include "edgecount/device.h"

NB_MODULE(_ext, module) {
    module.doc() = "The kernels of edgecount in C++: preprocessing and counting.";
    // A camera's thread may hang in its driver when the interpreter ends, and hold objects then:
    // nothing that a user could do something about.
    nanobind::set_leak_warnings(false);
    edgecount::bind_map_counts(module);
    edgecount::bind_count_maps(module);
    edgecount::bind_preprocess(module);
    module.attr("cuda_built") = edgecount::cuda_built();
#if defined(EDGECOUNT_HAS_CUDA)
    module.attr("cuda_architectures") = EDGECOUNT_CUDA_ARCHITECTURES;
#else
    module.attr("cuda_architectures") = "";
#endif
    module.def("cuda_device_count", &edgecount::cuda_device_count,
               "CUDA devices that can be used now.\n\n"
               "0 without the CUDA part (see `cuda_built`), a driver or a device.");
#if defined(EDGECOUNT_HAS_CUDA)
    edgecount::bind_device_array(module);
    edgecount::bind_device_memory(module);
    edgecount::bind_device_stream(module);
    edgecount::bind_device_interop(module);
    edgecount::bind_map_counter(module);
    edgecount::bind_preprocessor(module);
#endif
}
