"""Frames in NVMM, the memory of a Jetson's cameras and decoders, read by the GPU where they lie."""

from edgecount.runtime.frames.nvmm.surface import NvmmSurface

__all__ = ["NvmmSurface"]
