"""Checked frames of every pixel format, in the host's memory or on a GPU."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgecount.errors import InputError
from edgecount.runtime.frames.images import as_bgr, eight_bits, lies_on_gpu, plain_array
from edgecount.runtime.frames.pixel_formats import (
    NV12Frame,
    PixelFormat,
    PixelFrame,
    cut_planes,
    frame_shape,
    natural_strides,
    planes_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount._ext import DeviceArray, Event, Stream

_PLANES = ("pixels", "luma", "chroma", "buffer")  # of the wrappers of arrays


class CheckedFrame(NamedTuple):
    """A frame that can be counted as it is.

    Attributes:
        pixels: uint8 (H, W, 3), (H, W, 4) or, of grey and of NV12's luma, (H, W). Rows may lie
            apart.
        chroma: uint8 (H / 2, W), U and V by turns; None: not NV12.
        ready: event on a GPU after which the frame may be read; None: it may be at once.
        format: how the bytes are read.
    """

    pixels: NDArray[np.uint8] | DeviceArray
    chroma: NDArray[np.uint8] | DeviceArray | None = None
    ready: Event | None = None
    format: PixelFormat = "bgr"

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
        return self._replace(pixels=pixels, chroma=chroma)

    def copied(self) -> CheckedFrame:
        """Return a frame in the host's memory in memory of its own; one on a GPU as it is."""
        if not isinstance(self.pixels, np.ndarray):
            return self
        chroma = self.chroma.copy() if isinstance(self.chroma, np.ndarray) else None
        return self._replace(pixels=self.pixels.copy(), chroma=chroma)

    @property
    def device(self) -> int | None:
        """Number of the GPU that the frame lies on; None: in the host's memory."""
        return None if isinstance(self.pixels, np.ndarray) else self.pixels.device

    @property
    def on_host(self) -> bool:
        """Whether the frame lies in the host's memory."""
        return isinstance(self.pixels, np.ndarray)


def own_image(image: Any) -> Any:
    """Return a copy of a frame in the host's memory; any other object as it is."""
    if isinstance(image, np.ndarray):
        return image.copy()
    planes = [name for name in _PLANES if getattr(image, name, None) is not None]
    if not isinstance(image, (PixelFrame, NV12Frame)) or not all(
        isinstance(getattr(image, name), np.ndarray) for name in planes
    ):
        return image
    twin = copy.copy(image)
    for name in planes:
        setattr(twin, name, getattr(image, name).copy())
    return twin


def check_host_frame(frame: Any) -> CheckedFrame:
    """Check what `as_bgr` takes, or a wrapper of NumPy arrays; copy it only to convert it.

    Raises:
        InputError: it cannot be counted.
    """
    if isinstance(frame, PixelFrame):
        pixels = _without_axis_of_one(_host_plane("PixelFrame", "pixels", frame.pixels))
        _check_pixels(frame, pixels, ("uint8", "uint16", "bool"))
        pixels = eight_bits(pixels)
        return CheckedFrame(_with_whole_rows(pixels, frame.format), format=frame.format)
    if not isinstance(frame, NV12Frame):
        return CheckedFrame(as_bgr(frame))
    if frame.buffer is not None:
        _host_plane("NV12Frame", "the buffer", frame.buffer)  # on a GPU, where it is refused
    luma = _without_axis_of_one(_host_plane("NV12Frame", "luma", frame.luma))
    chroma = _without_axis_of_one(_host_plane("NV12Frame", "chroma", frame.chroma))
    # Some libraries give pairs of U and V; in memory they are the same bytes.
    if chroma.ndim == 3 and chroma.shape[2] == 2:
        chroma = chroma.reshape(chroma.shape[0], -1)
    _check_nv12(luma, chroma)
    luma, chroma = (_with_whole_rows(plane, frame.format) for plane in (luma, chroma))
    return CheckedFrame(luma, chroma, format=frame.format)


