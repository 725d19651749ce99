"""A translator of PTX, the assembly that nvcc makes of the kernels, into C++ that a CPU runs."""
