"""OpenVINO, on CPUs and on the GPUs and NPUs of Intel."""
