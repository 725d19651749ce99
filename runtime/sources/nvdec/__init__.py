"""Video decoded by NVIDIA's decoder (NVDEC) into frames that stay on the GPU."""

from edgecount.runtime.sources.nvdec.decoder import NvdecDevice, nvdec_device

__all__ = ["NvdecDevice", "nvdec_device"]
