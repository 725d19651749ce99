# The CUDA part of the kernels.
if(NOT EDGECOUNT_BUILD_CUDA)
  target_sources(edgecount_kernels PRIVATE src/no_device.cpp)
  return()
endif()

set(EDGECOUNT_CUDA_KERNELS
  cuda/count_boxes.cu
  cuda/count_maps.cu
  cuda/preprocess.cu)
target_sources(edgecount_kernels PRIVATE
  cuda/context.cpp
  cuda/device.cpp
  cuda/memory.cpp
  cuda/stream.cpp
  ${EDGECOUNT_CUDA_KERNELS})

if(EDGECOUNT_EMULATION)
  # The emulation's headers are found in the place of CUDA's.
  target_include_directories(edgecount_kernels BEFORE PRIVATE ${EDGECOUNT_EMULATION})
  target_compile_features(edgecount_kernels PRIVATE cxx_std_20)
  set_source_files_properties(${EDGECOUNT_CUDA_KERNELS} PROPERTIES
    LANGUAGE CXX COMPILE_OPTIONS -Wno-unknown-pragmas)
  return()
endif()

find_package(CUDAToolkit REQUIRED)
target_link_libraries(edgecount_kernels PRIVATE CUDA::cudart_static)
target_compile_features(edgecount_kernels PRIVATE cuda_std_17)
# As on the CPU: fused multiply-adds would give other bits. The architectures are compiled side by
# side.
target_compile_options(edgecount_kernels PRIVATE
  $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false>
  $<$<COMPILE_LANGUAGE:CUDA>:--threads=0>)
if(NOT MSVC)
  target_compile_options(edgecount_kernels PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wshadow>)
endif()
