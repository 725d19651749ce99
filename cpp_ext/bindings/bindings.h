// The parts of the extension module.
#pragma once

#include <nanobind/nanobind.h>

namespace edgecount {

void bind_count_maps(nanobind::module_& module);
void bind_preprocess(nanobind::module_& module);

}  // namespace edgecount
