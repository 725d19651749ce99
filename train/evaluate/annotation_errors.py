"""Find annotated images whose annotation is probably incomplete or wrong, by a model's counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import BackendError, EdgeCountError
from edgecount.train.data.sample import Sample
from edgecount.train.evaluate.counting import count_samples
from edgecount.train.evaluate.evaluation import head_radii

if TYPE_CHECKING:
    from edgecount import CountResult, EdgeCounter

FEWEST = 3  # heads that speak against an annotation
SHARE = 0.15  # of the annotated heads, that so many are
CLEAR = 0.25  # of the way from a model's threshold to 1: scores of heads that are no guesses
NOBODY = 0.1  # people by density around a head that the model does not see at all
BLIND = 0.2  # share of other images' heads that a model does not see at all, if it suits the set
_LEAST_RADIUS = 8.0  # px, of models without a density map, whose cells say what they can tell apart


@dataclass(frozen=True, eq=False)
class Suspect:
    """An image compared with the count of a model.

    Attributes:
        sample: the annotated image.
        count: the model's count.
        interval: (low, high) likely range of the count; None: the model has none, or the image is
            annotated in a region alone.
        unannotated: head points that are near no annotated head; of a model without points, people
            by density there.
        clear: those of them whose score leaves little doubt; None of a model without points.
        unseen: annotated heads that have no point and next to no density around them; None of a
            model without a density map, whose misses say nothing.
        points: (P, 3) x and y of the head points in px of the image, and score.
        is_unannotated: (P,) which of them are near no annotated head.
    """

    sample: Sample
    count: float
    interval: tuple[float, float] | None
    unannotated: float
    clear: int | None
    unseen: int | None
    points: NDArray[np.float32]
    is_unannotated: NDArray[np.bool_]

    @property
    def annotated(self) -> int:
        """Number of annotated heads."""
        return len(self.sample.points)

    @property
    def too_few(self) -> float:
        """Annotated heads that lack to the count's likely range, in people; 0 where it has none."""
        return max(self.interval[0] - self.annotated, 0.0) if self.interval else 0.0

    @property
    def _sure(self) -> float:
        return self.unannotated if self.clear is None else self.clear

    @property
    def reasons(self) -> tuple[str, ...]:
        """Name what speaks against the annotation.

        - ``too_few``: fewer heads are annotated than the count's likely range begins with, and
          there are heads that are not annotated;
        - ``unannotated``: clear heads, several and many beside the annotated, are not annotated;
        - ``nobody_there``: most of the heads are annotated where the model sees nobody.
        """
        unseen = self.unseen or 0
        found = {
            "too_few": self.too_few > 0 and self.unannotated >= FEWEST,
            "unannotated": self._sure >= max(FEWEST, SHARE * self.annotated),
            "nobody_there": unseen >= FEWEST and unseen > self.annotated / 2,
        }
        return tuple(name for name, speaks in found.items() if speaks)

    @property
    def strength(self) -> float:
        """Heads in question beside the root of those annotated: what orders the images."""
        unseen = self.unseen or 0 if "nobody_there" in self.reasons else 0
        return max(self.too_few, self._sure, unseen) / math.sqrt(self.annotated + 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain JSON types."""
        return {
            "name": self.sample.name,
            "path": str(self.sample.path),
            "annotated": self.annotated,
            "count": self.count,
            "interval": None if self.interval is None else list(self.interval),
            "unannotated": self.unannotated,
            "clear": self.clear,
            "unseen": self.unseen,
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True)
class Uncounted:
    """An image that could not be counted, and why."""

    sample: Sample
    reason: str

    def to_dict(self) -> dict[str, str]:
        """Return the fields as plain JSON types."""
        return {
            "name": self.sample.name,
            "path": str(self.sample.path),
            "reason": self.reason,
        }


@dataclass(frozen=True)
class AnnotationErrors:
    """Hold what a model says of the annotations of a set.

    Attributes:
        model: the model's name.
        images: images that were counted.
        heads: annotated heads of these.
        unseen: those of them that the model does not see at all; None of a model without a density.
        blind: whether the model misses so many annotated heads that it hardly suits these images;
            those of images where it sees nobody count only if there are no others.
        suspects: images whose annotation is probably incomplete or wrong, the most striking first.
        failed: images that could not be counted.
    """

    model: str
    images: int
    heads: int
    unseen: int | None
    blind: bool
    suspects: list[Suspect]
    failed: list[Uncounted]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        suspects = [suspect.to_dict() for suspect in self.suspects]
        return {
            **vars(self),
            "suspects": suspects,
            "failed": [one.to_dict() for one in self.failed],
        }


def find_annotation_errors(
    counter: EdgeCounter,
    samples: Sequence[Sample],
    *,
    progress: Callable[[], None] | None = None,
    on_error: Callable[[Sample, Exception], None] | None = None,
) -> AnnotationErrors:
    """Count annotated images, and name those whose annotation is probably incomplete or wrong.

    That most heads are annotated where the model sees nobody speaks against an annotation only if
    the model sees 80% of the heads of the other images, which are all that are not in question for
    this reason: else the model may be blind to such people.

    Args:
        counter: the model, with its own threshold.
        samples: annotated images; where one is annotated in a region, it is counted inside it.
        progress: called after each image.
        on_error: called with what reading or counting an image raises; the image is left out.
            None: it is raised.

    Raises:
        BackendError: the engine failed.
    """
    threshold = counter.manifest.postprocess.threshold
    clear = threshold + CLEAR * (1 - threshold)
    images, heads, unseen = 0, 0, 0
    blank = counter.manifest.output("density") is None
    suspects: list[Suspect] = []
    failed: list[Uncounted] = []
    with closing(count_samples(counter, samples)) as counted:
        for sample, result in zip(samples, counted, strict=True):
            try:
                compared = compare(result(), sample, clear)
            except BackendError:
                raise
            except Exception as error:  # codecs raise anything
                if on_error is None:
                    raise
                failed.append(Uncounted(sample, _reason(error)))
                on_error(sample, error)
            else:
                images, heads = images + 1, heads + compared.annotated
                unseen += compared.unseen or 0
                if compared.reasons:
                    suspects.append(compared)
            if progress:
                progress()
    blind = _is_blind(heads, unseen, suspects)
    if blind:
        suspects = [one for one in suspects if one.reasons != ("nobody_there",)]
    suspects.sort(key=lambda suspect: -suspect.strength)
    return AnnotationErrors(
        counter.manifest.name, images, heads, None if blank else unseen, blind, suspects, failed
    )


def _is_blind(heads: int, unseen: int, suspects: Sequence[Suspect]) -> bool:
    """Return whether a model misses too many heads of the images that are not ``nobody_there``.

    An image with another's points is no reason to doubt the model, however small the set is. Where
    the other images have no heads, or there are none, nothing says that it sees any.
    """
    strange = [one for one in suspects if "nobody_there" in one.reasons]
    others = heads - sum(one.annotated for one in strange)
    missed = unseen - sum(one.unseen or 0 for one in strange)
    return missed > BLIND * others if others else bool(strange)


def _reason(error: Exception) -> str:
    if isinstance(error, EdgeCountError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory"
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def compare(result: CountResult, sample: Sample, clear: float) -> Suspect:
    """Compare the annotation of an image with a model's result.

    Args:
        result: inside the annotated region.
        sample: the annotated image.
        clear: score from which a head is clear.
    """
    radii = _radii(sample, max(result.density_stride_xy) or _LEAST_RADIUS)
    points, heads = result.points, sample.points.astype(np.float64)
    near = _near(points[:, :2].astype(np.float64), heads, radii)
    alone = ~_any_of(near, len(points))
    unannotated: float = int(alone.sum())
    certain: int | None = int((alone & (points[:, 2] >= clear)).sum())
    if result.peak_count is None:
        unannotated, certain = _density_elsewhere(result, heads, radii), None
    unseen = None
    if result.density_count is not None:
        seen = np.array([len(found) > 0 for found in near], np.bool_)
        unseen = int((~seen & (_density_around(result, heads, radii) < NOBODY)).sum())
    return Suspect(
        sample, float(result.count), result.interval, unannotated, certain, unseen, points, alone
    )


def _radii(sample: Sample, least: float) -> NDArray[np.float64]:
    """Return (N,) how far from a head a point of it may be, px.

    Half the diagonal of the head's box, as for F1: the middle of a face lies inside. Sizes that
    are guessed from neighbours are taken whole.
    """
    radii = head_radii(sample) if sample.boxes is not None else sample.sizes.astype(np.float64)
    return np.maximum(radii, least)


def _near(
    places: NDArray[np.float64], heads: NDArray[np.float64], radii: NDArray[np.float64]
) -> Sequence[Sequence[int]]:
    """Return for each of N heads the rows of the places that are within its radius."""
    from scipy.spatial import KDTree

    if not len(places) or not len(heads):
        return [[] for _ in heads]
    found: Sequence[Sequence[int]] = KDTree(places).query_ball_point(heads, radii)
    return found


def _any_of(rows: Sequence[Sequence[int]], number: int) -> NDArray[np.bool_]:
    """Return (number,) which rows are in one of the lists."""
    inside = np.zeros(number, np.bool_)
    for found in rows:
        inside[found] = True
    return inside


def _density_elsewhere(
    result: CountResult, heads: NDArray[np.float64], radii: NDArray[np.float64]
) -> float:
    """Return the people by density in cells that are no annotated head's.

    A density map spreads a head over some cells around it: twice the radius and a cell are its own.
    """
    stride = np.array(result.density_stride_xy)
    rows, columns = np.indices(result.density.shape)
    centres = (np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5) * stride
    own = _any_of(_near(centres, heads, 2 * radii + stride.max()), len(centres))
    return float(result.density.ravel()[~own].sum(dtype=float))


def _density_around(
    result: CountResult, heads: NDArray[np.float64], radii: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (N,) the people by density in the square of twice the radius around each head."""
    height, width = result.density.shape
    sums = np.pad(result.density.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    reach, stride = 2 * radii[:, None], np.array(result.density_stride_xy)
    low = np.floor((heads - reach) / stride).astype(np.int64).clip(0, (width, height))
    high = np.ceil((heads + reach) / stride).astype(np.int64).clip(0, (width, height))
    (left, top), (right, bottom) = low.T, high.T
    around: NDArray[np.float64] = (
        sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    )
    return around
