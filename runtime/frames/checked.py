"""Checked frames: BGR or NV12, in the host's memory or on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgecount.errors import InputError
from edgecount.runtime.frames.images import as_bgr, lies_on_gpu, plain_array, shape_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount._ext import DeviceArray, Event, Stream


class NV12Frame:
    """A frame as video decoders and cameras give it: brightness, and colour at half its size.

    Counting it as it is saves the conversion to BGR. Colours are taken as BT.601 in limited range,
    as OpenCV does.

    Args:
        luma: uint8 (H, W), both even. Rows may lie apart, pixels may not.
        chroma: uint8 (H / 2, W), U and V by turns, or (H / 2, W / 2, 2).

    Both are NumPy arrays or, for an engine on a GPU, arrays there (see `EdgeCounter.count`).
    """

    def __init__(self, luma: Any, chroma: Any) -> None:
        self.luma = luma
        self.chroma = chroma

    @classmethod
    def from_buffer(cls, buffer: Any) -> NV12Frame:
        """Take both planes from one array.

        Args:
            buffer: uint8 (H * 3 / 2, W): what OpenCV, FFmpeg and GStreamer call an NV12 image.

        Raises:
            InputError: its height is not a multiple of 3.
        """
        shape = shape_of(buffer)
        if len(shape) != 2 or shape[0] % 3:
            raise InputError(
                f"NV12Frame: expected shape (H * 3 / 2, W), luma above chroma, got {shape}"
            )
        height = shape[0] // 3 * 2
        return cls(buffer[:height], buffer[height:])


class CheckedFrame(NamedTuple):
    """A frame that can be counted as it is.

    Attributes:
        pixels: uint8 (H, W, 3) BGR or, with chroma, (H, W) luma. Rows may lie apart.
        chroma: uint8 (H / 2, W), U and V by turns; None: BGR.
        ready: event on a GPU after which the frame may be read; None: it may be at once.
    """

    pixels: NDArray[np.uint8] | DeviceArray
    chroma: NDArray[np.uint8] | DeviceArray | None = None
    ready: Event | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def cut(self, left: int, top: int, right: int, bottom: int) -> CheckedFrame:
        """Return a view of a part of a frame in the host's memory.

        Args:
            left: first column, in pixels; of NV12 even, as the others are.
            top: first row.
            right: column after the last.
            bottom: row after the last.
        """
        pixels = self.pixels[top:bottom, left:right]
        chroma = None if self.chroma is None else self.chroma[top // 2 : bottom // 2, left:right]
        return CheckedFrame(pixels, chroma)

    @property
    def on_host(self) -> bool:
        """Whether the frame lies in the host's memory."""
        return isinstance(self.pixels, np.ndarray)


def check_host_frame(frame: Any) -> CheckedFrame:
    """Check what `as_bgr` takes, or an `NV12Frame` of NumPy arrays; copy it only to convert it.

    Raises:
        InputError: it cannot be counted.
    """
    if not isinstance(frame, NV12Frame):
        return CheckedFrame(as_bgr(frame))
    planes = frame.luma, frame.chroma
    for name, plane in zip(("luma", "chroma"), planes, strict=True):
        if not isinstance(plane, np.ndarray):
            if lies_on_gpu(plane):
                raise InputError(
                    f"NV12Frame: expected {name} as a NumPy array, got an array on a GPU, and what "
                    "counts it runs on the CPU: copy both planes first, or use a GPU backend such "
                    'as backend="tensorrt"'
                )
            raise InputError(
                f"NV12Frame: expected {name} as a NumPy array, got {type(plane).__name__}"
            )
    luma, chroma = (plain_array(plane) for plane in planes)
    # Some libraries give pairs of U and V; in memory they are the same bytes.
    if chroma.ndim == 3 and chroma.shape[2] == 2:
        chroma = chroma.reshape(chroma.shape[0], -1)
    _check_nv12(luma, chroma)
    return CheckedFrame(_with_whole_rows(luma), _with_whole_rows(chroma))


def check_gpu_frame(frame: Any, stream: Stream) -> CheckedFrame:
    """Check a caller's frame on the GPU, which is not copied; the stream waits until it is there.

    Args:
        frame: an object with ``__dlpack__`` or ``__cuda_array_interface__``, uint8 (H, W, 3) BGR,
            or an `NV12Frame` of two of them.
        stream: work that is queued in it from now on may read the frame.

    Raises:
        InputError: it cannot be counted.
    """
    from edgecount import _ext

    def borrow(array: Any) -> DeviceArray:
        try:
            return _ext.device_array(array, stream)
        except Exception as error:  # whatever the other library raises when it is asked for it
            reason = str(error).removeprefix("source: ")
            raise InputError(
                f"a frame on the GPU ({type(array).__name__}) cannot be taken: {reason}"
            ) from error

    if isinstance(frame, NV12Frame):
        luma, chroma = borrow(frame.luma), borrow(frame.chroma)
        if len(chroma.shape) == 3 and chroma.shape[2] == 2 and chroma.strides[1:] == (2, 1):
            chroma = borrow(_Interleaved(chroma))
        _check_nv12(luma, chroma)
        return CheckedFrame(luma, chroma)
    array = borrow(frame)
    shape, dtype = array.shape, array.dtype
    if dtype != "uint8" or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise InputError(
            "expected a frame on the GPU as uint8 of shape (height, width, 3) in BGR order, got "
            f"{dtype} of shape {shape}"
        )
    # The kernel reads rows with any pitch. On a GPU nothing is copied behind the caller's back.
    if array.strides[1:] != (3, 1) or array.strides[0] < 3 * shape[1]:
        raise InputError(
            "expected a frame on the GPU with contiguous pixels in rows from top to bottom, got "
            f"strides of {array.strides} bytes: make it contiguous"
        )
    return CheckedFrame(array)


class _Interleaved:
    """Chroma (H / 2, W / 2, 2) on a GPU as (H / 2, W)."""

    def __init__(self, chroma: DeviceArray) -> None:
        self._kept = chroma
        height, width, _ = chroma.shape
        self.__cuda_array_interface__ = {
            **chroma.__cuda_array_interface__,
            "shape": (height, 2 * width),
            "strides": (chroma.strides[0], 1),
        }


def _check_nv12(luma: Any, chroma: Any) -> None:
    height, width = luma.shape if len(luma.shape) == 2 else (0, 0)
    kinds = str(luma.dtype), str(chroma.dtype)
    if kinds != ("uint8", "uint8") or tuple(chroma.shape) != (height // 2, width):
        raise InputError(
            "NV12Frame: expected luma as uint8 (H, W) and chroma as uint8 (H / 2, W), got "
            f"{kinds[0]} {tuple(luma.shape)} and {kinds[1]} {tuple(chroma.shape)}"
        )
    # One U and one V belong to four pixels: an odd side would leave some without.
    if height % 2 or width % 2 or not height * width:
        raise InputError(
            f"NV12Frame: expected an even height and width, got {height} x {width}: crop a row or "
            "a column"
        )


def _with_whole_rows(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    ordered = plane.strides[1] == 1 and plane.strides[0] >= plane.shape[1]
    return plane if ordered else np.ascontiguousarray(plane)
