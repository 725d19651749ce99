"""Random maps of detectors, and how a GPU counts them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from gpu_maps import upload, upload_apart
from numpy.typing import NDArray

from edgecount import _ext

# The scores (B, A, h, w), the boxes (B, 4 * A, h, w) and the stride.
Level: TypeAlias = tuple[NDArray[Any], NDArray[Any], int]


@dataclass
class BoxCase:
    """The maps of a batch and how their boxes are counted.

    Attributes:
        levels: the maps of each stride.
        masks: (R, h, w) coverage of the first level's cells.
        options: keywords of `_ext.count_boxes`.
        more: those that only `_ext.BoxCounter` has.
    """

    levels: list[Level]
    masks: NDArray[np.float32] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def on_cpu(self) -> _ext.MapCounts:
        return _ext.count_boxes(self.levels, self.masks, **self.options)


def random_boxes(rng: np.random.Generator, side: int) -> BoxCase:
    """Draw maps of any kind that the kernels take, the first of at most so many cells a side."""
    batch = int(rng.choice([1, 1, 2, 3]))
    height, width = (int(n) for n in rng.integers(1, side, 2, endpoint=True))
    levels = []
    for i in range(int(rng.choice([1, 2, 3, 5]))):
        shape = (-(-height // 2**i), -(-width // 2**i))
        levels.append(random_level(rng, batch, shape, int(rng.choice([1, 1, 2, 3])), 8 << i))
    masks = None
    if regions := int(rng.choice([0, 0, 1, 9, 33])):
        coverage = np.clip(rng.normal(0.5, 1, (regions, height, width)), 0, 1)
        masks = coverage.astype(np.float32)
    options = {
        "threshold": float(rng.choice([0.0, 0.3, 0.5, 0.9, 1.0])),
        "iou": float(rng.choice([0.0, 0.1, 0.45, 0.5, 0.9, 1.0])),
        "capacity": int(rng.choice([0, 0, 1, 20, 5000])),
    }
    if rng.random() < 0.5:  # a frame that ends inside the maps
        options["size"] = (float(8 * width * rng.random()), float(8 * height))
    return BoxCase(levels, masks, options, {"listed": int(rng.choice([0, 1, 7, 1024]))})


def random_level(
    rng: np.random.Generator, batch: int, shape: tuple[int, int], anchors: int, stride: int
) -> Level:
    """Draw noise, ties, or mostly nothing, with boxes of many or of few sizes."""
    kind = rng.integers(4)
    scores = rng.random((batch, anchors, *shape))
    if kind == 0:
        scores = rng.choice([0.1, 0.3, 0.5, 0.5, 0.95], scores.shape)
    elif kind == 1:
        scores *= rng.random(scores.shape) < 0.05
    size = float(rng.choice([0.5, 1, 3]))
    boxes = rng.normal(size, size / 2, (batch, 4 * anchors, *shape))
    if rng.random() < 0.4:
        boxes = np.round(2 * boxes) / 2
    return (
        scores.astype(rng.choice([np.float16, np.float32])),
        boxes.astype(rng.choice([np.float16, np.float32])),
        stride,
    )


def make_box_counter(case: BoxCase) -> _ext.BoxCounter:
    """Make a counter for batches of the case's shapes."""
    shapes = [
        (*scores.shape[1:], stride, str(scores.dtype), str(boxes.dtype))
        for scores, boxes, stride in case.levels
    ]
    batch = len(case.levels[0][0])
    return _ext.BoxCounter(batch, shapes, masks=case.masks, **case.options, **case.more)


def count_boxes(
    case: BoxCase,
    rng: np.random.Generator | None = None,
    counter: _ext.BoxCounter | None = None,
) -> _ext.MapCounts:
    """Return a case's counts by the GPU; with ``rng``, its maps lie apart."""
    stream = _ext.Stream()
    counter = counter or make_box_counter(case)

    def on_device(array: NDArray[Any]) -> _ext.DeviceArray:
        return upload(array, stream) if rng is None else upload_apart(array, rng, stream)

    counter.enqueue([(on_device(s), on_device(b)) for s, b, _ in case.levels], stream)
    stream.synchronize()
    return counter.read(stream)


def suppress_one_by_one(case: BoxCase, image: int) -> NDArray[np.float32]:
    """Return (n, 5) left, top, right, bottom, score of the boxes kept, by hand."""
    threshold = np.float32(case.options["threshold"])
    candidates = []
    for number, (scores, boxes, stride) in enumerate(case.levels):
        above = scores[image].astype(np.float32) > threshold
        for anchor, y, x in np.argwhere(above):
            left, top, right, bottom = boxes[image, 4 * anchor : 4 * anchor + 4, y, x]
            centre = np.float32([x, y]) + np.float32(0.5)
            low = (centre - np.float32([left, top])) * np.float32(stride)
            high = (centre + np.float32([right, bottom])) * np.float32(stride)
            if (high > low).all():
                score = np.float32(scores[image, anchor, y, x])
                candidates.append((-score, number, y, x, anchor, *low, *high))
    kept: list[NDArray[np.float64]] = []
    for candidate in sorted(candidates):
        box = np.array([*candidate[5:], -candidate[0]], np.float64)
        if not any(_iou_above(box, other, case.options["iou"]) for other in kept):
            kept.append(box)
    return np.array(kept, np.float32).reshape(-1, 5)


def _iou_above(a: NDArray[np.float64], b: NDArray[np.float64], iou: float) -> bool:
    sides = np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2])
    if (sides <= 0).any():
        return False
    both = sides.prod()
    areas = (a[2:4] - a[:2]).prod() + (b[2:4] - b[:2]).prod()
    return bool(both > iou * (areas - both))
