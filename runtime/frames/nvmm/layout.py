"""The structures of nvbufsurface.h, in their two layouts, and what its numbers stand for.

`NvBufSurfaceMappedAddr` got two more pointers, and `NvBufSurfaceParams` one, between DeepStream 7.1
and 8.0: on a Jetson between Jetson Linux r36 (JetPack 6) and r39 (JetPack 7.2). What came before
them stands where it stood.

Source: nvbufsurface.h of Jetson Linux r36, and NVIDIA's reference of its structures for r35.6,
r39.2, DeepStream 7.1, 8.0 and 9.1. For r38 (JetPack 7.0 and 7.1) no reference was at hand, but
DeepStream 8.0, which belongs to it, has the newer layout.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final, NamedTuple

_PLANES: Final = 4
_PADDING: Final = 4


class PlaneParams(ctypes.Structure):
    """Sizes, pitches and offsets of a buffer's planes: NvBufSurfacePlaneParams."""

    _fields_ = (
        ("num_planes", ctypes.c_uint32),
        ("width", ctypes.c_uint32 * _PLANES),
        ("height", ctypes.c_uint32 * _PLANES),
        ("pitch", ctypes.c_uint32 * _PLANES),
        ("offset", ctypes.c_uint32 * _PLANES),
        ("psize", ctypes.c_uint32 * _PLANES),
        ("bytesPerPix", ctypes.c_uint32 * _PLANES),
        ("_reserved", ctypes.c_void_p * (_PADDING * _PLANES)),
    )


class CudaBuffer(ctypes.Structure):
    """Addresses of a buffer that is mapped to CUDA: NvBufSurfaceCudaBuffer."""

    _fields_ = (
        ("basePtr", ctypes.c_void_p),
        ("dataPtr", ctypes.c_void_p),
        ("extMem", ctypes.c_void_p),
        ("mipmap", ctypes.c_void_p),
        ("reserved", ctypes.c_uint8 * 64),
    )


class _MappedAddr(ctypes.Structure):
    _fields_ = (
        ("addr", ctypes.c_void_p * _PLANES),
        ("eglImage", ctypes.c_void_p),
        ("_reserved", ctypes.c_void_p * _PADDING),
    )


class _MappedAddrWithCuda(ctypes.Structure):
    _fields_ = (
        ("addr", ctypes.c_void_p * _PLANES),
        ("eglImage", ctypes.c_void_p),
        ("nvmmPtr", ctypes.c_void_p),
        ("cudaPtr", ctypes.POINTER(CudaBuffer)),
        ("_reserved", ctypes.c_void_p * _PADDING),
    )


_PARAMS: Final[Any] = (
    ("width", ctypes.c_uint32),
    ("height", ctypes.c_uint32),
    ("pitch", ctypes.c_uint32),
    ("colorFormat", ctypes.c_uint32),
    ("layout", ctypes.c_uint32),
    ("bufferDesc", ctypes.c_uint64),
    ("dataSize", ctypes.c_uint32),
    ("dataPtr", ctypes.c_void_p),
    ("planeParams", PlaneParams),
)


class SurfaceParams(ctypes.Structure):
    """One buffer up to DeepStream 7.1 and Jetson Linux r36: NvBufSurfaceParams."""

    _fields_ = (
        *_PARAMS,
        ("mappedAddr", _MappedAddr),
        ("paramex", ctypes.c_void_p),
        ("_reserved", ctypes.c_void_p * (_PADDING - 1)),
    )


class SurfaceParamsWithCuda(ctypes.Structure):
    """One buffer from DeepStream 8.0 on, and in Jetson Linux r39: NvBufSurfaceParams."""

    _fields_ = (
        *_PARAMS,
        ("mappedAddr", _MappedAddrWithCuda),
        ("paramex", ctypes.c_void_p),
        ("cudaBuffer", ctypes.c_void_p),
        ("_reserved", ctypes.c_void_p * _PADDING),
    )


class Surface(ctypes.Structure):
    """A batch of buffers, as far as both layouts agree: the head of NvBufSurface."""

    _fields_ = (
        ("gpuId", ctypes.c_uint32),
        ("batchSize", ctypes.c_uint32),
        ("numFilled", ctypes.c_uint32),
        ("isContiguous", ctypes.c_bool),
        ("memType", ctypes.c_uint32),
        ("surfaceList", ctypes.c_void_p),
    )


class EglFrame(ctypes.Structure):
    """A mapped EGL image: CUeglFrame of cudaEGL.h."""

    _fields_ = (
        ("pPitch", ctypes.c_void_p * 3),
        ("width", ctypes.c_uint32),
        ("height", ctypes.c_uint32),
        ("depth", ctypes.c_uint32),
        ("pitch", ctypes.c_uint32),
        ("planeCount", ctypes.c_uint32),
        ("numChannels", ctypes.c_uint32),
        ("frameType", ctypes.c_int),
        ("eglColorFormat", ctypes.c_int),
        ("cuFormat", ctypes.c_int),
    )


EGL_FRAME_PITCH: Final = 1  # CU_EGL_FRAME_TYPE_PITCH
PITCH_LINEAR: Final = 0  # NVBUF_LAYOUT_PITCH

# NvBufSurfaceMemType
SURFACE_ARRAY: Final = 4
CUDA_MEMORY: Final = {1: "pinned", 2: "device", 3: "unified"}
MEMORY_NAMES: Final = {
    0: "NVBUF_MEM_DEFAULT",
    5: "NVBUF_MEM_HANDLE",
    6: "NVBUF_MEM_SYSTEM",
}


class PixelLayout(NamedTuple):
    """The order of a color format's bytes.

    Attributes:
        name: name of the format, as GStreamer and `PixelFrame` have it, or "NV12".
        channels: bytes of a pixel in the first plane.
        matrix: of NV12, "bt601" or "bt709".
        full_range: of NV12, whether luma goes from 0 to 255.
    """

    name: str
    channels: int
    matrix: str = ""
    full_range: bool = False


# NvBufSurfaceColorFormat, those that can be counted as they are.
LAYOUTS: Final = {
    1: PixelLayout("grey", 1),
    6: PixelLayout("NV12", 1, "bt601"),
    7: PixelLayout("NV12", 1, "bt601", full_range=True),
    19: PixelLayout("rgba", 4),
    20: PixelLayout("bgra", 4),
    23: PixelLayout("rgbx", 4),
    24: PixelLayout("bgrx", 4),
    27: PixelLayout("rgb", 3),
    28: PixelLayout("bgr", 3),
    33: PixelLayout("NV12", 1, "bt709"),
    34: PixelLayout("NV12", 1, "bt709", full_range=True),
}
