"""The picture that `edgecount bench` counts in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SEED = 20
_AREA = 8000  # px of a picture for each person in it
_MOST = 300  # people; to draw more takes long


class BenchFrame(NamedTuple):
    """A picture to count in, (H, W, 3) uint8 BGR, and what it shows, in words."""

    pixels: NDArray[np.uint8]
    shows: str

    @property
    def size(self) -> tuple[int, int]:
        """Its (height, width) in pixels."""
        height, width = self.pixels.shape[:2]
        return height, width


def bench_frame(image: Path | None, size: tuple[int, int] | None) -> BenchFrame:
    """Return an image at a (height, width) in pixels or at its own, or else a rendered scene.

    Raises:
        SourceError: the image cannot be read.
    """
    if image is not None:
        return _image(image, size)
    from edgecount.scenes import render_scene

    height, width = size or (480, 640)
    drawn = max(height, 64), max(width, 64)  # smaller ones are cut out of it
    people = min(drawn[0] * drawn[1] // _AREA, _MOST)
    scene = render_scene(people, size=drawn[::-1], seed=_SEED)
    shows = f"a rendered scene of {people} {'person' if people == 1 else 'people'}"
    return BenchFrame(scene.image[:height, :width].copy(), shows)


def _image(path: Path, size: tuple[int, int] | None) -> BenchFrame:
    from edgecount.runtime.frames.images import read_image
    from edgecount.runtime.frames.opencv import load_cv2

    pixels = read_image(path)
    if size is not None and size != pixels.shape[:2]:
        cv2 = load_cv2()
        pixels = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
    return BenchFrame(pixels, str(path))
