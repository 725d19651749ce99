"""Crops cut and changed on the device that trains, for GPUs that outrun the CPU's threads.

The CPU draws where each crop lies and what is done to it, as it does for its own crops and from the
same random numbers; the device moves the pixels. Only the noise is the device's own.
"""
