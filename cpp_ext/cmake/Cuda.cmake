# Decides EDGECOUNT_BUILD_CUDA and enables the language with the right architectures.
include(CheckLanguage)

set(EDGECOUNT_BUILD_CUDA OFF)
if(NOT EDGECOUNT_CUDA MATCHES "^(AUTO|ON|OFF|EMULATED)$")
  message(FATAL_ERROR "EDGECOUNT_CUDA: expected AUTO, ON or OFF, got ${EDGECOUNT_CUDA}")
endif()
# For tests without a GPU: a C++ compiler builds the CUDA part against headers that emulate CUDA's.
if(EDGECOUNT_CUDA STREQUAL "EMULATED")
  if(NOT EXISTS "${EDGECOUNT_EMULATION}/cuda_runtime.h")
    message(FATAL_ERROR "EDGECOUNT_CUDA=EMULATED: expected the folder of the emulation's headers "
      "in EDGECOUNT_EMULATION, got \"${EDGECOUNT_EMULATION}\"")
  endif()
  set(EDGECOUNT_BUILD_CUDA ON)
  message(STATUS "edgecount: CUDA part emulated by ${EDGECOUNT_EMULATION}")
  return()
endif()
unset(EDGECOUNT_EMULATION)
unset(EDGECOUNT_EMULATION CACHE)
if(EDGECOUNT_CUDA STREQUAL "OFF")
  message(STATUS "edgecount: CUDA part off (EDGECOUNT_CUDA=OFF)")
  return()
endif()

# Compiles and links a test program, so that an nvcc that cannot use the host's compiler is found
# out here and not in the middle of the build.
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(EDGECOUNT_CUDA STREQUAL "ON")
    message(FATAL_ERROR
      "EDGECOUNT_CUDA=ON: expected a working nvcc, found none. Install the CUDA toolkit, name its "
      "compiler with CUDACXX=/path/to/nvcc, or build without it (EDGECOUNT_CUDA=AUTO or OFF).")
  endif()
  message(STATUS "edgecount: no working nvcc, building the CPU part only")
  return()
endif()

# Machine code for every GPU that this nvcc knows, and PTX of the newest for those to come.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-arch
    OUTPUT_VARIABLE nvcc_architectures ERROR_QUIET)
  foreach(architecture 75 80 86 87 89 90 100 110 120)
    if(nvcc_architectures MATCHES "compute_${architecture}[^0-9]")
      list(APPEND CMAKE_CUDA_ARCHITECTURES ${architecture}-real)
      set(newest ${architecture})
    endif()
  endforeach()
  if(DEFINED newest)
    list(APPEND CMAKE_CUDA_ARCHITECTURES ${newest}-virtual)
  endif()
endif()

set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
enable_language(CUDA)
set(EDGECOUNT_BUILD_CUDA ON)
message(STATUS "edgecount: CUDA part with nvcc ${CMAKE_CUDA_COMPILER_VERSION} for "
  "${CMAKE_CUDA_ARCHITECTURES}")
