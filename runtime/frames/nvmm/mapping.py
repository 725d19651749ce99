"""The ways by which a buffer of NVMM gets addresses that CUDA can read.

A buffer in CUDA memory, as on desktops, has one already. One of a Jetson's hardware (a surface
array) is mapped: by NvBufSurfaceMapCudaBuffer where it works, as on Thor, else as an EGL image.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final, Protocol

from edgecount.errors import BackendError, InputError
from edgecount.runtime.frames.nvmm.layout import EGL_FRAME_PITCH, EglFrame

if TYPE_CHECKING:
    from edgecount.runtime.frames.nvmm.library import NvmmLibraries

_READ_ONLY: Final = 1  # CU_GRAPHICS_REGISTER_FLAGS_READ_ONLY


class Mapping(Protocol):
    """A mapped buffer.

    Attributes:
        planes: addresses of the planes on the GPU.
    """

    planes: list[int]

    def close(self) -> None:
        """Undo it. Nothing on the GPU may read the buffer any more.

        Raises:
            BackendError: a library fails.
        """


class PlainMapping:
    """The planes of a buffer that lies in CUDA memory."""

    def __init__(self, params: Any) -> None:
        self.planes = _planes(params, params.dataPtr)

    def close(self) -> None:
        """Do nothing: the memory stays its owner's."""


class CudaMapping:
    """The planes of a hardware buffer by NvBufSurfaceMapCudaBuffer.

    Raises:
        InputError: it does not map this buffer here.
    """

    def __init__(self, libraries: NvmmLibraries, surface: int, index: int, params: Any) -> None:
        self._library = libraries.nvbufsurface
        self._surface, self._index = surface, index
        self._context = libraries.context
        with self._context:
            failed = self._library.NvBufSurfaceMapCudaBuffer(surface, index)
        if failed:
            raise InputError("NvBufSurfaceMapCudaBuffer fails")
        buffer = params.mappedAddr.cudaPtr
        if not buffer or not buffer.contents.dataPtr:
            self.close()
            raise InputError("NvBufSurfaceMapCudaBuffer gives no address")
        self.planes = _planes(params, buffer.contents.dataPtr)

    def close(self) -> None:
        """Undo it; see `Mapping.close`."""
        with self._context:
            failed = self._library.NvBufSurfaceUnMapCudaBuffer(self._surface, self._index)
        if failed:
            raise BackendError("NVMM: NvBufSurfaceUnMapCudaBuffer fails: the buffer stays mapped")


class EglMapping:
    """The planes of a hardware buffer by an EGL image.

    Raises:
        InputError: EGL or CUDA does not map this buffer here.
    """

    def __init__(self, libraries: NvmmLibraries, surface: int, index: int, params: Any) -> None:
        self._libraries = libraries
        self._surface, self._index = surface, index
        self._context = libraries.context
        self._resource: ctypes.c_void_p | None = None
        if libraries.nvbufsurface.NvBufSurfaceMapEglImage(surface, index):
            raise InputError("NvBufSurfaceMapEglImage fails")
        try:
            self.planes = self._register(params)
        except InputError:
            self.close()
            raise

    def _register(self, params: Any) -> list[int]:
        if not params.mappedAddr.eglImage:
            raise InputError("NvBufSurfaceMapEglImage gives no image")
        resource, frame = ctypes.c_void_p(), EglFrame()
        with self._context:
            self._call(
                "cuGraphicsEGLRegisterImage",
                ctypes.byref(resource),
                params.mappedAddr.eglImage,
                _READ_ONLY,
            )
            self._resource = resource
            self._call("cuGraphicsResourceGetMappedEglFrame", ctypes.byref(frame), resource, 0, 0)
        planes, pitches = params.planeParams.num_planes, params.planeParams.pitch
        if frame.frameType != EGL_FRAME_PITCH:
            raise InputError("CUDA shows the frame as an array, not as rows of bytes")
        told = frame.width, frame.height, frame.pitch, frame.planeCount
        if told != (params.width, params.height, pitches[0], planes):
            raise InputError(
                f"expected {params.width} x {params.height} pixels in {planes} planes of "
                f"{pitches[0]} bytes a row, as the surface says, got {told[0]} x {told[1]} in "
                f"{told[3]} of {told[2]} from CUDA"
            )
        return [int(address or 0) for address in frame.pPitch[:planes]]

    def close(self) -> None:
        """Undo it; see `Mapping.close`."""
        if self._resource is not None:
            resource, self._resource = self._resource, None
            with self._context:
                code = self._libraries.cuda.cuGraphicsUnregisterResource(resource)
            if code:
                raise BackendError(
                    f"NVMM: cuGraphicsUnregisterResource fails ({self._name(code)}): the buffer "
                    "stays mapped"
                )
        if self._libraries.nvbufsurface.NvBufSurfaceUnMapEglImage(self._surface, self._index):
            raise BackendError("NVMM: NvBufSurfaceUnMapEglImage fails: the buffer stays mapped")

    def _call(self, function: str, *arguments: Any) -> None:
        code = getattr(self._libraries.cuda, function)(*arguments)
        if code:
            raise InputError(f"{function} fails ({self._name(code)})")

    def _name(self, code: int) -> str:
        name = ctypes.c_char_p()
        self._libraries.cuda.cuGetErrorName(code, ctypes.byref(name))
        return name.value.decode() if name.value else f"error {code}"


def map_surface_array(libraries: NvmmLibraries, surface: int, index: int, params: Any) -> Mapping:
    """Map a buffer of a Jetson's hardware.

    On JetPack 7 the library of an Orin has NvBufSurfaceMapCudaBuffer as well, and says that it does
    not work there; on Thor, whose driver is another one, EGL may not.

    Raises:
        InputError: no way works.
    """
    reasons = []
    if libraries.maps_cuda:
        try:
            return CudaMapping(libraries, surface, index, params)
        except InputError as error:
            reasons.append(str(error))
    try:
        return EglMapping(libraries, surface, index, params)
    except InputError as error:
        reasons.append(str(error))
    raise InputError(
        f"NVMM: the buffer cannot be mapped to CUDA: {'; '.join(reasons)}. Without a display unset "
        "DISPLAY, so that EGL takes the GPU itself; or let nvvidconv copy it: "
        "nvvidconv ! video/x-raw, format=NV12 ! appsink"
    )


def _planes(params: Any, address: int | None) -> list[int]:
    """Return the planes' addresses in a buffer that lies at one; 0 without a buffer."""
    planes = params.planeParams
    return [(address + planes.offset[i]) if address else 0 for i in range(planes.num_planes)]