def check_gpu_frame(frame: Any, stream: Stream) -> CheckedFrame:
    """Check a caller's frame on the GPU, which is not copied; the stream waits until it is there.

    Args:
        frame: an object with ``__dlpack__`` or ``__cuda_array_interface__``, uint8 (H, W, 3) BGR,
            or a wrapper of such objects.
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
        planes = [_without_axis_of_one(borrow(plane)) for plane in planes_of(frame)]
        # What has been taken over can be cut, whatever the other library can do.
        luma, chroma = planes if frame.buffer is None else cut_planes(planes[0])
        if len(chroma.shape) == 3 and chroma.shape[2] == 2 and chroma.strides[1:] == (2, 1):
            chroma = borrow(_Interleaved(chroma))
        _check_nv12(luma, chroma)
        for plane in (luma, chroma):
            _check_rows(plane, frame.format)
        return CheckedFrame(luma, chroma, format=frame.format)
    if isinstance(frame, PixelFrame):
        array = _without_axis_of_one(borrow(frame.pixels))
        _check_pixels(frame, array)
        checked = CheckedFrame(array, format=frame.format)
    else:
        array = borrow(frame)
        _check_bare(array)
        checked = CheckedFrame(array)
    _check_order(planes_of(frame)[0], checked.format)
    _check_rows(array, checked.format)
    return checked


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


def _host_plane(wrapper: str, name: str, plane: Any) -> NDArray[Any]:
    """Return an array in the host's memory that a wrapper was given."""
    if isinstance(plane, np.ndarray):
        return plain_array(plane)
    if lies_on_gpu(plane):
        raise InputError(
            f"{wrapper}: expected {name} as a NumPy array, got an array on a GPU, and what counts "
            "it runs on the CPU: copy all of it first, or use a GPU backend such as "
            'backend="tensorrt"'
        )
    raise InputError(f"{wrapper}: expected {name} as a NumPy array, got {type(plane).__name__}")


def _without_axis_of_one(plane: Any) -> Any:
    """Return (H, W, 1) as (H, W), which is how some libraries give luma and grey."""
    return plane[:, :, 0] if len(plane.shape) == 3 and plane.shape[2] == 1 else plane


def _check_pixels(frame: PixelFrame, pixels: Any, kinds: Sequence[str] = ("uint8",)) -> None:
    shape = tuple(pixels.shape)
    form = frame_shape(frame.format, *(*shape, 0, 0)[:2])
    kind = pixels.dtype.name if isinstance(pixels, np.ndarray) else str(pixels.dtype)
    if kind not in kinds or shape != form or 0 in shape:
        expected = ", ".join(("height", "width", *map(str, form[2:])))
        raise InputError(
            f"PixelFrame: expected {' or '.join(kinds)} of shape ({expected}) for the order "
            f"{frame.order!r}, got {pixels.dtype} of shape {shape}"
        )


def _check_bare(array: DeviceArray) -> None:
    """Take no other form of a bare array on a GPU: what it may mean differs from what NumPy's do.

    Four channels are BGRA where they come from OpenCV, and RGBA where they come from a camera or a
    decoder on a GPU; one plane may be grey, or luma above chroma.
    """
    shape = array.shape
    if array.dtype == "uint8" and len(shape) == 3 and shape[2] == 3 and 0 not in shape:
        return
    message = (
        "expected a frame on the GPU as uint8 of shape (height, width, 3) in BGR order, got "
        f"{array.dtype} of shape {shape}"
    )
    if array.dtype == "uint8" and 0 not in shape:
        if len(shape) == 3 and shape[2] == 4:
            message += ': name its order, PixelFrame(frame, "rgba") or PixelFrame(frame, "bgra")'
        elif len(shape) == 2 or (len(shape) == 3 and shape[2] == 1):
            message += (
                ': name what it is, PixelFrame(frame, "grey") or NV12Frame.from_buffer(frame)'
            )
    raise InputError(message)


def _check_order(array: Any, taken: PixelFormat) -> None:
    """Refuse to exchange red and blue where an array tells its format, as jetson-utils' do."""
    told = getattr(array, "format", None)
    if not isinstance(told, str):
        return
    for order, other in (("rgb", "bgr"), ("bgr", "rgb")):
        if told.lower().startswith(order) and taken.startswith(other):
            alpha = "a" if taken.endswith("x") else ""
            raise InputError(
                f"expected a frame on the GPU in {taken[:3].upper()} order, got a "
                f"{type(array).__name__} of format {told!r}: pass it as "
                f'PixelFrame(frame, "{order}{alpha}")'
            )


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


def _has_whole_rows(plane: Any, pixel_format: PixelFormat) -> bool:
    """Return whether pixels lie side by side in rows from top to bottom, as the kernels read."""
    natural = natural_strides(pixel_format)
    # An axis of one item may have any stride: torch, for one, gives 1.
    inner = zip(plane.shape[1:], plane.strides[1:], natural, strict=True)
    within = all(size == 1 or stride == step for size, stride, step in inner)
    return within and (plane.shape[0] == 1 or plane.strides[0] >= natural[0] * plane.shape[1])


def _with_whole_rows(plane: NDArray[np.uint8], pixel_format: PixelFormat) -> NDArray[np.uint8]:
    return plane if _has_whole_rows(plane, pixel_format) else np.ascontiguousarray(plane)


def _check_rows(plane: DeviceArray, pixel_format: PixelFormat) -> None:
    # The kernel reads rows with any pitch. On a GPU nothing is copied behind the caller's back.
    if not _has_whole_rows(plane, pixel_format):
        raise InputError(
            "expected a frame on the GPU with contiguous pixels in rows from top to bottom, got "
            f"strides of {plane.strides} bytes: make it contiguous"
        )
