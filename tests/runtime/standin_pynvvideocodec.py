"""A stand-in for PyNvVideoCodec, with the interface of the real module.

Recorded from PyNvVideoCodec 2.2.4: signatures of its compiled module, loaded beside a stub of the
driver; the frames' life and order from PyNvDecoder.cpp and NvDecoder.cpp of 2.0.2. FFmpeg decodes
in place of NVDEC. As there, frames lie in memory that the next call of `Decode` writes over.
"""

from __future__ import annotations

import ctypes
import enum
from typing import Any, ClassVar

import av
import numpy as np

__version__ = "2.2.4"


class PyNvVCException(Exception):  # noqa: N818 (its name)
    """What the library raises."""


class cudaVideoCodec(enum.Enum):  # noqa: N801
    """Codecs, those that are used here."""

    H264 = 4
    HEVC = 8


class Pixel_Format(enum.Enum):  # noqa: N801
    """Formats of frames, those that are used here."""

    NV12 = 1
    P016 = 3


class DisplayDecodeLatencyType(enum.Enum):
    """When frames are given."""

    NATIVE = 0
    LOW = 1
    ZERO = 2


class VideoPacketFlag(enum.IntEnum):
    """Flags of a packet."""

    DISCONTINUITY = 4
    ENDOFPICTURE = 8
    ENDOFSTREAM = 1


class PacketData:
    """A packet: numbers only, as the real one takes nothing else."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        object.__setattr__(self, "_values", dict.fromkeys(_FIELDS, 0))

    def __getattr__(self, name: str) -> Any:
        if name not in _FIELDS:
            raise AttributeError(name)
        return self._values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _FIELDS:
            raise AttributeError(name)
        if not isinstance(value, int):
            raise TypeError("(): incompatible function arguments.")
        self._values[name] = int(value)


_FIELDS = ("key", "pts", "dts", "pos", "bsl", "bsl_data", "duration", "seek_pts", "decode_flag")


class DecodedFrame:
    """A frame in the decoder's memory, by DLPack."""

    def __init__(self, array: Any, timestamp: int, pixels: Pixel_Format) -> None:
        self._array = array
        self.timestamp = timestamp
        self.format = pixels
        self.shape = tuple(array.shape)

    def getPTS(self) -> int:  # noqa: N802
        return self.timestamp

    def __dlpack__(self, stream: Any = 0) -> Any:
        return self._array.__dlpack__(stream=stream)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self._array)


class PyNvDecoder:
    """A decoder. Its packets' flags and its own arguments are kept for the tests."""

    opened: ClassVar[list[PyNvDecoder]] = []
    fails = ""  # what `Decode` raises, if anything
    pixels = Pixel_Format.NV12

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.flags: list[int] = []
        name = {"H264": "h264", "HEVC": "hevc"}[arguments["codec"].name]
        self._context: Any = av.CodecContext.create(name, "r")
        self._context.thread_count = 1
        self._memory: list[Any] = []
        PyNvDecoder.opened.append(self)

    def Decode(self, packet: PacketData) -> list[DecodedFrame]:  # noqa: N802
        if PyNvDecoder.fails:
            raise PyNvVCException(PyNvDecoder.fails)
        self.flags.append(packet.decode_flag)
        if packet.bsl == 0:
            frames = self._context.decode(None)
        else:
            data = av.Packet(ctypes.string_at(packet.bsl_data, packet.bsl))
            data.pts = packet.pts
            frames = self._context.decode(data)
        return [self._lay_out(place, frame) for place, frame in enumerate(frames)]

    def _lay_out(self, place: int, frame: Any) -> DecodedFrame:
        planes = nv12_of(frame)
        if place == len(self._memory):
            self._memory.append(make_memory(planes))
        fill_memory(self._memory[place], planes)
        return DecodedFrame(self._memory[place], frame.pts, PyNvDecoder.pixels)


def CreateDecoder(**arguments: Any) -> PyNvDecoder:  # noqa: N802
    """Open a decoder; arguments as the real function has them."""
    known = {"gpuid", "codec", "cudacontext", "cudastream", "usedevicememory", "latency"}
    unknown = set(arguments) - known
    if unknown:
        raise TypeError(f"CreateDecoder(): incompatible function arguments: {unknown}")
    return PyNvDecoder(**arguments)


def nv12_of(frame: Any) -> np.ndarray:
    """Return a decoded frame as NV12, uint8 (H * 3 / 2, W)."""
    y, u, v = (
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[
            : frame.height // scale, : frame.width // scale
        ]
        for plane, scale in zip(frame.planes, (1, 2, 2), strict=True)
    )
    pairs = np.stack((u, v), 2).reshape(len(u), -1)
    return np.ascontiguousarray(np.concatenate((y, pairs)))


def make_memory(planes: np.ndarray) -> Any:
    """Return memory for a frame; tests on a GPU put their own function here."""
    return np.empty_like(planes)


def fill_memory(memory: Any, planes: np.ndarray) -> None:
    """Write a frame to it."""
    memory[...] = planes
