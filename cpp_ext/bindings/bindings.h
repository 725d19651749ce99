// The parts of the extension module.
#pragma once

#include <nanobind/nanobind.h>

namespace edgecount {

void bind_count_boxes(nanobind::module_& module);
void bind_count_maps(nanobind::module_& module);
void bind_map_counts(nanobind::module_& module);
void bind_preprocess(nanobind::module_& module);

// Of the CUDA part.
void bind_box_counter(nanobind::module_& module);
void bind_device_array(nanobind::module_& module);
void bind_device_memory(nanobind::module_& module);
void bind_device_stream(nanobind::module_& module);
void bind_device_interop(nanobind::module_& module);
void bind_map_counter(nanobind::module_& module);
void bind_preprocessor(nanobind::module_& module);

}  // namespace edgecount
