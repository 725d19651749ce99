"""Recurrent attentive zooming (RAZ-Net, Liu, Weng and Mu, CVPR 2019), at inference.

Where the first pass sees a dense crowd, the image is cut, enlarged and searched again by the
same network, and that may recur. It works with any network that gives a heatmap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount import _ext
from edgecount.errors import ConfigError
from edgecount.train.data.sample import Array, Image
from edgecount.train.engine import WINDOW, predict
from edgecount.train.models.base import Network

RATIOS = (1.0, 2.0, 0.5)  # width over height
SCALES = (1.0, 2.0)  # of a third of the image's short side
ENLARGEMENT = 2
OVERLAP = 0.5  # intersection over union above which a region is dropped for a better one
MARGIN = 16  # px around a region that the network sees too, so that its edge cuts no head
CROSS = 5  # cells of the localization target that are 1 around each head

Boxes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Prediction:
    """The maps of a network for an image of H x W px.

    Attributes:
        heatmap: float32 (ceil(H / stride), ceil(W / stride)), head centres in [0, 1].
        stride: px per cell of the heatmap.
        offset: float32 (2, h, w), see :class:`edgecount.train.models.base.Maps`; or none.
        density: float32, people per cell, on a grid ``density_stride / stride`` times coarser; or
            none.
        density_stride: px, a multiple of ``stride``.
    """

    heatmap: Array
    stride: int
    offset: Array | None = None
    density: Array | None = None
    density_stride: int = 8


Infer = Callable[[Image], Prediction]


def predictor(network: Network) -> Infer:
    """Return a network in evaluation mode as a function of a BGR image (H, W, 3) uint8.

    Raises:
        ConfigError: the network gives no heatmap.
    """
    specs = {output.role: output for output in network.outputs}
    if "heatmap" not in specs:
        raise ConfigError(
            f"zoom: expected a network with a heatmap, got one with {', '.join(specs) or 'nothing'}"
        )

    def infer(image: Image) -> Prediction:
        maps = predict(network, image)
        heatmap, stride, offset = maps["heatmap"][0], specs["heatmap"].stride, maps.get("offset")
        if "density" not in specs:
            return Prediction(heatmap, stride, offset)
        density = maps["density"][0] / np.float32(specs["density"].unit)
        return Prediction(heatmap, stride, offset, density, specs["density"].stride)

    return infer


def zoom_points(
    infer: Infer,
    image: Image,
    *,
    threshold: float,
    zoom: int = 1,
    **proposing: Any,
) -> Array:
    """Find head points, those of dense regions at a larger size.

    A region's points replace those of the pass before. Where regions overlap, the better one
    counts. Two points of different passes that the larger cells' NMS would hold for one head are
    counted once, so that a head on a region's edge is not found on both of its sides.

    Args:
        infer: the network, for images of any size.
        image: (H, W, 3) uint8 BGR.
        threshold: a peak's score is above it.
        zoom: number of enlargements; 0: a single pass. Each costs up to ``keep`` more passes over
            about twice the image's area, for every region of the pass before.
        proposing: options of :func:`propose_regions`, the same in every pass.

    Returns:
        (N, 3) x, y in px of ``image``, score.

    Raises:
        ConfigError: ``zoom`` is negative.
    """
    if zoom < 0:
        raise ConfigError(f"zoom: expected 0 or more, got {zoom}")
    prediction = infer(image)
    height, width = image.shape[:2]
    points = _peaks(prediction, threshold, (width, height))
    if zoom == 0:
        return points
    regions = propose_regions(prediction, (width, height), **proposing)
    # Within it the window of the coarser pass would have kept one peak of the two.
    reach = prediction.stride * (WINDOW // 2)
    for index, region in enumerate(regions):
        crop, corner = _enlarged(image, region)
        found = zoom_points(infer, crop, threshold=threshold, zoom=zoom - 1, **proposing)
        found[:, :2] = found[:, :2] / ENLARGEMENT + corner
        earlier = regions[:index]
        others = points[~_inside(points, region[None]) | _inside(points, earlier)]
        new = found[_inside(found, region[None]) & ~_inside(found, earlier)]
        points = np.concatenate([others, new[~_near(new, others, reach)]])
    return points


def propose_regions(
    prediction: Prediction,
    size: tuple[int, int],
    *,
    samples: int = 200,
    keep: int = 10,
    score: float = 0.01,
    seed: int = 0,
) -> Boxes:
    """Propose regions worth a closer look, the most crowded first.

    Points are drawn in proportion to :func:`attention`, each with six anchors around it: three
    ratios of equal area at two scales, moved into the image. The paper scores an anchor by the
    predictions inside it; here that is their mean, for which its limit of 0.01 separates a crowd
    from single heads (a sum would let nearly everything pass).

    Args:
        prediction: the network's maps of the image.
        size: the image's width and height, px.
        samples: points drawn (m of the paper).
        keep: most regions kept (k).
        score: regions below it are dropped (z).
        seed: seed of the random points.

    Returns:
        (K, 4) left, top, right, bottom in px, inside the image.
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
    boxes = _anchors(centres, size)
    scores = _means(values, boxes, prediction.stride)
    order = np.argsort(-scores, kind="stable")
    return _suppress(boxes[order[scores[order] >= score]], keep)


