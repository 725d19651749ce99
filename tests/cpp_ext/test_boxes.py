"""Boxes against the slow reference: ties, borders, sizes, precisions, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import box_reference
from edgecount import _ext

F = np.float32


def make_level(rng, stride, *, batch=1, anchors=1, size=(6, 7), few=True, spread=2.0):
    """Return a level whose scores and distances come from few values, or from many."""
    shape = (batch, anchors, *size)
    boxes = (batch, 4 * anchors, *size)
    dtypes = [np.dtype(name) for name in rng.choice(["float32", "float16"], 2)]
    if few:
        scores = rng.choice([-0.0, 0.0, 0.25, 0.4, 0.5, 0.75, 1.0], shape)
        distances = rng.choice([-1.5, -0.5, 0.0, 0.5, 1.0, 1.5, 3.0], boxes)
    else:
        scores = rng.random(shape) * (rng.random(shape) < rng.random())
        distances = rng.normal(spread / 2, spread, boxes) * 2.0 ** rng.integers(-3, 4)
    return scores.astype(dtypes[0]), distances.astype(dtypes[1]), stride


def make_case(rng):
    """Return the levels, masks and options of a random batch."""
    batch, few = int(rng.integers(1, 3)), bool(rng.random() < 0.5)
    strides = sorted(rng.choice([4, 8, 12, 16, 32], int(rng.integers(1, 4)), replace=False))
    levels = []
    for stride in strides:
        size = tuple(int(side) for side in rng.integers(1, 10, 2))
        anchors = int(rng.integers(1, 4))
        levels.append(
            make_level(rng, int(stride), batch=batch, anchors=anchors, size=size, few=few)
        )
    masks = rng.choice([0.0, 0.25, 1.0], (int(rng.integers(0, 3)), *levels[0][0].shape[2:]))
    options = {
        "threshold": float(rng.choice([0.0, 0.3, 0.4, 0.5, 0.9])),
        "iou": float(rng.choice([0.0, 0.2, 1 / 3, 0.5, 0.7, 1.0])),
        "capacity": int(rng.choice([0, 1, 5, 1000])),
        "size": [None, (24.0, 40.5), (0.0, 10.0)][rng.choice(3, p=[0.5, 0.4, 0.1])],
    }
    return levels, masks.astype(F), options


def assert_same(got, expected):
    for name in ("peaks", "boxes"):
        for ours, theirs in zip(getattr(got, name), getattr(expected, name), strict=True):
            assert ours.dtype == F
            np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(got.peak_count, expected.peak_count)
    np.testing.assert_array_equal(got.count, expected.peak_count)
    np.testing.assert_array_equal(got.overflow, expected.overflow)
    np.testing.assert_array_equal(got.density_sum, 0)
    if expected.region_count:
        np.testing.assert_array_equal(got.region_count, expected.region_count)
        np.testing.assert_array_equal(got.region_peaks, expected.region_count)


@pytest.mark.parametrize("part", range(8))
def test_random_maps(part):
    rng = np.random.default_rng([20261129, part])
    found = 0
    for _ in range(250):
        levels, masks, options = make_case(rng)
        expected = box_reference.count_boxes(levels, masks, **options)
        assert_same(_ext.count_boxes(levels, masks, **options), expected)
        found += sum(expected.peak_count)
    assert found > 1000


@pytest.mark.parametrize("iou", [0.0, 0.1, 0.5, 0.7])
def test_boxes_of_very_different_sizes(rng, iou):
    # What the grids by size must not miss: each level's boxes are far larger or smaller.
    levels = [make_level(rng, 2**k, size=(5, 6), few=False) for k in range(0, 14, 3)]
    options = {"threshold": 0.0, "iou": iou}
    assert_same(_ext.count_boxes(levels, **options), box_reference.count_boxes(levels, **options))


def test_a_crowd_of_4000_heads():
    # Heads of 8 px on a square grid of 10 px: each is seen by its cell of 2 px and the eight
    # around it, whose boxes are shifted by less than half their side.
    rows, columns, side = 50, 80, 5
    scores = np.zeros((1, 1, rows * side, columns * side), F)
    boxes = np.zeros((1, 4, rows * side, columns * side), F)
    rng = np.random.default_rng(4000)
    best = rng.uniform(0.7, 0.9, (rows, columns)).astype(F)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            at = np.s_[0, 0, side // 2 + dy :: side, side // 2 + dx :: side]
            scores[at] = best if dx == dy == 0 else best - F(0.2)
            for channel, distance in enumerate((2, 2, 2, 2)):
                boxes[0, channel][at[2:]] = distance + (dx, dy, -dx, -dy)[channel] * F(0.75)
    found = _ext.count_boxes([(scores, boxes, 2)], threshold=0.4, iou=0.5)
    assert found.peak_count[0] == rows * columns
    expected = np.argsort(-best.ravel(), kind="stable")
    centres = np.stack([expected % columns, expected // columns], 1) * 10 + 5
    np.testing.assert_array_equal(found.peaks[0][:, :2], centres)
    np.testing.assert_array_equal(found.peaks[0][:, 2], best.ravel()[expected])
    np.testing.assert_array_equal(found.boxes[0], np.hstack([centres - 4, centres + 4]))


def test_a_box_by_hand():
    scores, boxes = np.zeros((1, 1, 3, 4), F), np.zeros((1, 4, 3, 4), F)
    scores[0, 0, 1, 2] = 0.9
    boxes[0, :, 1, 2] = 0.5, 1.5, 1.0, -0.5  # cell centre (2.5, 1.5): the bottom is above it
    found = _ext.count_boxes([(scores, boxes, 8)])
    np.testing.assert_array_equal(found.boxes[0], [[16, 0, 28, 8]])
    np.testing.assert_array_equal(found.peaks[0], [[22, 4, F(0.9)]])
    assert found.count[0] == 1


@pytest.mark.parametrize(("iou", "kept"), [(1 / 3, 2), (np.nextafter(1 / 3, 0), 1)])
def test_an_overlap_of_exactly_the_iou_is_kept(iou, kept):
    # Two squares of 2 cells, a cell apart: a third of their union is shared.
    scores, boxes = np.full((1, 1, 1, 2), 0.9, F), np.ones((1, 4, 1, 2), F)
    assert _ext.count_boxes([(scores, boxes, 8)], iou=iou).peak_count[0] == kept


def test_a_dropped_box_drops_no_other():
    # In a row of boxes each of which overlaps the next by 2 / 3, the best drops its neighbour, and
    # the third overlaps the best by 1 / 2 only: it stays.
    scores = np.array([0.9, 0.8, 0.7], F).reshape(1, 1, 1, 3)
    boxes = np.ones((1, 4, 1, 3), F) * np.array([2.5, 1, 2.5, 1], F).reshape(1, 4, 1, 1)
    found = _ext.count_boxes([(scores, boxes, 4)], iou=0.5)
    np.testing.assert_array_equal(found.peaks[0][:, 2], [F(0.9), F(0.7)][: found.peak_count[0]])
    assert found.peak_count[0] == 2


def test_of_equal_scores_the_first_level_row_column_and_anchor_comes_first():
    levels = []
    for stride in (8, 4):  # the order given is the order, whatever the strides
        boxes = np.full((1, 8, 2, 2), 0.25, F)
        boxes[:, 4:] = 0.125
        levels.append((np.full((1, 2, 2, 2), 0.5, F), boxes, stride))
    found = _ext.count_boxes(levels, iou=1.0)
    expected = [
        (stride * (column + 0.5), stride * (row + 0.5), stride * side)
        for stride in (8, 4)
        for row in (0, 1)
        for column in (0, 1)
        for side in (0.5, 0.25)
    ]
    sides = found.boxes[0][:, 2] - found.boxes[0][:, 0]
    np.testing.assert_array_equal(np.column_stack([found.peaks[0][:, :2], sides]), expected)


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 200, 4095, 4096, 4097, 9000])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_each_cell_of_a_plane_is_looked_at(n, dtype):
    # The scan goes block by block and chunk by chunk; each score is its own, and each box small.
    scores = np.zeros((1, 1, 1, n), dtype)
    at = np.arange(0, n, 7)
    scores[..., at] = 0.75
    scores[..., at[::5]] = -0.75
    boxes = np.full((1, 4, 1, n), 0.25, dtype)
    found = _ext.count_boxes([(scores, boxes, 2)], threshold=0.5)
    expected = np.delete(at, np.s_[::5])
    np.testing.assert_array_equal(found.peaks[0][:, 0], 2 * expected + 1)


def test_thresholds_between_neighbouring_halves_and_floats(rng):
    for dtype in (np.float32, np.float16):
        bits = {np.float32: np.uint32, np.float16: np.uint16}[dtype]
        middle = np.array(0.4, dtype).view(bits)
        scores = (middle + np.arange(-8, 9).astype(bits)).view(dtype).reshape(1, 1, 1, 17)
        boxes = np.full((1, 4, 1, 17), 0.25, dtype)
        for threshold in (*scores.ravel().astype(float), 0.4, 0.39999, 0.40001):
            found = _ext.count_boxes([(scores, boxes, 2)], threshold=threshold)
            assert found.peak_count[0] == (scores.astype(F) > F(threshold)).sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused(rng, dtype, value):
    for place in (0, 70, 4999):
        levels = [make_level(rng, 8, batch=2, size=(1, 5000)) for _ in range(2)]
        scores = levels[1][0].astype(dtype)
        scores[1, 0, 0, place] = value
        levels[1] = scores, *levels[1][1:]
        message = r"levels\[1\]\.scores: expected finite values, got a NaN .* in image 1"
        with pytest.raises(ValueError, match=message):
            _ext.count_boxes(levels)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_a_side_that_is_not_finite_is_refused_of_candidates_alone(value):
    scores, boxes = np.full((1, 1, 2, 2), 0.9, F), np.ones((1, 4, 2, 2), F)
    boxes[0, 2, 1, 0] = value
    with pytest.raises(ValueError, match=r"levels\[0\]\.boxes: expected finite values"):
        _ext.count_boxes([(scores, boxes, 16)])
    scores[0, 0, 1, 0] = 0.1
    assert _ext.count_boxes([(scores, boxes, 16)]).peak_count[0] == 3


def test_boxes_outside_the_frame_are_dropped():
    # Cells of 64 px: the frame of 40 px reaches into both, and the second cell's middle is outside.
    scores, boxes = np.full((1, 1, 1, 2), 0.9, F), np.full((1, 4, 1, 2), 0.25, F)
    found = [
        _ext.count_boxes([(scores, boxes, 64)], size=(width, 64)).peak_count[0]
        for width in (81, 80, 17, 16, 0)
    ]
    assert found == [2, 1, 1, 0, 0]
    boxes[0, :, 0, 0] = 1, 0, -0.5, 1  # ends at the left border
    assert _ext.count_boxes([(scores, boxes, 64)]).peak_count[0] == 1


def test_boxes_without_area_are_dropped():
    scores, boxes = np.full((1, 1, 1, 4), 0.9, F), np.full((1, 4, 1, 4), 0.25, F)
    boxes[0, 0, 0, 1] = -0.25  # its left side is its right one
    boxes[0, 1, 0, 2] = -1.0  # its top is below its bottom
    assert _ext.count_boxes([(scores, boxes, 4)]).peak_count[0] == 2


def test_a_centre_outside_the_map_belongs_to_the_nearest_cell():
    scores, boxes = np.full((1, 1, 1, 2), 0.9, F), np.zeros((1, 4, 1, 2), F)
    boxes[0, :, 0, 0] = 9, 9, 0, 0
    boxes[0, :, 0, 1] = -7, -7, 9, 9
    masks = np.array([[[1, 0]], [[0.25, 0.5]]], F)
    found = _ext.count_boxes([(scores, boxes, 4)], masks)
    np.testing.assert_array_equal(found.region_count, [[1, 0.75]])


def test_far_and_tiny_and_huge_boxes(rng):
    scores = rng.random((1, 1, 6, 6)).astype(F)
    boxes = rng.choice([-1e6, -3.0, 1e-6, 0.5, 3.0, 1e6, 1e30], (1, 4, 6, 6)).astype(F)
    for iou in (0.0, 0.3, 0.5, 0.8):
        options = {"threshold": 0.1, "iou": iou}
        expected = box_reference.count_boxes([(scores, boxes, 8)], **options)
        assert_same(_ext.count_boxes([(scores, boxes, 8)], **options), expected)


GOOD = (np.zeros((2, 3, 4, 5), F), np.zeros((2, 12, 4, 5), F), 8)


@pytest.mark.parametrize(
    ("levels", "options", "message"),
    [
        ([], {}, "levels: expected at least one, got none"),
        ([GOOD[:2]], {}, r"levels\[0\]: expected \(scores, boxes, stride\), got tuple"),
        (7, {}, "levels: expected a list of .*, got int"),
        ([GOOD, (None, GOOD[1], 8)], {}, r"levels\[1\]\.scores: expected a NumPy array"),
        ([(GOOD[0], GOOD[0], 8)], {}, r"levels\[0\]\.boxes: expected shape \(B, 4 \* A, h, w\)"),
        ([(GOOD[0], GOOD[1][:, :, :2].copy(), 8)], {}, r"levels\[0\]\.boxes: expected 12 channels"),
        ([(GOOD[0][:, :0], GOOD[1][:, :0], 8)], {}, "expected one box or more for each cell"),
        ([(*GOOD[:2], 0)], {}, r"levels\[0\]\.stride: expected 1 or more, got 0"),
        ([(*GOOD[:2], 8.5)], {}, r"levels\[0\]\.stride: expected a whole number, got float"),
        ([(*GOOD[:2], 70000)], {}, r"levels\[0\]\.stride: expected 1 to 65536"),
        ([(GOOD[0].astype(float), GOOD[1], 8)], {}, "expected dtype float32 or float16"),
        ([(GOOD[0][..., ::-1], GOOD[1], 8)], {}, "expected a C-contiguous array"),
        ([GOOD, (GOOD[0][:1], GOOD[1][:1], 16)], {}, r"levels\[1\]\.scores: expected 6 planes"),
        ([GOOD], {"threshold": float("nan")}, "threshold: expected a finite number"),
        ([GOOD], {"iou": 1.1}, r"iou: expected a number in \[0, 1\], got 1\.1"),
        ([GOOD], {"capacity": -1}, "capacity: expected 0 or more"),
        ([GOOD], {"size": (float("nan"), 1)}, "size: expected pixels of 0 or more, got nan x 1"),
        ([GOOD], {"masks": np.zeros((1, 4, 4), F)}, "masks: expected maps of 4 x 5 cells"),
        ([GOOD], {"masks": np.full((1, 4, 5), 2, F)}, r"masks: expected coverage in \[0, 1\]"),
    ],
)
def test_refuses(levels, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        _ext.count_boxes(levels, **options)


def test_no_images_and_no_cells():
    empty = (np.zeros((0, 1, 4, 5), F), np.zeros((0, 4, 4, 5), F), 8)
    assert _ext.count_boxes([empty]).peaks == []
    flat = (np.zeros((1, 1, 0, 5), F), np.zeros((1, 4, 0, 5), F), 8)
    full = (np.full((1, 1, 2, 2), 0.9, F), np.full((1, 4, 2, 2), 0.25, F), 16)
    found = _ext.count_boxes([flat, full], np.zeros((1, 0, 5), F))
    assert found.peak_count[0] == 4
    np.testing.assert_array_equal(found.region_count, [[0]])
