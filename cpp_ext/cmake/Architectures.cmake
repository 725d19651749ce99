# Which GPUs the CUDA part is compiled for, where nobody says so (CMAKE_CUDA_ARCHITECTURES, CUDAARCHS).

# Sets `result` to machine code for every GPU that nvcc knows, and PTX of the newest for those to
# come. `known` is what `nvcc --list-gpu-arch` prints.
function(edgecount_all_architectures known result)
  foreach(architecture 75 80 86 87 89 90 100 110 120)
    if(known MATCHES "compute_${architecture}[^0-9]")
      list(APPEND found ${architecture}-real)
      set(newest ${architecture}-virtual)
    endif()
  endforeach()
  set(${result} ${found} ${newest} PARENT_SCOPE)
endfunction()

# Sets `result` to the GPUs of this machine, and PTX of their newest so that a newer one that takes
# its place works too; to nothing where there is none, or one that nvcc does not know. A build for
# all takes minutes on a board. `native` is what CMake has found, such as "86-real;89-real"; without
# a GPU it may be a message.
function(edgecount_own_architectures known native result)
  set(newest 0)
  foreach(gpu IN LISTS native)
    string(REGEX REPLACE "-real$" "" architecture "${gpu}")
    if(NOT architecture MATCHES "^[0-9]+$" OR NOT known MATCHES "compute_${architecture}[^0-9]")
      set(${result} "" PARENT_SCOPE)
      return()
    endif()
    list(APPEND found ${architecture}-real)
    if(architecture GREATER newest)
      set(newest ${architecture})
    endif()
  endforeach()
  if(newest)
    list(REMOVE_DUPLICATES found)
    list(APPEND found ${newest}-virtual)
  endif()
  set(${result} ${found} PARENT_SCOPE)
endfunction()
