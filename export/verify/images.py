"""The images that calibrate a model and those that its files are compared on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import ConfigError
from edgecount.export.options import ExportOptions
from edgecount.export.progress import Progress, Steps
from edgecount.export.verify.compare import NamedImage
from edgecount.runtime.frames.images import read_image
from edgecount.runtime.pipeline.preprocess import input_geometry, write_input
from edgecount.runtime.sources.open import IMAGE_SUFFIXES
from edgecount.runtime.sources.suffixes import is_image_name

if TYPE_CHECKING:
    from edgecount.manifest import InputSpec

SEED = 20260
COMPARED = 40  # images, at most
MIN_COMPARED = 4
FEW = 16  # images: ranges of fewer miss values that are common
LARGEST_CROP = 768  # px; all the tensors of a larger one may not fit in memory
_SCENES = ((20, (640, 480)), (60, (800, 600)), (150, (1024, 768)), (0, (640, 480)))
_THUMB = 16
_ALIKE = 0.9  # mean correlation of thumbnails
_GOLDEN = (5**0.5 - 1) / 2

T = TypeVar("T")


@dataclass(frozen=True)
class ImageFolder:
    """Images of a folder, read when they are asked for.

    Attributes:
        folder: searched with its subfolders.
        paths: paths of the images, in order.
    """

    folder: Path
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path, option: str) -> ImageFolder:
        """Return all images of a folder; messages name the option that names it.

        Raises:
            ConfigError: there is no such folder, or no image in it.
        """
        if not folder.is_dir():
            raise ConfigError(f"{option}: expected a folder of images, there is none at {folder}")
        found = sorted(path for path in folder.rglob("*") if is_image_name(path.name))
        if not found:
            kinds = ", ".join(suffix[1:] for suffix in IMAGE_SUFFIXES)
            raise ConfigError(f"{option}: expected images ({kinds}) in {folder}, found none")
        return cls(folder, tuple(found))

    def sample(self, number: int = COMPARED) -> ImageFolder:
        """Return at most so many of them, drawn by a fixed seed."""
        return self.take(_shuffled(len(self.paths))[:number])

    def spread(self, number: int) -> ImageFolder:
        """Return at most so many, evenly spread over the folder."""
        return self.take(spread(range(len(self.paths)))[:number])

    def take(self, indices: Sequence[int]) -> ImageFolder:
        """Return the images of these indices, in their order in the folder."""
        return ImageFolder(self.folder, tuple(self.paths[index] for index in sorted(indices)))

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[NamedImage]:
        for path in self.paths:
            yield NamedImage(str(path.relative_to(self.folder)), read_image(path))


class RenderedScenes:
    """Rendered crowd scenes, to compare on where nobody gave images."""

    def __len__(self) -> int:
        return 2 * len(_SCENES)

    def __iter__(self) -> Iterator[NamedImage]:
        from edgecount.scenes import render_scene

        for seed in range(len(self)):
            people, size = _SCENES[seed % len(_SCENES)]
            scene = render_scene(people, size=size, seed=SEED + seed)
            yield NamedImage(f"rendered scene {seed} of {people} people", scene.image)


@dataclass(frozen=True)
class ExportImages:
    """The images of an export; every one of them can be read.

    Attributes:
        calibration: the images whose values give INT8's ranges; None: none were given.
        compared: the images that counts are compared on; any first few are evenly spread.
        origin: where those come from, in words.
        real: whether those are images, not rendered scenes.
    """

    calibration: ImageFolder | None
    compared: Sequence[NamedImage]
    origin: str
    real: bool


def choose_images(
    options: ExportOptions, warn: Callable[[str], None], progress: Progress
) -> ExportImages:
    """Choose and read the images of an export; warn of those that may give wrong results.

    Raises:
        ConfigError: a folder is missing or holds no images.
        SourceError: an image cannot be read.
    """
    calibration, chosen, origin = _choose(options, warn)
    if calibration is not None and options.int8:
        step = Steps(progress, "reading the calibration images", len(calibration))
        for warning in warnings_about(calibration, step):
            warn(warning)
    images = []
    for image in chosen:
        images.append(image)
        progress("reading the images to compare on", len(images), len(chosen))
    return ExportImages(calibration, spread(images), origin, isinstance(chosen, ImageFolder))


def _choose(
    options: ExportOptions, warn: Callable[[str], None]
) -> tuple[ImageFolder | None, ImageFolder | RenderedScenes, str]:
    """Return images to calibrate on, images to compare on, and in words where the latter are."""
    given = ImageFolder.of(options.verify, "verify").sample() if options.verify else None
    origin = f"{len(given)} images of {options.verify}" if given else ""
    if options.calibration:
        found = ImageFolder.of(options.calibration, "calibration")
        own, others = split_images(found, options.number, reserve=given is None)
        if given is not None:
            if {path.resolve() for path in own.paths} & {path.resolve() for path in given.paths}:
                warn(
                    "counts are compared on some of the calibration's own images: give others "
                    "(`verify`)"
                )
            return own, given, origin
        if others:
            kind = "images beside the calibration's"
            return own, others, f"{len(others)} {kind} of {options.calibration}"
        warn(
            "counts are compared on the calibration's own images: give others (`verify`), or more "
            "of them"
        )
        return own, own, f"{len(own)} calibration images of {options.calibration}"
    if given is not None:
        return None, given, origin
    warn(
        "counts are compared on rendered scenes: give images of your own (`verify`) to know how "
        "the files count on them"
    )
    scenes = RenderedScenes()
    return None, scenes, f"{len(scenes)} rendered scenes"


def split_images(
    images: ImageFolder, number: int, *, reserve: bool
) -> tuple[ImageFolder, ImageFolder | None]:
    """Divide images into those to calibrate on and others to compare on.

    Args:
        images: all images.
        number: number of images to calibrate on, at most.
        reserve: whether to keep some to compare on: a quarter, at most `COMPARED`.

    Returns:
        The two parts; None for the second where none are kept, or too few would be.
    """
    kept = min(COMPARED, len(images) // 4) if reserve else 0
    if kept < MIN_COMPARED:
        return images.sample(number), None
    order = _shuffled(len(images))
    return images.take(order[kept : kept + number]), images.take(order[:kept])


def spread(items: Sequence[T]) -> list[T]:
    """Return all items in an order in which any first few lie evenly over the whole.

    Steps of the golden section keep no period, as folders and cameras that take turns do.
    """
    return [items[i] for i in sorted(range(len(items)), key=lambda i: i * _GOLDEN % 1)]


def _shuffled(number: int) -> list[int]:
    return [int(index) for index in np.random.default_rng(SEED).permutation(number)]


def calibration_tensors(
    images: Sequence[NamedImage] | ImageFolder, spec: InputSpec
) -> Iterator[NDArray[np.float32]]:
    """Yield a crop of each image as the network's input, (1, 3, H, W) float32.

    Images are sized as the runtime sizes them; of a larger one a random part is taken, so that
    heads keep the size in which the network will see them.
    """
    rng = np.random.default_rng(SEED)
    for image in images:
        height, width = image.pixels.shape[:2]
        plan = input_geometry((width, height), spec, spec.max_side)
        tensor = np.empty((1, 3, *plan.padded), np.float32)
        write_input(image.pixels, plan.resized, spec, tensor)
        if spec.static_size is None:
            rooms = (max(side - LARGEST_CROP, 0) // spec.multiple for side in plan.padded)
            top, left = (int(rng.integers(room + 1)) * spec.multiple for room in rooms)
            tensor = tensor[:, :, top : top + LARGEST_CROP, left : left + LARGEST_CROP]
        yield np.ascontiguousarray(tensor)


def warnings_about(
    images: Sequence[NamedImage] | ImageFolder, progress: Callable[[], None] | None = None
) -> list[str]:
    """Return what is wrong with a calibration set that can be used; every image is read.

    Raises:
        SourceError: an image cannot be read.
    """
    found = []
    thumbs = _thumbnails(images, progress)
    if len(images) < FEW:
        one = len(images) == 1
        few = "1 calibration image is" if one else f"{len(images)} calibration images are"
        found.append(
            f"{few} few: ranges from fewer than {FEW} miss values that are common; give some "
            "hundred of the scenes that the model will see"
        )
    pairs = len(thumbs) * (len(thumbs) - 1)
    # The diagonal holds each thumbnail's correlation with itself, which is 1.
    if pairs and ((thumbs @ thumbs.T).sum() - len(thumbs)) / pairs > _ALIKE:
        found.append(
            "the calibration images look alike, as if they were of one scene: a model that is "
            "calibrated on them may count others wrongly"
        )
    return found


def _thumbnails(
    images: Sequence[NamedImage] | ImageFolder, progress: Callable[[], None] | None
) -> NDArray[np.float64]:
    """Return grey thumbnails (N, 256), each with a mean of 0 and a length of 1."""
    from edgecount.runtime.frames.opencv import load_cv2

    cv2 = load_cv2()
    thumbs = []
    for image in images:
        small = cv2.resize(image.pixels, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA)
        grey = small.astype(np.float64).mean(2).reshape(-1)
        grey -= grey.mean()
        thumbs.append(grey / (np.linalg.norm(grey) + 1e-9))
        if progress:
            progress()
    return np.array(thumbs)
