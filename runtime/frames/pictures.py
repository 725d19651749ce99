"""Frames of any form as BGR pictures in the host's memory, to be drawn on or stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount.runtime.cuda.driver import gpu_failures
from edgecount.runtime.frames.checked import check_host_frame
from edgecount.runtime.frames.images import as_bgr, device_of, lies_on_gpu, shape_of
from edgecount.runtime.frames.opencv import load_cv2
from edgecount.runtime.frames.pixel_formats import NV12Frame, PixelFrame, cut_planes, planes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Shares of red and blue in luma. Source: Rec. ITU-R BT.601-7, 2.5.1, and BT.709-6, 3.2.
_SHARES = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}


def size_of(frame: Any) -> tuple[int, int]:
    """Return a frame's width and height in pixels.

    Raises:
        InputError: it is no frame.
    """
    height, width, *_ = (*shape_of(planes_of(frame)[0]), 0, 0)
    both = isinstance(frame, NV12Frame) and frame.buffer is not None
    return width, height // 3 * 2 if both else height


def bgr_picture(frame: Any) -> NDArray[np.uint8]:
    """Return a frame as uint8 (H, W, 3), BGR; an array of that form as it is.

    Args:
        frame: what `EdgeCounter.count` takes; one on a GPU is copied to the host.

    Raises:
        InputError: it is no frame.
        BackendError: the GPU failed.
    """
    planes = [_on_host(plane) for plane in planes_of(frame)]
    if isinstance(frame, NV12Frame):
        luma, chroma = planes if len(planes) == 2 else cut_planes(planes[0])
        checked: Any = check_host_frame(NV12Frame(luma, chroma, frame.matrix, frame.full_range))
        return _nv12_to_bgr(checked.pixels, checked.chroma, frame)
    if not isinstance(frame, PixelFrame):
        return as_bgr(planes[0])
    checked = check_host_frame(PixelFrame(planes[0], frame.order))
    is_turned = frame.format.startswith("rgb")
    return as_bgr(checked.pixels[:, :, 2::-1] if is_turned else checked.pixels)


def _on_host(plane: Any) -> Any:
    if not lies_on_gpu(plane):
        return plane
    from edgecount import _ext

    with gpu_failures():
        stream = _ext.Stream(device_of(plane) or 0)
        array = _ext.device_array(plane, stream)
        copy = np.empty(array.shape, array.dtype)
        stream.download(array, copy)
        stream.synchronize()
    return copy


def _nv12_to_bgr(
    luma: NDArray[np.uint8], chroma: NDArray[np.uint8], frame: NV12Frame
) -> NDArray[np.uint8]:
    if frame.format == "nv12_bt601":
        cv2 = load_cv2()
        pairs = chroma.reshape(len(chroma), -1, 2)
        return np.asarray(cv2.cvtColorTwoPlane(luma, pairs, cv2.COLOR_YUV2BGR_NV12), np.uint8)
    red, blue = _SHARES[frame.matrix]
    offset, span, colours = (0, 255, 255) if frame.full_range else (16, 219, 224)
    grey = (luma.astype(np.float32) - offset) * (255 / span)
    differences = (chroma.astype(np.float32) - 128) * (255 / colours)
    u, v = (differences[:, i::2].repeat(2, 0).repeat(2, 1) for i in (0, 1))
    from_blue, from_red = 2 * (1 - blue) * u, 2 * (1 - red) * v
    green = grey - (blue * from_blue + red * from_red) / (1 - red - blue)
    picture = np.stack((grey + from_blue, green, grey + from_red), 2)
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)
