"""Whether a converted model counts like the original, on real images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import BackendError
from edgecount.runtime.pipeline.preprocess import plan_input

if TYPE_CHECKING:
    from edgecount import CountResult, EdgeCounter

SIDES = 4  # regions on each side of an image

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """An image to compare on.

    Attributes:
        name: for the report.
        image: uint8 (H, W, 3) BGR.
    """

    name: str
    image: Frame


class UncountableError(BackendError):
    """The engine failed on a picture, or gave values that are no numbers.

    Attributes:
        picture: the one.
    """

    def __init__(self, picture: Picture, reason: str) -> None:
        super().__init__(f"{picture.name}: {reason}")
        self.picture = picture


@dataclass(frozen=True)
class Compared:
    """What the original and the candidate say of one image.

    Attributes:
        name: the picture's.
        reference: people by the original.
        candidate: people by the candidate.
        density: both density counts, original first; None without a density.
        points: both numbers of head points; None without a heatmap.
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
        """Candidate minus original, in people."""
        return self.candidate - self.reference


@dataclass(frozen=True)
class Proof:
    """A candidate against the original.

    Attributes:
        images: in order, at least one.
        gate: the largest relative difference that is accepted.
    """

    images: Sequence[Compared]
    gate: float
    worst: tuple[Picture, CountResult, CountResult] = field(repr=False)

    @property
    def mean_count(self) -> float:
        """People by the original, mean over the images."""
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
        """Whether the difference is within the gate; one that is no number is not."""
        return self.relative <= self.gate

    @property
    def matched(self) -> float | None:
        """Share of the points that both find, 2 m / (a + b); None without points."""
        pairs = [one.points for one in self.images if one.points is not None]
        if not pairs:
            return None
        found = sum(map(sum, pairs))
        return 2 * sum(one.matched for one in self.images) / found if found else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
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


def count_pictures(counter: EdgeCounter, pictures: Iterable[Picture]) -> list[CountResult]:
    """Every picture, with the counts of its 16 regions.

    Raises:
        UncountableError: the engine failed, or gave values that are no numbers.
    """
    return [_count(counter, picture) for picture in pictures]


def prove(
    pictures: Sequence[Picture],
    originals: Sequence[CountResult],
    candidate: EdgeCounter,
    gate: float,
    *,
    progress: Callable[[], None] | None = None,
) -> Proof:
    """Count every picture with a candidate.

    Args:
        pictures: at least one.
        originals: what the float32 model says of them, see :func:`count_pictures`.
        candidate: what was made of it.
        gate: see :class:`Proof`.
        progress: called after each picture.

    Raises:
        UncountableError: the engine failed, or gave values that are no numbers.
    """
    images: list[Compared] = []
    worst: tuple[Picture, CountResult, CountResult] | None = None
    for picture, ours in zip(pictures, originals, strict=True):
        theirs = _count(candidate, picture)
        images.append(_compare(picture.name, ours, theirs, candidate))
        if worst is None or abs(theirs.count - ours.count) > abs(worst[2].count - worst[1].count):
            worst = picture, ours, theirs
        if progress:
            progress()
    assert worst is not None, "no pictures"
    return Proof(images, gate, worst)


def _count(counter: EdgeCounter, picture: Picture) -> CountResult:
    height, width = picture.image.shape[:2]
    counter.regions = grid(width, height)
    try:
        return counter.count(picture.image)
    except BackendError as error:
        raise UncountableError(picture, str(error)) from error


def grid(width: int, height: int) -> dict[str, list[tuple[float, float]]]:
    """The image cut into 4 x 4 regions, by name, as polygons in px."""
    xs, ys = np.linspace(0, width, SIDES + 1), np.linspace(0, height, SIDES + 1)
    return {
        f"{row}{column}": [
            (xs[column], ys[row]),
            (xs[column + 1], ys[row]),
            (xs[column + 1], ys[row + 1]),
            (xs[column], ys[row + 1]),
        ]
        for row in range(SIDES)
        for column in range(SIDES)
    }


def _compare(name: str, ours: CountResult, theirs: CountResult, counter: EdgeCounter) -> Compared:
    density = points = None
    if ours.density_count is not None and theirs.density_count is not None:
        density = ours.density_count, theirs.density_count
    matched = 0
    if ours.peak_count is not None and theirs.peak_count is not None:
        points = ours.peak_count, theirs.peak_count
        output = counter.manifest.output("heatmap")
        spec = counter.manifest.input
        scale = min(plan_input(ours.size, spec, spec.max_side).scale)
        reach = max(4.0, output.stride if output else 0) / scale
        matched = match(ours.points[:, :2], theirs.points[:, :2], reach)
    apart = [abs(theirs.regions[key].count - ours.regions[key].count) for key in ours.regions]
    return Compared(name, ours.count, theirs.count, density, points, matched, float(np.mean(apart)))


def match(ours: NDArray[np.float32], theirs: NDArray[np.float32], reach: float) -> int:
    """How many points (N, 2) and (M, 2) are each other's nearest, within ``reach`` px."""
    if not len(ours) or not len(theirs):
        return 0
    there, far = _nearest(ours, theirs)
    back, _ = _nearest(theirs, ours)
    return int(((back[there] == np.arange(len(ours))) & (far <= reach)).sum())


def _nearest(
    points: NDArray[np.float32], others: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Index and distance of the nearest other of each point, in parts that fit in memory."""
    found, far = [], []
    for part in np.array_split(points.astype(np.float64), -(-len(points) // 1000)):
        squares = np.square(part[:, None] - others[None]).sum(2)
        index = squares.argmin(1)
        found.append(index)
        far.append(np.sqrt(squares[np.arange(len(part)), index]))
    return np.concatenate(found), np.concatenate(far)
