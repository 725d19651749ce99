# Whether this machine has an NVIDIA GPU, by what its driver leaves in the file system.

# Sets `result` to the first trace of a GPU's driver below `root` (empty: the machine itself), or to
# nothing.
function(edgecount_find_gpu root result)
  set(traces
    /proc/driver/nvidia/version # servers and desktops, JetPack 7
    /dev/nvidiactl # containers
    /dev/nvhost-gpu /dev/nvgpu /etc/nv_tegra_release # Jetson boards
    /usr/lib/wsl/lib/libcuda.so.1) # Linux under Windows
  set(${result} "" PARENT_SCOPE)
  foreach(trace IN LISTS traces)
    if(EXISTS "${root}${trace}")
      set(${result} "${trace}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()
