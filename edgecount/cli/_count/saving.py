"""Overlays written to files: one picture per image, one clip per video."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.drawing import LAYERS, HeatScale, draw_overlay
from edgecount.errors import OutputError
from edgecount.regions import Region
from edgecount.result import CountResult

_JPEG_QUALITY = 92
_FALLBACK_FPS = 10.0  # for streams that do not say


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
    """A writer of the annotated clip of a video, which is playable once it is closed.

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
        self._layers = layers
        self._fps = fps or _FALLBACK_FPS
        self._regions = regions
        self._scale: HeatScale | None = None
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.release()
            self._writer = None

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
        if self._writer is None:
            self._writer = self._open(picture.shape[1], picture.shape[0])
        # OpenCV drops frames of another size without a word, and streams do change theirs.
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = np.asarray(cv2.resize(picture, self._size), np.uint8)
        self._writer.write(picture)

    def _open(self, width: int, height: int) -> cv2.VideoWriter:
        _make_folder(self._path.parent)
        # MPEG-4 halves the colour planes: odd sides do not encode.
        self._size = (max(2, width - width % 2), max(2, height - height % 2))
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(self._path), fourcc, self._fps, self._size)
        if not writer.isOpened():
            raise OutputError(
                f"cannot write the video {self._path}: is the folder writable, and does OpenCV "
                "have FFmpeg? (see `edgecount doctor`)"
            )
        return writer


def write_image(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a BGR picture as .png or .jpg and make its folder.

    Raises:
        OutputError: the file cannot be written.
    """
    _make_folder(path.parent)
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix == ".jpg" else []
    encoded, data = cv2.imencode(path.suffix, picture, options)
    if not encoded:
        raise OutputError(f"cannot write {path}: OpenCV does not encode {path.suffix} here")
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from None