def attention(prediction: Prediction) -> Array:
    """Return how crowded the cells of the heatmap are: (h, w), at least 0.

    The mean of the heatmap and, if there is one, of what the density expects of it: the people per
    cell times the 5 cells that the localization target gives each head.
    """
    heatmap = np.maximum(prediction.heatmap, 0.0, dtype=np.float32)
    if prediction.density is None:
        return heatmap
    factor = prediction.density_stride // prediction.stride
    fine = prediction.density.repeat(factor, axis=0).repeat(factor, axis=1) / factor**2
    expected = fine[: heatmap.shape[0], : heatmap.shape[1]] * CROSS
    combined: Array = (heatmap + np.maximum(expected, 0.0)) / np.float32(2)
    return combined


def _anchors(centres: NDArray[np.float64], size: tuple[int, int]) -> Boxes:
    """Return (6 N, 4) boxes around the points, moved into the image."""
    base = min(size) / 3
    scales, roots = base * np.repeat(SCALES, len(RATIOS)), np.tile(RATIOS, len(SCALES)) ** 0.5
    shapes = np.stack([scales * roots, scales / roots], axis=1)
    sides = np.clip(np.round(shapes), 1, size).astype(np.int64)
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


def _peaks(prediction: Prediction, threshold: float, size: tuple[int, int]) -> Array:
    offset = None if prediction.offset is None else np.ascontiguousarray(prediction.offset[None])
    heatmap = np.ascontiguousarray(prediction.heatmap[None])
    found = _ext.count_maps(heatmap, offset, window=WINDOW, threshold=threshold).peaks[0]
    points: Array = found.copy()
    points[:, :2] = np.clip(points[:, :2] * prediction.stride, 0, size)
    return points


def _enlarged(image: Image, region: Boxes) -> tuple[Image, Boxes]:
    """Cut a region with its margin at twice the size; return it and its corner in the image."""
    left, top = np.maximum(region[:2] - MARGIN, 0)
    right, bottom = region[2:] + MARGIN
    crop = image[top:bottom, left:right]
    sides = (crop.shape[1] * ENLARGEMENT, crop.shape[0] * ENLARGEMENT)
    enlarged = cv2.resize(crop, sides, interpolation=cv2.INTER_LINEAR)
    return enlarged.astype(np.uint8, copy=False), np.array([left, top])


def _inside(points: Array, boxes: Boxes) -> NDArray[np.bool_]:
    """Return which points lie in any of the boxes; a box holds its left and top edges."""
    x, y = points[:, 0, None], points[:, 1, None]
    left, top, right, bottom = boxes.T
    inside: NDArray[np.bool_] = ((x >= left) & (x < right) & (y >= top) & (y < bottom)).any(1)
    return inside


def _near(points: Array, others: Array, reach: float) -> NDArray[np.bool_]:
    """Return which points have one of the others within ``reach`` px on both axes."""
    near = np.zeros(len(points), bool)
    if not len(points):
        return near
    low, high = points[:, :2].min(0) - reach, points[:, :2].max(0) + reach
    beside = others[((others[:, :2] >= low) & (others[:, :2] <= high)).all(1)]
    for x, y in beside[:, :2]:
        near |= (abs(points[:, 0] - x) <= reach) & (abs(points[:, 1] - y) <= reach)
    return near
