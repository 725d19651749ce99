"""Region proposals of RAZ-Net (Liu, Weng and Mu, CVPR 2019).

What the sources at hand fix: the predictions of both branches are put together, m = 200 points are
drawn from them, each gets anchors of three ratios at two scales, anchors are scored, those below
z = 0.01 are dropped, and the best k = 10 are kept after suppression. They call it a branch that is
trained after the other two, but give neither its layers nor its target nor its loss. So nothing is
learned here: the score is the mean of the two predictions, which need no labels of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]
    Boxes = NDArray[np.int64]

RATIOS = (1.0, 2.0, 0.5)  # width over height
SCALES = (1.0, 2.0)  # of a third of the image's short side
OVERLAP = 0.5  # intersection over union above which a region is dropped for a better one
CROSS = 5  # pixels of the localization target that are 1 around each head


@dataclass(frozen=True, eq=False)
class Prediction:
    """The maps of a network for an image, cut to the cells that it covers.

    Attributes:
        size: width and height of the image in network pixels.
        heatmap: (h, w), head probabilities in [0, 1].
        stride: network pixels per cell of the heatmap.
        offset: (2, h, w), dx and dy of the head from the corner of its cell, in cells; or none.
        density: (h', w'), people per cell; or none.
        density_stride: network pixels per cell of the density, a multiple of `stride`.
    """

    size: tuple[int, int]
    heatmap: Array
    stride: int
    offset: Array | None = None
    density: Array | None = None
    density_stride: int = 8


def propose_regions(
    prediction: Prediction,
    *,
    samples: int = 200,
    keep: int = 10,
    score: float = 0.01,
    seed: int = 0,
) -> Boxes:
    """Propose regions worth a closer look, the most crowded first.

    Points are drawn in proportion to `attention`, each with six anchors around it: three ratios of
    equal area at two scales, moved into the image. The score of an anchor is the mean attention
    inside it, for which the paper's limit of 0.01 separates a crowd from single heads (a sum would
    let nearly everything pass).

    Args:
        prediction: the network's maps of the image.
        samples: points drawn (m of the paper).
        keep: most regions kept (k).
        score: regions below it are dropped (z).
        seed: seed of the random points.

    Returns:
        (K, 4) left, top, right, bottom in network pixels, inside the image.
    """
    values = attention(prediction)
    # Inverse transform sampling; in float64, or large maps would drop their last cells.
    cumulative = np.cumsum(values, dtype=np.float64)
    if not cumulative.size or cumulative[-1] <= 0:
        return np.zeros((0, 4), np.int64)
    drawn = np.random.default_rng(seed).random(samples) * cumulative[-1]
    cells = np.minimum(np.searchsorted(cumulative, drawn, side="right"), cumulative.size - 1)
    rows, columns = np.divmod(cells, values.shape[1])
    centres = (np.stack([columns, rows], 1) + 0.5) * prediction.stride
    boxes = _anchors(centres, prediction.size)
    scores = _means(values, boxes, prediction.stride)
    order = np.argsort(-scores, kind="stable")
    return _suppress(boxes[order[scores[order] >= score]], keep)


def attention(prediction: Prediction) -> Array:
    """Return how crowded the cells of the heatmap are: float32 (h, w), at least 0.

    It is the mean of the heatmap and, if there is one, of what the density expects of it: the
    people per cell times the 5 pixels that the localization target gives each head. Both are
    shares of pixels, as the paper's maps are of the image's size: in a cell of s x s pixels, one
    head has 5 at most. So the limit of a region's score means the same for every stride.
    """
    share = np.float32(CROSS / prediction.stride**2)
    heatmap: Array = np.maximum(prediction.heatmap, 0.0, dtype=np.float32) * min(share, 1)
    if prediction.density is None:
        return heatmap
    factor = prediction.density_stride // prediction.stride
    fine = prediction.density.repeat(factor, axis=0).repeat(factor, axis=1) / factor**2
    expected = fine[: heatmap.shape[0], : heatmap.shape[1]] * share
    combined: Array = (heatmap + np.maximum(expected, 0.0)) / np.float32(2)
    return combined


def anchor_sides(size: tuple[int, int]) -> Boxes:
    """Return (6, 2) widths and heights of the anchors in an image of (width, height) pixels."""
    base = min(size) / 3
    scales, roots = base * np.repeat(SCALES, len(RATIOS)), np.tile(RATIOS, len(SCALES)) ** 0.5
    shapes = np.stack([scales * roots, scales / roots], axis=1)
    sides: Boxes = np.clip(np.round(shapes), 1, size).astype(np.int64)
    return sides


def _anchors(centres: NDArray[np.float64], size: tuple[int, int]) -> Boxes:
    """Return (6 N, 4) boxes around the points, moved into the image."""
    sides = anchor_sides(size)
    corners = np.round(centres[:, None] - sides / 2).astype(np.int64)
    corners = np.clip(corners, 0, np.array(size) - sides)
    return np.concatenate([corners, corners + sides], axis=2).reshape(-1, 4)


def _means(values: Array, boxes: Boxes, stride: int) -> NDArray[np.float64]:
    """Return the mean over the cells that each box touches, by the integral image."""
    integral = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    integral[1:, 1:] = values.cumsum(0, dtype=np.float64).cumsum(1)
    left, top = boxes[:, 0] // stride, boxes[:, 1] // stride
    right, bottom = -(-boxes[:, 2] // stride), -(-boxes[:, 3] // stride)
    sums = integral[bottom, right] - integral[top, right] - integral[bottom, left]
    means: NDArray[np.float64] = (sums + integral[top, left]) / ((right - left) * (bottom - top))
    return means


def _suppress(boxes: Boxes, keep: int) -> Boxes:
    """Suppress boxes that overlap a better one (NMS); they come in the order of their merit."""
    kept: list[Boxes] = []
    while len(boxes) and len(kept) < keep:
        best = boxes[0]
        kept.append(best)
        sides = np.minimum(boxes[:, 2:], best[2:]) - np.maximum(boxes[:, :2], best[:2])
        common = sides.clip(min=0).prod(1)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        boxes = boxes[common <= OVERLAP * (areas + areas[0] - common)]
    return np.array(kept, np.int64).reshape(-1, 4)
