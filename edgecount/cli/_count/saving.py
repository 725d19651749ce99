"""Overlays written to files: one picture per image, one clip per video."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount._files import write_whole
from edgecount.cli._count.clips import ClipWriter
from edgecount.drawing import LAYERS, HeatScale, draw_overlay
from edgecount.errors import OutputError
from edgecount.regions import Region
from edgecount.result import CountResult

_JPEG_QUALITY = 92


class Saver(AbstractContextManager["Saver"]):
    """A receiver of the frames of one source, which closes its file; this one writes nothing."""

    def add(self, frame: NDArray[np.uint8], result: CountResult) -> None:
        """Draw and write one frame."""

    def __exit__(self, *_: object) -> None:
        pass


class ImageSaver(Saver):
    """A writer of the overlay of an image to a .png or .jpg file, whose folder is made."""

    def __init__(
        self, path: Path, regions: Sequence[Region] = (), layers: Collection[str] = LAYERS
    ) -> None:
        self._path = path
        self._regions = regions
        self._layers = layers

    def add(self, frame: NDArray[np.uint8], result: CountResult) -> None:
        """Draw and write the frame; OutputError if the file cannot be written."""
        picture = draw_overlay(frame, result, regions=self._regions, layers=self._layers)
        write_image(self._path, picture)


class VideoSaver(Saver):
    """A writer of the annotated clip of a video, which is there once it is closed.

    Args:
        path: an .mp4 file to write; its folder is made.
        fps: frames per second of the clip; None or 0 for 10.
        regions: the regions that were counted.
        layers: what is drawn; see `draw_overlay`.
    """

    def __init__(
        self,
        path: Path,
        fps: float | None,
        regions: Sequence[Region] = (),
        layers: Collection[str] = LAYERS,
    ) -> None:
        self._path = path
        self._fps = fps
        self._layers = layers
        self._regions = regions
        self._scale: HeatScale | None = None
        self._writer: ClipWriter | None = None
        self._size = (0, 0)

    def __exit__(self, *_: object) -> None:
        # Whatever ended the source: what was counted is kept.
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def add(self, frame: NDArray[np.uint8], result: CountResult) -> None:
        """Draw and append the frame; OutputError if the clip cannot be written."""
        self._scale = self._scale or HeatScale.fit(result)
        picture = draw_overlay(
            frame,
            result,
            regions=self._regions,
            scale=self._scale,
            time=result.time,
            layers=self._layers,
        )
        height, width = picture.shape[:2]
        if self._writer is None:
            # The colour planes have half the sides: odd ones do not encode.
            self._size = (max(2, width - width % 2), max(2, height - height % 2))
            self._writer = ClipWriter(self._path, self._size, self._fps)
        # The frames of a clip have one size, and streams do change theirs.
        if (width, height) != self._size:
            picture = np.asarray(cv2.resize(picture, self._size), np.uint8)
        try:
            self._writer.write(picture)
        except OutputError:
            self._writer = None  # it has deleted its file
            raise


def write_image(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a BGR picture as .png or .jpg and make its folder.

    Raises:
        OutputError: the file cannot be written.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix == ".jpg" else []
    encoded, data = cv2.imencode(path.suffix, picture, options)
    if not encoded:
        raise OutputError(f"cannot write {path}: OpenCV does not encode {path.suffix} here")
    write_whole(path, data.tobytes())
