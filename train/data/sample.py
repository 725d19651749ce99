"""An annotated image, and a crop of one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.errors import SourceError
from edgecount.runtime.frames.images import MAX_PIXELS, read_image

Image = NDArray[np.uint8]
Array = NDArray[np.float32]


class AnnotatedSize(NamedTuple):
    """The size that a file of annotations says an image has.

    Attributes:
        width: in px.
        height: in px.
        file: name of the file.
    """

    width: int
    height: int
    file: str


@dataclass(frozen=True, eq=False)
class Sample:
    """One annotated image.

    Attributes:
        path: the image file.
        points: (N, 2) head centres x, y in continuous pixels, those inside ``region``.
        sizes: (N,) head diameters in px: from boxes where the set has them, else guessed from
            the neighbours.
        boxes: (N, 4) left, top, right, bottom of the heads in px, where the set has them.
        region: (K, 2) polygon x, y in px, the only part of the image that is annotated; or the
            path of a mask image (above 0: annotated); None: all of it.
        name: name in split files; the file's name without its extension by default.
        group: scene or camera, whose errors are also given apart; empty: none.
        shrink: factor by which the image is made smaller, or above 1 larger, when it is read; all
            coordinates here are those of the resized image.
        annotated_size: size of the image as its annotations say, where they do.
        accept_damaged: whether damaged images are read as far as they can be decoded.
        max_pixels: most pixels of the image; a larger one is refused.
    """

    path: Path
    points: Array
    sizes: Array
    boxes: Array | None = None
    region: Array | Path | None = None
    name: str = field(default="")
    group: str = ""
    shrink: float = 1.0
    annotated_size: AnnotatedSize | None = None
    accept_damaged: bool = False
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.path.stem)

    def image(self) -> Image:
        """Read the image (H, W, 3) BGR, black outside the annotated region.

        Raises:
            SourceError: the image or the mask cannot be read, or the image has another size than
                its annotations say.
        """
        image = self._read(self.path)
        self.check_size(image.shape[1], image.shape[0])
        if self.shrink != 1:
            width, height = (max(round(side * self.shrink), 1) for side in image.shape[1::-1])
            kernel = cv2.INTER_AREA if self.shrink < 1 else cv2.INTER_CUBIC
            image = _resized(image, width, height, kernel)
        mask = self.mask(image.shape[0], image.shape[1])
        return image if mask is None else image * mask[:, :, None].astype(np.uint8)

    def mask(self, height: int, width: int) -> NDArray[np.bool_] | None:
        """Return which pixels are annotated, (height, width); None: all of them.

        Args:
            height: height of :meth:`image`, px.
            width: width of :meth:`image`, px.

        Raises:
            SourceError: the mask image cannot be read.
        """
        if self.region is None:
            return None
        if isinstance(self.region, Path):
            mask = self._read(self.region)[:, :, 0]
        else:
            # At the image's own size, where annotations give the middles of pixels.
            sides = (max(round(side / self.shrink), 1) for side in (height, width))
            mask = np.zeros(tuple(sides), np.uint8)
            cv2.fillPoly(mask, [np.round(self.region / self.shrink).astype(np.int32)], 1)
        # A pixel is annotated where the one nearest to its centre is.
        rows, columns = (
            ((np.arange(length) + 0.5) * (side / length)).astype(np.int64)
            for side, length in zip(mask.shape, (height, width), strict=True)
        )
        annotated: NDArray[np.bool_] = mask[rows[:, None], columns] > 0
        return annotated

    def _read(self, path: Path) -> Image:
        return read_image(path, accept_damaged=self.accept_damaged, max_pixels=self.max_pixels)

    def check_size(self, width: int, height: int) -> None:
        """Check that the image file has the size that its annotations say, if they say one.

        Raises:
            SourceError: it has another, so that the points may lie elsewhere.
        """
        wrong = self.wrong_size(width, height)
        if wrong:
            raise SourceError(
                f"{self.path}: {wrong}: annotate the image as it is, or mend the size"
            )

    def wrong_size(self, width: int, height: int) -> str:
        """Say which sizes annotations and file give, empty if it is the same or they give none."""
        said = self.annotated_size
        if said is None or (said.width, said.height) == (width, height):
            return ""
        turned = (said.height, said.width) == (width, height)
        how = " as it is read, upright" if turned else ""
        return f"{said.file} says {said.width}x{said.height}, the image is {width}x{height}{how}"

    def shrunk(self, factor: float) -> Sample:
        """Return the sample at ``factor`` times its size."""
        if factor == 1:
            return self
        scale = np.float32(factor)
        return dataclasses.replace(
            self,
            points=self.points * scale,
            sizes=self.sizes * scale,
            boxes=None if self.boxes is None else self.boxes * scale,
            region=self.region * scale if isinstance(self.region, np.ndarray) else self.region,
            shrink=self.shrink * factor,
        )


def _resized(image: Image, width: int, height: int, interpolation: int) -> Image:
    return cv2.resize(image, (width, height), interpolation=interpolation).astype(
        np.uint8, copy=False
    )


@dataclass(frozen=True, eq=False)
class Crop:
    """One crop of an image for training.

    Attributes:
        image: uint8 (H, W, 3) BGR.
        points: (N, 2) x, y in continuous pixels, inside the image.
        sizes: (N,) head diameters in px.
        boxes: (N, 4) left, top, right, bottom in px; they may reach beyond the image.
        region: (H, W) the annotated pixels, where the image is not annotated as a whole.
    """

    image: Image
    points: Array
    sizes: Array
    boxes: Array
    region: NDArray[np.bool_] | None = None
