# Decides EDGECOUNT_BUILD_CUDA and enables the language with the right architectures.
include(CheckLanguage)

set(EDGECOUNT_BUILD_CUDA OFF)
if(NOT EDGECOUNT_CUDA MATCHES "^(AUTO|ON|OFF|EMULATED)$")
  message(FATAL_ERROR "EDGECOUNT_CUDA: expected AUTO, ON or OFF, got ${EDGECOUNT_CUDA}")
endif()
if(NOT EDGECOUNT_GPUS MATCHES "^(OWN|ALL)$")
  message(FATAL_ERROR "EDGECOUNT_GPUS: expected OWN or ALL, got ${EDGECOUNT_GPUS}")
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

# A machine with nvcc and without a GPU counts on its CPU: it is spared the minutes that code for
# every GPU takes. Builds for other machines ask for it.
include(cpp_ext/cmake/Gpu.cmake)
edgecount_find_gpu("" edgecount_gpu)
if(EDGECOUNT_CUDA STREQUAL "AUTO" AND NOT edgecount_gpu AND NOT DEFINED CMAKE_CUDA_ARCHITECTURES
    AND NOT DEFINED ENV{CUDAARCHS})
  message(STATUS "edgecount: no NVIDIA GPU here, building the CPU part only (EDGECOUNT_CUDA=ON "
    "builds the CUDA part)")
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

# CMake finds out about the GPUs of this machine while it enables the language.
include(cpp_ext/cmake/Architectures.cmake)
set(own_choice OFF)
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
  set(own_choice ON)
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-arch
    OUTPUT_VARIABLE nvcc_architectures ERROR_QUIET)
  edgecount_all_architectures("${nvcc_architectures}" CMAKE_CUDA_ARCHITECTURES)
endif()

set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
enable_language(CUDA)
if(own_choice AND EDGECOUNT_GPUS STREQUAL "OWN")
  edgecount_own_architectures("${nvcc_architectures}" "${CMAKE_CUDA_ARCHITECTURES_NATIVE}" own)
  if(own)
    set(CMAKE_CUDA_ARCHITECTURES ${own})
  endif()
endif()
# What the extension tells of itself. CMake has its own lists for these three words.
set(EDGECOUNT_CUDA_ARCHITECTURES ${CMAKE_CUDA_ARCHITECTURES})
if(CMAKE_CUDA_ARCHITECTURES STREQUAL "native")
  set(EDGECOUNT_CUDA_ARCHITECTURES ${CMAKE_CUDA_ARCHITECTURES_NATIVE})
elseif(CMAKE_CUDA_ARCHITECTURES STREQUAL "all")
  set(EDGECOUNT_CUDA_ARCHITECTURES ${CMAKE_CUDA_ARCHITECTURES_ALL})
elseif(CMAKE_CUDA_ARCHITECTURES STREQUAL "all-major")
  set(EDGECOUNT_CUDA_ARCHITECTURES ${CMAKE_CUDA_ARCHITECTURES_ALL_MAJOR})
endif()
set(EDGECOUNT_BUILD_CUDA ON)
message(STATUS "edgecount: CUDA part with nvcc ${CMAKE_CUDA_COMPILER_VERSION} for "
  "${EDGECOUNT_CUDA_ARCHITECTURES}")
