"""Whose head a place is: each paper's rule in plain loops over places and heads."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.train.targets.detection.anchors import (  # noqa: E402
    assign_by_overlap,
    assign_by_shape,
    pairwise_iou,
)
from edgecount.train.targets.detection.cells import (  # noqa: E402
    assign_by_centre,
    assign_by_fovea,
)
from edgecount.train.targets.detection.places import (  # noqa: E402
    BACKGROUND,
    IGNORED,
    Places,
    gaussian_weights,
)

STRIDES = (8, 16, 32)
SIDE = 96
CELLS = [((1.0, 1.0),)] * 3
ANCHORS = [[(1.5 * s, 1.5 * s), (3.0 * s, 2.0 * s)] for s in STRIDES]


def places_of(sizes):
    shapes = [(SIDE // s, SIDE // s) for s in STRIDES]
    return Places.of(shapes, STRIDES, sizes, torch.device("cpu"))


def crowd(number, seed=0, largest=50):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, SIDE, (number, 2))
    sides = rng.uniform(2, largest, (number, 1)) * rng.uniform(0.7, 1.4, (number, 2))
    return np.concatenate([centres - sides / 2, centres + sides / 2], 1).astype(np.float32)


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return shared / (sum(areas) - shared)


def test_places_are_in_the_order_of_the_maps():
    places = places_of(ANCHORS)
    number = 0
    for level, stride in enumerate(STRIDES):
        for anchor in ANCHORS[level]:
            for row in range(SIDE // stride):
                for column in range(SIDE // stride):
                    centre = ((column + 0.5) * stride, (row + 0.5) * stride)
                    assert tuple(places.centres[number].tolist()) == centre
                    assert tuple(places.sizes[number].tolist()) == anchor
                    assert places.strides[number] == stride
                    assert places.levels[number] == level
                    number += 1
    assert number == len(places.centres)


@pytest.mark.parametrize("keep_best", [True, False])
@pytest.mark.parametrize("number", [0, 1, 70])  # 70: more than are compared at once
def test_anchors_by_overlap(number, keep_best):
    places, boxes = places_of(ANCHORS), crowd(number)
    got = assign_by_overlap(places, torch.from_numpy(boxes), keep_best=keep_best).tolist()
    overlaps = pairwise_iou(places.boxes(), torch.from_numpy(boxes)).numpy()
    expected = []
    for anchor in places.boxes().tolist():
        shared = [iou(anchor, box) for box in boxes.tolist()]
        best = int(np.argmax(shared)) if shared else 0
        most = shared[best] if shared else 0.0
        expected.append(best if most >= 0.5 else IGNORED if most >= 0.4 else BACKGROUND)
    if keep_best:
        for head in range(number):
            highest = overlaps[:, head].max()
            for place in np.flatnonzero(overlaps[:, head] == highest) if highest > 0 else ():
                expected[place] = head
        assert set(got) >= set(range(number)) or number == 70  # 70 heads share some best anchors
    assert got == expected


@pytest.mark.parametrize("number", [0, 1, 70])
def test_anchors_by_shape(number):
    places, boxes = places_of(ANCHORS), crowd(number)
    got = assign_by_shape(places, torch.from_numpy(boxes), most=4.0).tolist()
    expected = [(math.inf, BACKGROUND)] * len(got)
    # YOLOv5's way: from each head to its cell and the two neighbours on the sides it is nearest to
    place = {
        (int(level), tuple(size), tuple(centre)): number
        for number, (level, size, centre) in enumerate(
            zip(places.levels, places.sizes.tolist(), places.centres.tolist(), strict=True)
        )
    }
    for head, (left, top, right, bottom) in enumerate(boxes.tolist()):
        for level, stride in enumerate(STRIDES):
            x, y = (left + right) / 2 / stride, (top + bottom) / 2 / stride
            column, row = math.floor(x), math.floor(y)
            cells = [
                (column, row),
                (column + (1 if x - column > 0.5 else -1), row),
                (column, row + (1 if y - row > 0.5 else -1)),
            ]
            for anchor in ANCHORS[level]:
                ratios = [(right - left) / anchor[0], (bottom - top) / anchor[1]]
                if max(max(r, 1 / r) for r in ratios) >= 4.0:
                    continue
                for c, r in cells:
                    centre = ((c + 0.5) * stride, (r + 0.5) * stride)
                    at = place.get((level, anchor, centre))
                    if at is not None:
                        far = (x - c - 0.5) ** 2 + (y - r - 0.5) ** 2
                        expected[at] = min(expected[at], (far, head))
    assert got == [head for _, head in expected]


RANGES = [(0.0, 12.0), (12.0, 24.0), (24.0, math.inf)]


@pytest.mark.parametrize("radius", [1.5, 0.0])
@pytest.mark.parametrize("number", [0, 1, 70])
def test_cells_by_centre(number, radius):
    places, boxes = places_of(CELLS), crowd(number)
    got = assign_by_centre(places, torch.from_numpy(boxes), RANGES, radius=radius).tolist()
    candidates = [set() for _ in got]
    for head, (left, top, right, bottom) in enumerate(boxes.tolist()):
        mine = []
        for at, ((x, y), level) in enumerate(
            zip(places.centres.tolist(), places.levels.tolist(), strict=True)
        ):
            sides = (x - left, y - top, right - x, bottom - y)
            apart = max(abs(x - (left + right) / 2), abs(y - (top + bottom) / 2))
            near = not radius or apart < radius * STRIDES[level]
            low, high = RANGES[level]
            if min(sides) > 0 and near and low < max(sides) <= high:
                mine.append(at)
        if not mine:
            half = max(right - left, bottom - top) / 2
            level = next(n for n, (low, high) in enumerate(RANGES) if low < half <= high)
            stride = STRIDES[level]
            own = [
                at
                for at, (x, y) in enumerate(places.centres.tolist())
                if places.levels[at] == level
                and max(abs(x - (left + right) / 2), abs(y - (top + bottom) / 2)) <= stride / 2
            ]
            mine = own
        for at in mine:
            candidates[at].add(head)
    assert got == [nearest(heads, boxes) for heads in candidates]
    if number == 1:
        assert 0 in got


def nearest(heads, boxes):
    """Return the smallest head of some, -1 without any."""
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return min(heads, key=lambda head: areas[head]) if heads else BACKGROUND


@pytest.mark.parametrize("number", [0, 1, 70])
def test_cells_by_fovea(number):
    places, boxes = places_of(CELLS), crowd(number)
    ranges = [(0.0, 16.0), (8.0, 32.0), (16.0, math.inf)]
    got = assign_by_fovea(places, torch.from_numpy(boxes), ranges, shrink=0.4).tolist()
    candidates = [set() for _ in got]
    for head, (left, top, right, bottom) in enumerate(boxes.tolist()):
        size = math.sqrt((right - left) * (bottom - top))
        cx, cy = (left + right) / 2, (top + bottom) / 2
        for level, (low, high) in enumerate(ranges):
            if not low <= size <= high:
                continue
            here = [at for at in range(len(got)) if places.levels[at] == level]
            mine = [
                at
                for at in here
                if abs(places.centres[at, 0] - cx) <= 0.2 * (right - left)
                and abs(places.centres[at, 1] - cy) <= 0.2 * (bottom - top)
            ]
            half = STRIDES[level] / 2
            own = [
                at
                for at in here
                if (places.centres[at] - torch.tensor([cx, cy])).abs().max() <= half
            ]
            for at in mine or own:
                candidates[at].add(head)
    assert got == [nearest(heads, boxes) for heads in candidates]


def test_a_tiny_head_is_not_lost():
    boxes = torch.tensor([[40.2, 40.2, 42.2, 42.2]])  # between the centres of all cells
    assert (assign_by_centre(places_of(CELLS), boxes, RANGES) == 0).sum() == 1
    fovea = assign_by_fovea(places_of(CELLS), boxes, [(0, 16), (8, 32), (16, math.inf)])
    assert (fovea == 0).sum() == 1
    assert (assign_by_overlap(places_of(ANCHORS), boxes) == 0).sum() >= 1


def test_the_heatmap_in_a_box_is_equation_10s():
    places = places_of(CELLS).chosen(torch.tensor([0, 13, 144]))  # two of stride 8, one of 16
    boxes = torch.tensor([[0.0, 0, 24, 16], [0, 0, 24, 16], [0, 0, 40, 40]])
    got = gaussian_weights(places, boxes).tolist()
    for value, centre, box, stride in zip(
        got, places.centres.tolist(), boxes.tolist(), (8, 8, 16), strict=True
    ):
        d = 2 * min(box[2] - box[0], box[3] - box[1]) / stride + 1
        sigma = d * (1 + math.exp(-d)) / 6
        x, y = ((centre[k] - (box[k] + box[k + 2]) / 2) / stride for k in (0, 1))
        assert value == pytest.approx(math.exp(-(x * x + y * y) / (2 * sigma**2)), rel=1e-5)
