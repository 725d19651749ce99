#include <nanobind/nanobind.h>

#include "bindings.h"
#include "edgecount/device.h"

NB_MODULE(_ext, module) {
    module.doc() = "The kernels of edgecount in C++: preprocessing and counting.";
    edgecount::bind_count_maps(module);
    edgecount::bind_preprocess(module);
    module.attr("cuda_built") = edgecount::cuda_built();
    module.def("cuda_device_count", &edgecount::cuda_device_count,
               "CUDA devices that can be used now.\n\n"
               "0 without the CUDA part (see `cuda_built`), a driver or a device.");
}
