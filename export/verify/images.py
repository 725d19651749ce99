"""The images that calibrate a model and prove it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import ConfigError
from edgecount.export.verify.compare import Picture
from edgecount.runtime.frames.images import read_image
from edgecount.runtime.pipeline.preprocess import plan_input, write_input
from edgecount.runtime.sources.open import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from edgecount.manifest import InputSpec

log = logging.getLogger(__name__)

SEED = 20260
PROVEN = 40  # images
LEAST_PROVEN = 4
FEW = 16  # images: ranges of fewer miss values that are common
LARGEST_CROP = 768  # px; all the tensors of a larger one may not fit in memory
_SCENES = ((20, (640, 480)), (60, (800, 600)), (150, (1024, 768)), (0, (640, 480)))
_THUMB = 16
_ALIKE = 0.9  # mean correlation of thumbnails
_GOLDEN = (5**0.5 - 1) / 2

T = TypeVar("T")


@dataclass(frozen=True)
class Pictures:
    """Images of a folder, read when they are asked for.

    Attributes:
        folder: searched with its subfolders.
        paths: of the images, in order.
    """

    folder: Path
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path, option: str) -> Pictures:
        """All images of a folder.

        Args:
            folder: where they are.
            option: the flag that named it, for messages.

        Raises:
            ConfigError: there is no such folder, or no image in it.
        """
        if not folder.is_dir():
            raise ConfigError(f"{option}: expected a folder of images, there is none at {folder}")
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        if not found:
            kinds = ", ".join(suffix[1:] for suffix in IMAGE_SUFFIXES)
            raise ConfigError(f"{option}: expected images ({kinds}) in {folder}, found none")
        return cls(folder, tuple(found))

    def some(self, number: int = PROVEN) -> Pictures:
        """At most so many of them, by a fixed seed."""
        return self._take(_order(len(self.paths))[:number])

    def spread(self, number: int) -> Pictures:
        """At most so many, evenly spread over the folder."""
        return self._take(spread(range(len(self.paths)))[:number])

    def _take(self, indices: Sequence[int]) -> Pictures:
        return Pictures(self.folder, tuple(self.paths[index] for index in sorted(indices)))

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Picture]:
        for path in self.paths:
            yield Picture(str(path.relative_to(self.folder)), read_image(path))


def divide(pictures: Pictures, number: int, *, reserve: bool) -> tuple[Pictures, Pictures | None]:
    """Images to calibrate on, and others to prove on.

    Args:
        pictures: all.
        number: to calibrate on, at most.
        reserve: whether some are kept for the proof: a quarter, at most `PROVEN`.

    Returns:
        The two; None for the second where none are kept, or too few would be.
    """
    kept = min(PROVEN, len(pictures) // 4) if reserve else 0
    if kept < LEAST_PROVEN:
        return pictures.some(number), None
    order = _order(len(pictures))
    return pictures._take(order[kept : kept + number]), pictures._take(order[:kept])


def spread(items: Sequence[T]) -> list[T]:
    """All of them, in an order in which any first few lie evenly over the whole.

    Steps of the golden section keep no period, as folders and cameras that take turns do.
    """
    return [items[i] for i in sorted(range(len(items)), key=lambda i: i * _GOLDEN % 1)]


def _order(number: int) -> list[int]:
    return [int(index) for index in np.random.default_rng(SEED).permutation(number)]


class Scenes:
    """Rendered scenes, where nobody gave images."""

    def __len__(self) -> int:
        return 2 * len(_SCENES)

    def __iter__(self) -> Iterator[Picture]:
        from edgecount.scenes import render_scene

        for seed in range(len(self)):
            people, size = _SCENES[seed % len(_SCENES)]
            scene = render_scene(people, size=size, seed=SEED + seed)
            yield Picture(f"rendered scene {seed} of {people} people", scene.image)


def calibration_tensors(
    pictures: Sequence[Picture] | Pictures, spec: InputSpec
) -> Iterator[NDArray[np.float32]]:
    """A crop of each image as the network's input, (1, 3, H, W) float32.

    Images are sized as the runtime sizes them; of a larger one a random part is taken, so that
    heads keep the size in which the network will see them.
    """
    rng = np.random.default_rng(SEED)
    for picture in pictures:
        height, width = picture.image.shape[:2]
        plan = plan_input((width, height), spec, spec.max_side)
        tensor = np.empty((1, 3, *plan.padded), np.float32)
        write_input(picture.image, plan.resized, spec, tensor)
        if spec.static_size is None:
            top, left = (_start(rng, side, spec.multiple) for side in plan.padded)
            tensor = tensor[:, :, top : top + LARGEST_CROP, left : left + LARGEST_CROP]
        yield np.ascontiguousarray(tensor)


def _start(rng: np.random.Generator, side: int, multiple: int) -> int:
    room = max(side - LARGEST_CROP, 0) // multiple
    return int(rng.integers(room + 1)) * multiple


def warnings_about(
    pictures: Sequence[Picture] | Pictures, progress: Callable[[], None] | None = None
) -> list[str]:
    """What is wrong with a calibration set that still can be used; every image is read.

    Args:
        pictures: the set.
        progress: called after each image.

    Raises:
        SourceError: an image cannot be read.
    """
    found = []
    thumbs = _thumbnails(pictures, progress)
    if len(pictures) < FEW:
        one = len(pictures) == 1
        few = "1 calibration image is" if one else f"{len(pictures)} calibration images are"
        found.append(
            f"{few} few: ranges from fewer than {FEW} miss values that are common; give some "
            "hundred of the scenes that the model will see"
        )
    if len(thumbs) > 1 and _likeness(thumbs) > _ALIKE:
        found.append(
            "the calibration images look alike, as if they were of one scene: a model that is "
            "calibrated on them may count others wrongly"
        )
    return found


def _thumbnails(
    pictures: Sequence[Picture] | Pictures, progress: Callable[[], None] | None
) -> NDArray[np.float64]:
    """(N, 256) grey thumbnails, each with a mean of 0 and a length of 1."""
    from edgecount.runtime.frames.opencv import load_cv2

    cv2 = load_cv2()
    thumbs = []
    for picture in pictures:
        small = cv2.resize(picture.image, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA)
        grey = small.astype(np.float64).mean(2).reshape(-1)
        grey -= grey.mean()
        thumbs.append(grey / (np.linalg.norm(grey) + 1e-9))
        if progress:
            progress()
    return np.array(thumbs)


def _likeness(thumbs: NDArray[np.float64]) -> float:
    """Mean correlation of the thumbnails."""
    number = len(thumbs)
    return float(((thumbs @ thumbs.T).sum() - number) / (number * (number - 1)))
