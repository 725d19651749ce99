"""Surfaces of NVMM as frames that an engine on the GPU counts where they lie."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount.errors import InputError
from edgecount.runtime.frames.nvmm.layout import (
    CUDA_MEMORY,
    LAYOUTS,
    MEMORY_NAMES,
    PITCH_LINEAR,
    SURFACE_ARRAY,
    PixelLayout,
    Surface,
)
from edgecount.runtime.frames.nvmm.library import NvmmLibraries, load_libraries
from edgecount.runtime.frames.nvmm.mapping import PlainMapping, map_surface_array
from edgecount.runtime.frames.pixel_formats import NV12Frame, PixelFrame

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgecount.runtime.frames.nvmm.mapping import Mapping

_TO_PITCH = (
    "nvvidconv makes one: nvvidconv bl-output=false ! video/x-raw(memory:NVMM), format=NV12, or "
    "format=RGBA"
)


class NvmmSurface:
    """A frame in NVMM, mapped to the GPU. A context manager: leaving it unmaps the frame.

    Frames of it share the surface's memory: count them before the surface is closed or handed back
    to the camera or decoder. Mapping takes longer than counting may. The buffers of a camera come
    again and again: who keeps a surface open for each file descriptor maps each once.

    Args:
        address: address of an NvBufSurface in this process.
        index: number of the buffer in its batch.

    Attributes:
        width: of the frame in pixels.
        height: of the frame in pixels.
        memory: "surface array" of a Jetson's hardware, or the kind of CUDA memory.

    Raises:
        InputError: a library is missing, or the surface cannot be counted as it is.
    """

    _held: Any = None  # the memory in which the surface's description lies

    def __init__(self, address: int, index: int = 0) -> None:
        self._open(load_libraries(), address, index)

    @classmethod
    def from_fd(cls, fd: int, index: int = 0) -> Self:
        """Open the surface of a DMA-BUF's file descriptor, of a buffer of this process.

        Raises:
            InputError: there is none, and see `NvmmSurface`.
        """
        libraries = load_libraries()
        address = ctypes.c_void_p()
        failed = libraries.nvbufsurface.NvBufSurfaceFromFd(fd, ctypes.byref(address))
        if failed or address.value is None:
            raise InputError(
                f"NVMM: expected the file descriptor of a buffer in NVMM, got {fd}, which "
                "NvBufSurfaceFromFd does not know"
            )
        surface = cls.__new__(cls)
        surface._open(libraries, address.value, index)
        return surface

    @classmethod
    def from_buffer(cls, content: Any, index: int = 0) -> Self:
        """Open the surface in a mapped buffer of GStreamer in memory:NVMM.

        Args:
            content: what `Gst.Buffer.map` gives as `data`: the NvBufSurface itself, not pixels. The
                buffer must stay mapped as long as the surface is open.
            index: number of the buffer in its batch.

        Raises:
            InputError: it is too short for one, and see `NvmmSurface`.
        """
        held = np.frombuffer(content, np.uint8)
        if held.nbytes < ctypes.sizeof(Surface):
            raise InputError(
                f"NVMM: expected an NvBufSurface of {ctypes.sizeof(Surface)} bytes or more, got "
                f"{held.nbytes}: is the buffer in memory:NVMM?"
            )
        surface = cls.__new__(cls)
        surface._held = held  # a copy where GStreamer's binding gives bytes
        surface._open(load_libraries(), int(held.ctypes.data), index)
        return surface

    def _open(self, libraries: NvmmLibraries, address: object, index: int) -> None:
        if not isinstance(address, int) or address <= 0:
            raise InputError(f"NVMM: expected the address of an NvBufSurface, got {address!r}")
        head = Surface.from_address(address)
        if not head.surfaceList or not 0 <= index < max(head.batchSize, head.numFilled):
            raise InputError(
                f"NVMM: expected a surface with a buffer {index}, got one of {head.batchSize} "
                f"buffers"
            )
        size = ctypes.sizeof(libraries.params)
        params: Any = libraries.params.from_address(head.surfaceList + index * size)
        self._layout = _check_layout(params)
        self.width, self.height = int(params.width), int(params.height)
        self.memory = _memory_of(head, params)
        self._mapping: Mapping | None = (
            map_surface_array(libraries, address, index, params)
            if self.memory == "surface array"
            else PlainMapping(params)
        )
        planes = params.planeParams
        self._planes = [
            _Plane(self, self._mapping.planes[i], int(planes.height[i]), int(planes.pitch[i]))
            for i in range(planes.num_planes)
        ]
        if not all(plane.address for plane in self._planes):
            self.close()
            raise InputError("NVMM: the surface has a plane without an address on the GPU")

    def frame(self) -> NV12Frame | PixelFrame:
        """Return the frame, whose pixels stay where they are.

        Raises:
            InputError: the surface is closed.
        """
        if self._mapping is None:
            raise InputError("NVMM: the surface is closed: take frames before")
        width, layout = self.width, self._layout
        if layout.name == "NV12":
            luma, chroma = (plane.array((plane.rows, width)) for plane in self._planes)
            return NV12Frame(luma, chroma, layout.matrix, layout.full_range)
        (plane,) = self._planes
        shape = (
            (plane.rows, width) if layout.channels == 1 else (plane.rows, width, layout.channels)
        )
        return PixelFrame(plane.array(shape), layout.name)

    def close(self) -> None:
        """Unmap the frame. What counts it must be done; a second call does nothing.

        Raises:
            BackendError: a library fails.
        """
        mapping, self._mapping = self._mapping, None
        if mapping is not None:
            mapping.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Plane:
    """Rows of bytes on the GPU, which keep their surface.

    Attributes:
        address: of the first row.
        rows: number of them.
    """

    def __init__(self, surface: NvmmSurface, address: int, rows: int, pitch: int) -> None:
        self._surface = surface
        self._pitch = pitch
        self.address = address
        self.rows = rows

    def array(self, shape: tuple[int, ...]) -> _Pixels:
        """Return it as an array of a shape, (rows, columns) or (rows, columns, channels)."""
        inner = (1,) if len(shape) == 2 else (shape[2], 1)
        return _Pixels(self, shape, (self._pitch, *inner))


class _Pixels:
    """An array over a plane, by the CUDA array interface."""

    def __init__(self, plane: _Plane, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self._plane = plane
        self.shape = shape
        self.__cuda_array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "shape": shape,
            "strides": strides,
            "data": (plane.address, True),
        }


def _check_layout(params: Any) -> PixelLayout:
    """Return how the pixels of a buffer lie."""
    layout = LAYOUTS.get(params.colorFormat)
    if layout is None:
        raise InputError(
            "NVMM: expected a surface in 8-bit NV12 (BT.601 or BT.709), RGBA, BGRx, RGB, BGR or "
            f"grey, got NvBufSurface's color format {params.colorFormat}: {_TO_PITCH}"
        )
    if params.layout != PITCH_LINEAR:
        raise InputError(
            "NVMM: expected a pitch-linear surface, got a block-linear one, as decoders and "
            f"cameras give it, whose pixels have no rows: {_TO_PITCH}"
        )
    planes = params.planeParams
    # The chroma plane counts pairs of U and V.
    halves = [(params.width, params.height), (params.width // 2, params.height // 2)]
    expected = halves if layout.name == "NV12" else halves[:1]
    sizes = [(planes.width[i], planes.height[i]) for i in range(min(planes.num_planes, 4))]
    wide = all(planes.pitch[i] >= params.width * layout.channels for i in range(len(expected)))
    if sizes != expected or not wide:
        raise InputError(
            f"NVMM: expected planes of {expected} in a {layout.name} surface of "
            f"{params.width} x {params.height} pixels, got {sizes} with rows of "
            f"{list(planes.pitch[: len(sizes)])} bytes"
        )
    return layout


def _memory_of(head: Surface, params: Any) -> str:
    """Return where a surface lies: "surface array", or the kind of CUDA memory."""
    kind = int(head.memType)
    if kind == SURFACE_ARRAY:
        return "surface array"
    if kind in CUDA_MEMORY:
        if not params.dataPtr:
            raise InputError("NVMM: the surface lies in CUDA memory, and has no address")
        return CUDA_MEMORY[kind]
    raise InputError(
        "NVMM: expected a surface in CUDA memory or of a Jetson's hardware (a surface array), got "
        f"{MEMORY_NAMES.get(kind, f'memory of type {kind}')}"
    )
