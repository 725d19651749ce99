"""Overlays written to files: one picture per image, one clip per video."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount._clips import ClipWriter
from edgecount._files import write_whole
from edgecount.cli._count.measures import Asked, Measured
from edgecount.drawing import LAYERS, GroundView, HeatScale, draw_overlay
from edgecount.errors import OutputError
from edgecount.regions import Region
from edgecount.result import CountResult

_JPEG_QUALITY = 92
_AROUND = 0.3  # of the rectangle on the ground, that a map shows on every side of it


@dataclass(frozen=True)
class Look:
    """Choice of what overlays show.

    Attributes:
        regions: the regions that were counted.
        asked: what was measured beside the counts: lines and the ground are drawn.
        layers: what is drawn; see `draw_overlay`.
    """

    regions: Sequence[Region] = ()
    asked: Asked = field(default_factory=Asked)
    layers: Collection[str] = LAYERS

    def draw(
        self,
        frame: NDArray[np.uint8],
        result: CountResult,
        measured: Measured,
        scale: HeatScale | None = None,
        time: float | None = None,
    ) -> NDArray[np.uint8]:
        """Return the overlay of a frame; see `draw_overlay`."""
        return draw_overlay(
            frame,
            result,
            regions=self.regions,
            lines=self.asked.lines,
            crossed=measured.lines,
            ground=_ground(self.asked, result.size),
            scale=scale,
            time=time,
            layers=self.layers,
        )


@functools.lru_cache(maxsize=8)  # a view is the same for all frames of a size
def _ground(asked: Asked, size: tuple[int, int]) -> GroundView | None:
    if asked.ground is None:
        return None
    width, depth = asked.ground.width, asked.ground.depth
    around = _AROUND * max(width, depth)
    extent = (-around, -around, width + around, depth + around)
    marked = np.array([(0, 0), (width, 0), (width, depth), (0, depth)], np.float64)
    return GroundView(asked.ground.in_size(size), extent, marked)


class Saver(AbstractContextManager["Saver"]):
    """A receiver of the frames of one source, which closes its file; this one writes nothing."""

    def add(self, frame: NDArray[np.uint8], result: CountResult, measured: Measured) -> None:
        """Draw and write one frame."""

    def __exit__(self, *_: object) -> None:
        pass


class ImageSaver(Saver):
    """A writer of the overlay of an image to a .png or .jpg file, whose folder is made."""

    def __init__(self, path: Path, look: Look) -> None:
        self._path = path
        self._look = look

    def add(self, frame: NDArray[np.uint8], result: CountResult, measured: Measured) -> None:
        """Draw and write the frame; OutputError if the file cannot be written."""
        write_image(self._path, self._look.draw(frame, result, measured))


class VideoSaver(Saver):
    """A writer of the annotated clip of a video, which is there once it is closed.

    Each frame is shown at its own time: the rate of a file may vary, frames of it may be damaged,
    and of a live source some are left out.

    Args:
        path: an .mp4 file to write; its folder is made.
        fps: frames per second of a clip whose frames have no times; None or 0 for 10.
        look: what is drawn.
    """

    def __init__(self, path: Path, fps: float | None, look: Look | None = None) -> None:
        self._path = path
        self._fps = fps
        self._look = look or Look()
        self._scale: HeatScale | None = None
        self._writer: ClipWriter | None = None
        self._size = (0, 0)

    def __exit__(self, *_: object) -> None:
        # Whatever ended the source: what was counted is kept.
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def add(self, frame: NDArray[np.uint8], result: CountResult, measured: Measured) -> None:
        """Draw and append the frame; OutputError if the clip cannot be written."""
        self._scale = self._scale or HeatScale.fit(result)
        picture = self._look.draw(frame, result, measured, self._scale, result.time)
        height, width = picture.shape[:2]
        if self._writer is None:
            # The colour planes have half the sides: odd ones do not encode.
            self._size = (max(2, width - width % 2), max(2, height - height % 2))
            is_timed = result.time is not None
            self._writer = ClipWriter(self._path, self._size, self._fps, timed=is_timed)
        # The frames of a clip have one size, and streams do change theirs.
        if (width, height) != self._size:
            picture = np.asarray(cv2.resize(picture, self._size), np.uint8)
        try:
            self._writer.write(picture, result.time)
        except OutputError:
            self._writer = None  # it has deleted its file
            raise


def write_image(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a BGR picture as .png or .jpg, in any case, and make its folder.

    Raises:
        OutputError: the file cannot be written.
    """
    suffix = path.suffix.lower()
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if suffix in {".jpg", ".jpeg"} else []
    encoded, data = cv2.imencode(suffix, picture, options)
    if not encoded:
        raise OutputError(f"cannot write {path}: OpenCV does not encode {suffix} here")
    write_whole(path, data.tobytes())
