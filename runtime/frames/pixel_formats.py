"""The pixel formats of frames, and the wrappers by which a caller names one."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias, cast

import numpy as np

from edgecount.errors import InputError
from edgecount.runtime.frames.images import lies_on_gpu, shape_of

PixelFormat: TypeAlias = Literal[
    "bgr",
    "rgb",
    "bgrx",
    "rgbx",
    "grey",
    "nv12_bt601",
    "nv12_bt601_full",
    "nv12_bt709",
    "nv12_bt709_full",
]
"""How the bytes of a frame are read: ``x`` is a fourth byte that is not looked at."""

_ORDERS: Final[dict[str, PixelFormat]] = {
    "bgr": "bgr",
    "rgb": "rgb",
    "bgra": "bgrx",
    "bgrx": "bgrx",
    "rgba": "rgbx",
    "rgbx": "rgbx",
    "grey": "grey",
    "gray": "grey",
}
_CHANNELS: Final = {"bgr": 3, "rgb": 3, "bgrx": 4, "rgbx": 4, "grey": 1}
_MATRICES: Final = ("bt601", "bt709")


class PixelFrame:
    """A frame whose pixels are not BGR, with the order of their channels.

    The counts are those of the same frame as BGR: alpha is dropped, and grey stands for three equal
    channels.

    Args:
        pixels: uint8 (H, W, 3), (H, W, 4) or, of grey, (H, W) or (H, W, 1): a NumPy array or, for
            an engine on a GPU, an array there (see `EdgeCounter.count`). Rows may lie apart. On the
            host also uint16 and bool, as in a bare array.
        order: "bgr", "rgb", "bgra", "bgrx", "rgba", "rgbx" or "grey", in lower or upper case.

    Raises:
        InputError: the order is another.
    """

    def __init__(self, pixels: Any, order: str) -> None:
        known = _ORDERS.get(str(order).lower())
        if known is None:
            raise InputError(
                f"PixelFrame: expected an order of {', '.join(_ORDERS)}, got {order!r}; video in "
                "NV12 goes into NV12Frame"
            )
        self.pixels = pixels
        self.order = order
        self.format: PixelFormat = known


class NV12Frame:
    """A frame as video decoders and cameras give it: brightness, and colour at half its size.

    Counting it as it is saves the conversion to BGR. The defaults are what OpenCV takes every NV12
    image for, so counts equal those of its BGR. HD video is mostly BT.709 in limited range, and
    cameras that send JPEG are BT.601 in full range; with the wrong matrix colours shift, with the
    wrong range the contrast does.

    Args:
        luma: uint8 (H, W) or (H, W, 1), both even. Rows may lie apart, pixels may not.
        chroma: uint8 (H / 2, W), U and V by turns, or (H / 2, W / 2, 2).
        matrix: "bt601" or "bt709", by which colours became luma and chroma.
        full_range: whether luma goes from 0 to 255, not from 16 to 235.

    Both planes are NumPy arrays or, for an engine on a GPU, arrays there (see `EdgeCounter.count`).

    Attributes:
        buffer: the array on a GPU that holds both planes, if `from_buffer` was given one: it is
            cut only when it is counted, as decoders give frames that cannot be cut. The planes are
            None then.

    Raises:
        InputError: the matrix is another, or full_range no bool.
    """

    def __init__(
        self, luma: Any, chroma: Any, matrix: str = "bt601", full_range: bool = False
    ) -> None:
        if matrix not in _MATRICES:
            raise InputError(f'NV12Frame: expected the matrix "bt601" or "bt709", got {matrix!r}')
        if not isinstance(full_range, (bool, np.bool_)):
            raise InputError(f"NV12Frame: expected full_range as True or False, got {full_range!r}")
        self.luma = luma
        self.chroma = chroma
        self.buffer: Any = None
        self.matrix = matrix
        self.full_range = bool(full_range)

    @classmethod
    def from_buffer(cls, buffer: Any, matrix: str = "bt601", full_range: bool = False) -> NV12Frame:
        """Take both planes from one array.

        Args:
            buffer: uint8 (H * 3 / 2, W): what OpenCV, FFmpeg and GStreamer call an NV12 image, or a
                frame of PyNvVideoCodec.
            matrix: see `NV12Frame`, as for full_range.
            full_range: whether luma goes from 0 to 255.

        Raises:
            InputError: its height is not a multiple of 3, which of an array on a GPU is known when
                it is counted.
        """
        if lies_on_gpu(buffer):
            frame = cls(None, None, matrix, full_range)
            frame.buffer = buffer
            return frame
        return cls(*cut_planes(buffer), matrix, full_range)

    @property
    def format(self) -> PixelFormat:
        """How its bytes are read."""
        return cast("PixelFormat", f"nv12_{self.matrix}" + ("_full" if self.full_range else ""))


def cut_planes(buffer: Any) -> tuple[Any, Any]:
    """Return the luma and the chroma of an array (H * 3 / 2, W) that has the one above the other.

    Raises:
        InputError: it has another shape, or cannot be cut.
    """
    shape = shape_of(buffer)
    if len(shape) != 2 or shape[0] % 3:
        raise InputError(
            f"NV12Frame: expected shape (H * 3 / 2, W), luma above chroma, got {shape}"
        )
    if not hasattr(buffer, "__getitem__"):
        raise InputError(
            f"NV12Frame: expected an array, got a {type(buffer).__name__} in the host's memory, "
            "which cannot be cut into planes: pass numpy.from_dlpack(frame)"
        )
    height = shape[0] // 3 * 2
    return buffer[:height], buffer[height:]


def planes_of(frame: Any) -> tuple[Any, ...]:
    """Return the arrays that a caller's frame is made of: two planes of NV12, otherwise one."""
    if isinstance(frame, NV12Frame):
        return (frame.luma, frame.chroma) if frame.buffer is None else (frame.buffer,)
    return (frame.pixels,) if isinstance(frame, PixelFrame) else (frame,)


def frame_shape(pixel_format: PixelFormat, height: int, width: int) -> tuple[int, ...]:
    """Return the shape of a frame's bytes as one array: of NV12 with the chroma below the luma."""
    channels = _CHANNELS.get(pixel_format)
    if channels is None:
        return height * 3 // 2, width
    return (height, width) if channels == 1 else (height, width, channels)


def natural_strides(pixel_format: PixelFormat) -> tuple[int, ...]:
    """Return the bytes from one column and from one channel to the next."""
    channels = _CHANNELS.get(pixel_format, 1)
    return (1,) if channels == 1 else (channels, 1)
