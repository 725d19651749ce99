# How the kernels are compiled.
include(CheckCXXSourceCompiles)

if(MSVC)
  target_compile_options(edgecount_kernels PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:/W4;/fp:precise>)
else()
  # Fused multiply-adds would make results depend on the processor and differ from the CUDA twin.
  target_compile_options(edgecount_kernels PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-ffp-contract=off;-O3>)
endif()

# One binary for every x86-64: the kernels are compiled for the baseline and for AVX2 (measured,
# AVX-512 is no faster), and the processor decides when they are first used. Other processors have
# one instruction set and get the plain kernels.
set(EDGECOUNT_AVX2_FLAGS -mavx2 -mbmi -mbmi2 -mf16c -mpopcnt)
string(JOIN " " CMAKE_REQUIRED_FLAGS ${EDGECOUNT_AVX2_FLAGS})
check_cxx_source_compiles("
  #include <immintrin.h>
  int main() {
    __builtin_cpu_init();
    return __builtin_cpu_supports(\"f16c\") && _mm256_movemask_epi8(_mm256_set1_epi8(0)) != 0;
  }
" EDGECOUNT_HAS_AVX2)
unset(CMAKE_REQUIRED_FLAGS)
if(EDGECOUNT_HAS_AVX2)
  target_compile_definitions(edgecount_kernels PRIVATE EDGECOUNT_HAS_AVX2)
  target_sources(edgecount_kernels PRIVATE src/kernels_avx2.cpp)
  set_source_files_properties(src/kernels_avx2.cpp PROPERTIES
    COMPILE_OPTIONS "${EDGECOUNT_AVX2_FLAGS}")
endif()
