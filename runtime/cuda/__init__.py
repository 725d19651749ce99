"""CUDA on this machine: the driver, and what the compiled module was built for."""
