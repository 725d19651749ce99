"""Decoded video frames made into pictures: deinterlaced, upright, BGR, with square pixels."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import av.filter
import av.video.reformatter
import numpy as np

from edgecount.runtime.frames.opencv import load_cv2
from edgecount.runtime.sources.aspect import SQUARE, square_size

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import NDArray

    from edgecount.runtime.sources.decoders import StreamMatrix

_PQ = 16  # AVCOL_TRC_SMPTE2084
_WHITE = 203.0  # cd/m2
_KNEE = 0.8  # of white


def deinterlaced(
    frames: Iterable[Any], time_base: Fraction, *, at_once: bool = False
) -> Iterator[Any]:
    """Yield a progressive frame for each frame; those that are progressive pass as they are.

    FFmpeg's bwdif fills in the lines of one field from those around them, in space and in time.
    It gives a frame when it has seen the next one.

    Args:
        frames: `av.VideoFrame`, in order.
        time_base: unit of their time stamps.
        at_once: whether to give each frame before the next one is there: the lines of its first
            field, and between them what a cubic through them gives.
    """
    graph, kind = None, None
    for frame in frames:
        if not frame.interlaced_frame and (graph is None or at_once):
            yield frame
            continue
        if kind != (frame.width, frame.height, frame.format.name):
            if graph is not None:
                yield from _through(graph, None)
            kind = (frame.width, frame.height, frame.format.name)
            graph = _deinterlacer(*kind, time_base, at_once=at_once)
        yield from _through(graph, frame)
    if graph is not None:
        yield from _through(graph, None)


def _deinterlacer(
    width: int, height: int, pixels: str, time_base: Fraction, *, at_once: bool
) -> Any:
    graph: Any = av.filter.Graph()
    filters = [graph.add_buffer(width=width, height=height, format=pixels, time_base=time_base)]
    if at_once:
        filters.append(graph.add("field", "type=top"))
        filters.append(graph.add("scale", f"{width}:{height}:flags=bicubic"))
    else:
        filters.append(graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced"))
    filters.append(graph.add("buffersink"))
    for before, after in itertools.pairwise(filters):
        before.link_to(after)
    graph.configure()
    return graph


def _through(graph: Any, frame: Any) -> Iterator[Any]:
    graph.push(frame)
    while True:
        try:
            yield graph.pull()
        except (av.BlockingIOError, av.EOFError):  # noqa: PERF203
            return  # it waits for the next frame, or has given the last


class ToPicture:
    """A converter of frames to BGR pictures, as they are to be shown.

    The matrix and range are those that a frame is tagged with; without a tag BT.601 and limited
    range, as FFmpeg and OpenCV have it. The brightness of HDR by PQ is mapped to that of SDR.

    Args:
        of_stream: the display matrix of frames that have none of their own.
    """

    def __init__(self, of_stream: StreamMatrix | None = None) -> None:
        self._of_stream = of_stream
        # One for all frames: making its tables anew takes longer than a small frame.
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._rotation: int | None = None
        self._matrix: tuple[int, ...] | None = None

    def __call__(self, frame: Any, ratio: Fraction = SQUARE) -> NDArray[np.uint8]:
        """Return a frame as uint8 (H, W, 3), BGR, in memory of its own.

        Args:
            frame: an `av.VideoFrame`.
            ratio: width of its pixels over their height.
        """
        if ratio == SQUARE:
            converted: Any = self._reformatter.reformat(frame, format="bgr24")
        else:
            width, height = square_size(frame.width, frame.height, ratio)
            converted = self._reformatter.reformat(
                frame, width, height, "bgr24", interpolation="BICUBIC"
            )
        picture: NDArray[np.uint8] = converted.to_ndarray()
        if converted is frame:  # BGR as it came, in memory which the decoder may look at again
            picture = picture.copy()
        if frame.color_trc == _PQ:
            picture = np.asarray(load_cv2().LUT(picture, _pq_to_sdr()), np.uint8)
        # Not for every frame: who looks at its side data keeps its memory from being used again
        # until Python collects garbage, which takes longer than all the rest.
        if frame.rotation != self._rotation:
            self._rotation = frame.rotation
            self._matrix = display_matrix(frame)
        matrix = self._matrix
        if matrix is None and self._of_stream is not None:
            matrix = self._of_stream.value
        return picture if matrix is None else _upright(picture, matrix)


@functools.cache
def _pq_to_sdr() -> NDArray[np.uint8]:
    """Return the SDR level of each level by PQ.

    White is 203 cd/m2 (ITU-R BT.2408), and what is brighter is compressed into the last fifth.
    Source of the curves: SMPTE ST 2084 and ITU-R BT.709.
    """
    levels = np.linspace(0.0, 1.0, 256) ** (4096 / (2523 * 128))
    rise, fall = levels - 3424 / 4096, 2413 / 128 - 2392 / 128 * levels
    light = 10_000 / _WHITE * (np.maximum(rise, 0.0) / fall) ** (16_384 / 2610)
    light = np.where(light < _KNEE, light, 1 - (1 - _KNEE) * np.exp((_KNEE - light) / (1 - _KNEE)))
    signal = np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099)
    table: NDArray[np.uint8] = np.rint(255 * signal).astype(np.uint8)
    return table


def display_matrix(frame: Any) -> tuple[int, ...] | None:
    """Return where the axes of the stored picture point to when it is shown, in 16.16 fixed point.

    x is shown at a x + c y and y at b x + d y, for (a, b, c, d).
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    a, b, _, c, d = np.frombuffer(data, np.int32)[:5].tolist()
    return a, b, c, d


def _upright(picture: NDArray[np.uint8], matrix: tuple[int, ...]) -> NDArray[np.uint8]:
    """Turn and mirror a picture."""
    a, b, c, d = matrix
    cv2 = load_cv2()  # NumPy takes ten times as long to turn a picture
    if abs(b) > abs(a):
        picture, a, d = cv2.transpose(picture), c, b
    if a < 0 or d < 0:
        picture = cv2.flip(picture, -1 if a < 0 and d < 0 else int(a < 0))
    return picture
