"""Compare the counts of a converted model with the original's, image by image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import BackendError
from edgecount.runtime.pipeline.preprocess import input_geometry

if TYPE_CHECKING:
    from edgecount import CountResult, EdgeCounter

SIDES = 4  # regions on each side of an image

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class NamedImage:
    """An image with the name that reports give it.

    Attributes:
        name: its path in its folder, or what it shows.
        pixels: uint8 (H, W, 3), BGR.
    """

    name: str
    pixels: Frame


class UncountableError(BackendError):
    """An engine failed on an image, or gave non-finite values (NaN or infinity).

    Attributes:
        image: the image.
    """

    def __init__(self, image: NamedImage, reason: str) -> None:
        super().__init__(f"{image.name}: {reason}")
        self.image = image


@dataclass(frozen=True)
class ImageComparison:
    """The counts of the original and of a candidate on one image.

    Attributes:
        name: the image's name.
        reference: people counted by the original.
        candidate: people counted by the candidate.
        density: both density counts, original first; None without a density.
        points: both numbers of head points; None without them.
        matched: points of the original that the candidate has too, within one heatmap cell or
            4 px, whichever is more.
        regions: mean absolute difference over the image's 16 regions, in people.
    """

    name: str
    reference: float
    candidate: float
    density: tuple[float, float] | None
    points: tuple[int, int] | None
    matched: int
    regions: float

    @property
    def difference(self) -> float:
        """The candidate's count minus the original's, in people."""
        return self.candidate - self.reference


@dataclass(frozen=True)
class Comparison:
    """The counts of a candidate beside those of the original.

    Attributes:
        images: the images in order, at least one.
        gate: the largest relative difference that is accepted.
        worst: the image whose counts differ most, with the original's result and the candidate's.
    """

    images: Sequence[ImageComparison]
    gate: float
    worst: tuple[NamedImage, CountResult, CountResult] = field(repr=False)

    @property
    def mean_count(self) -> float:
        """Mean count of the original, in people."""
        return float(np.mean([one.reference for one in self.images]))

    @property
    def difference(self) -> float:
        """Mean absolute difference of the counts, in people."""
        return float(np.mean([abs(one.difference) for one in self.images]))

    @property
    def bias(self) -> float:
        """Mean signed difference, in people; above 0: the candidate counts more."""
        return float(np.mean([one.difference for one in self.images]))

    @property
    def relative(self) -> float:
        """Mean absolute difference over the mean count, over 1 person where fewer are seen."""
        return self.difference / max(self.mean_count, 1.0)

    @property
    def passed(self) -> bool:
        """Whether the difference is within the gate, which NaN never is."""
        return self.relative <= self.gate

    @property
    def matched(self) -> float | None:
        """Share of the points that both find, 2 m / (a + b) of m matches; None without points."""
        pairs = [one.points for one in self.images if one.points is not None]
        if not pairs:
            return None
        found = sum(map(sum, pairs))
        return 2 * sum(one.matched for one in self.images) / found if found else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain JSON types, as ``report.json`` holds it."""
        return {
            "images": [dataclasses.asdict(one) for one in self.images],
            "mean_count": self.mean_count,
            "difference": self.difference,
            "relative": self.relative,
            "bias": self.bias,
            "worst": self.worst[0].name,
            "regions": float(np.mean([one.regions for one in self.images])),
            "points_matched": self.matched,
            "gate": self.gate,
            "passed": self.passed,
        }


def count_images(counter: EdgeCounter, images: Iterable[NamedImage]) -> list[CountResult]:
    """Count every image and its 16 regions.

    Raises:
        UncountableError: the engine failed, or gave non-finite values.
    """
    return [_count(counter, image) for image in images]


def compare(
    images: Sequence[NamedImage],
    originals: Sequence[CountResult],
    candidate: EdgeCounter,
    gate: float,
    *,
    progress: Callable[[], None] | None = None,
) -> Comparison:
    """Count every image with a candidate, and compare with the float32 model's results on them.

    Raises:
        UncountableError: the engine failed, or gave non-finite values.
    """
    compared: list[ImageComparison] = []
    worst: tuple[NamedImage, CountResult, CountResult] | None = None
    for image, ours in zip(images, originals, strict=True):
        theirs = _count(candidate, image)
        compared.append(_compare(image.name, ours, theirs, candidate))
        if worst is None or abs(theirs.count - ours.count) > abs(worst[2].count - worst[1].count):
            worst = image, ours, theirs
        if progress:
            progress()
    assert worst is not None, "no images"
    return Comparison(compared, gate, worst)


def _count(counter: EdgeCounter, image: NamedImage) -> CountResult:
    height, width = image.pixels.shape[:2]
    counter.regions = grid(width, height)
    try:
        return counter.count(image.pixels)
    except BackendError as error:
        raise UncountableError(image, str(error)) from error


def grid(width: int, height: int) -> dict[str, list[tuple[float, float]]]:
    """Return 4 x 4 regions of an image by name, as polygons of (x, y) in px."""
    xs, ys = np.linspace(0, width, SIDES + 1), np.linspace(0, height, SIDES + 1)
    corners = (0, 0), (1, 0), (1, 1), (0, 1)
    return {
        f"{row}{column}": [(xs[column + right], ys[row + down]) for right, down in corners]
        for row in range(SIDES)
        for column in range(SIDES)
    }


def _compare(
    name: str, ours: CountResult, theirs: CountResult, counter: EdgeCounter
) -> ImageComparison:
    density = points = None
    if ours.density_count is not None and theirs.density_count is not None:
        density = ours.density_count, theirs.density_count
    matched = 0
    if ours.peak_count is not None and theirs.peak_count is not None:
        points = ours.peak_count, theirs.peak_count
        levels = counter.manifest.levels()
        output = levels[0][0] if levels else counter.manifest.output("heatmap")
        spec = counter.manifest.input
        scale = min(input_geometry(ours.size, spec, spec.max_side).scale)
        reach = max(4.0, output.stride if output else 0) / scale
        matched = match(ours.points[:, :2], theirs.points[:, :2], reach)
    apart = [abs(theirs.regions[key].count - ours.regions[key].count) for key in ours.regions]
    return ImageComparison(
        name, ours.count, theirs.count, density, points, matched, float(np.mean(apart))
    )


def match(ours: NDArray[np.float32], theirs: NDArray[np.float32], reach: float) -> int:
    """Return how many points (N, 2) and (M, 2) are each other's nearest, within ``reach`` px."""
    if not len(ours) or not len(theirs):
        return 0
    there, far = _nearest(ours, theirs)
    back, _ = _nearest(theirs, ours)
    return int(((back[there] == np.arange(len(ours))) & (far <= reach)).sum())


def _nearest(
    points: NDArray[np.float32], others: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return index and distance (N,) of each point's nearest other, in parts that fit in memory."""
    found, far = [], []
    for part in np.array_split(points.astype(np.float64), -(-len(points) // 1000)):
        squares = np.square(part[:, None] - others[None]).sum(2)
        index = squares.argmin(1)
        found.append(index)
        far.append(np.sqrt(squares[np.arange(len(part)), index]))
    return np.concatenate(found), np.concatenate(far)
