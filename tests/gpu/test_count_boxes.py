"""Boxes counted by a GPU against the CPU's `count_boxes`: the same bits, or the same error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gpu_boxes import (
    BoxCase,
    count_boxes,
    make_box_counter,
    random_boxes,
    random_level,
    suppress_one_by_one,
)
from gpu_maps import EMULATED, how_many, upload, upload_apart
from gpu_maps import assert_same as assert_same_counts

from edgecount import _ext

pytestmark = pytest.mark.gpu

SIDE = 24 if EMULATED else 90


def assert_same(found: _ext.MapCounts, expected: _ext.MapCounts, what: str = "") -> None:
    assert_same_counts(found, expected, what)
    for image, (got, right) in enumerate(zip(found.boxes, expected.boxes, strict=True)):
        np.testing.assert_array_equal(got, right, f"boxes of image {image} {what}")


def check(case: BoxCase, rng: np.random.Generator | None = None, what: str = "") -> None:
    assert_same(count_boxes(case, rng), case.on_cpu(), what)


def outcome(work: Callable[[], _ext.MapCounts]) -> _ext.MapCounts | str:
    """Return what was counted, or the error's message."""
    try:
        return work()
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("group", range(4))
def test_random_boxes(group: int) -> None:
    for seed in range(group, how_many(120, 2000), 4):
        rng = np.random.default_rng(seed)
        check(random_boxes(rng, SIDE), rng, f"(seed {seed})")


def test_boxes_are_kept_as_one_by_one() -> None:
    for seed in range(how_many(12, 100)):
        rng = np.random.default_rng(seed)
        levels = [random_level(rng, 2, (9 - i, 7), 1 + i, 8 << i) for i in range(2)]
        case = BoxCase(levels, options={"threshold": 0.4, "iou": float(rng.choice([0.2, 0.5]))})
        found = count_boxes(case, rng)
        for image in range(2):
            kept = suppress_one_by_one(case, image)
            assert found.peak_count[image] == found.count[image] == len(kept)
            np.testing.assert_array_equal(found.boxes[image], kept[:, :4])
            centres = (kept[:, :2].astype(np.float64) + kept[:, 2:4]) / 2
            np.testing.assert_array_equal(found.peaks[image][:, :2], centres.astype(np.float32))
            np.testing.assert_array_equal(found.peaks[image][:, 2], kept[:, 4])


@pytest.mark.parametrize("width", [1, 3, 4, 5, 31, 33, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_every_width_around_the_vectors(width: int, dtype: type) -> None:
    rng = np.random.default_rng(width)
    scores = rng.random((2, 2, 5, width)).astype(dtype)
    boxes = rng.random((2, 8, 5, width)).astype(dtype)
    check(BoxCase([(scores, boxes, 8)], options={"threshold": 0.5}))
    check(BoxCase([(scores, boxes, 8)], options={"threshold": 0.5}), rng)


@pytest.mark.parametrize("offset", range(1, 5))
def test_addresses_that_fit_no_more_than_a_cell(offset: int) -> None:
    rng = np.random.default_rng(offset)
    scores = rng.random((1, 1, 6, 8)).astype(np.float32)
    boxes = rng.random((1, 4, 6, 8)).astype(np.float32)
    case = BoxCase([(scores, boxes, 8)])
    stream, counter = _ext.Stream(), make_box_counter(case)
    target = _ext.DeviceBuffer(scores.nbytes + 64).array(scores.shape, "float32", 4 * offset)
    stream.upload(target, scores)
    counter.enqueue([(target, upload(boxes, stream))], stream)
    stream.synchronize()
    assert_same(counter.read(stream), case.on_cpu())


def test_no_number_of_candidates_is_too_large() -> None:
    # More than one run that is sorted, and more than one tile that is suppressed, all of them kept.
    shape = (1, 1, 40, 60) if EMULATED else (1, 2, 200, 300)
    rng = np.random.default_rng(3)
    scores = rng.uniform(0.5, 1, shape).astype(np.float32)
    boxes = np.full((1, 4 * shape[1], *shape[2:]), 0.4, np.float32)
    masks = rng.random((2, *shape[2:]), np.float32)
    case = BoxCase([(scores, boxes, 4)], masks, {"iou": 0.9}, {"listed": 100})
    found = count_boxes(case)
    assert found.peak_count[0] == scores[0, 0].size  # the second anchor's boxes are the first's
    assert_same(found, case.on_cpu())
    # All tie, and each overlaps those around it.
    case.levels = [(np.full(shape, 0.5, np.float32), 5 * boxes, 4)]
    case.options["iou"] = 0.3
    check(case)


def test_a_chain_of_boxes_that_each_overlap_the_next() -> None:
    # The fate of each hangs on the one before, through a whole tile and beyond.
    count = 300
    scores = np.linspace(0.9, 0.5, count, dtype=np.float32).reshape(1, 1, 1, count)
    boxes = np.full((1, 4, 1, count), 0.875, np.float32)
    case = BoxCase([(scores, boxes, 8)], options={"iou": 0.2})
    found = count_boxes(case)
    np.testing.assert_array_equal(found.peaks[0][:, 0], 8 * np.arange(0.5, count, 2))
    assert_same(found, case.on_cpu())


def test_boxes_without_area_are_dropped() -> None:
    scores = np.full((1, 1, 1, 4), 0.9, np.float32)
    boxes = np.full((1, 4, 1, 4), 0.3, np.float32)
    boxes[0, 0, 0, 1] = -0.3  # no width
    boxes[0, 3, 0, 2] = -1.0  # less than no height
    found = count_boxes(BoxCase([(scores, boxes, 10)]))
    assert found.count[0] == 2
    np.testing.assert_allclose(found.boxes[0], [[2, 2, 8, 8], [32, 2, 38, 8]], rtol=1e-6)


def test_a_region_has_the_coverage_under_the_centre() -> None:
    scores = np.zeros((1, 1, 3, 4), np.float32)
    scores[0, 0, 1, 2] = scores[0, 0, 0, 0] = 0.9
    boxes = np.full((1, 4, 3, 4), 0.4, np.float32)
    boxes[0, 0, 0, 0] = 3.4  # its centre is beyond the map, on the left
    masks = np.zeros((2, 3, 4), np.float32)
    masks[0, 1, 2], masks[1, 0, 0] = 0.25, 0.5
    found = count_boxes(BoxCase([(scores, boxes, 8)], masks))
    np.testing.assert_array_equal(found.region_count, [[0.25, 0.5]])
    np.testing.assert_array_equal(found.region_peaks, [[0.25, 0.5]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_values_that_are_not_finite(bad: float, dtype: type) -> None:
    rng = np.random.default_rng(2)
    for level, channel, image in ((0, 0, 1), (1, 2, 0)):
        for part in (0, 1):
            case = BoxCase([random_level(rng, 2, (6 - i, 5), 1, 8 << i) for i in range(2)])
            maps = [[*of_level] for of_level in case.levels]
            maps[level][part] = maps[level][part].astype(dtype)
            maps[level][0][image, 0, 3, 4] = 0.9  # a candidate, whose distances are looked at
            maps[level][part][image, channel * part, 3, 4] = bad
            case.levels = [tuple(of_level) for of_level in maps]  # type: ignore[misc]
            name = ("scores", "boxes")[part]
            message = str(outcome(lambda case=case: count_boxes(case)))  # type: ignore[misc]
            assert message.startswith(f"levels[{level}].{name}: expected finite values")
            assert message == outcome(case.on_cpu)


def test_distances_that_leave_the_range_of_float32() -> None:
    scores = np.full((1, 1, 1, 1), 0.9, np.float32)
    boxes = np.full((1, 4, 1, 1), 3e38, np.float32)
    case = BoxCase([(scores, boxes, 8)])
    message = str(outcome(lambda: count_boxes(case)))
    assert message.startswith("levels[0].boxes: expected finite values")
    assert message == outcome(case.on_cpu)


def test_which_of_several_bad_maps_is_named() -> None:
    for seed in range(how_many(12, 200)):
        rng = np.random.default_rng(seed)
        case = random_boxes(rng, 6)
        for scores, boxes, _ in case.levels:
            for values in (scores, boxes):
                if rng.random() < 0.4:
                    flat = values.reshape(-1)
                    flat[rng.integers(0, flat.size)] = rng.choice([np.nan, np.inf])
        expected, found = outcome(case.on_cpu), outcome(lambda case=case: count_boxes(case))  # type: ignore[misc]
        if isinstance(expected, str) or isinstance(found, str):
            assert found == expected, f"seed {seed}"
        else:
            assert_same(found, expected, f"seed {seed}")


def test_an_error_is_of_its_maps_alone() -> None:
    rng = np.random.default_rng(3)
    right = random_level(rng, 2, (6, 9), 2, 8)
    wrong = np.full_like(right[0], np.nan), *right[1:]
    case = BoxCase([right])
    counter = make_box_counter(case)
    assert_same(count_boxes(case, counter=counter), case.on_cpu())
    with pytest.raises(ValueError, match=r"^levels\[0\].scores: expected finite values.* image 0"):
        count_boxes(BoxCase([wrong]), counter=counter)
    assert_same(count_boxes(case, counter=counter), case.on_cpu())


@pytest.mark.parametrize("capacity", [0, 1, 63, 64, 65, 10**9])
@pytest.mark.parametrize("listed", [0, 1, 64, 100000])
def test_capacities_and_lists(capacity: int, listed: int) -> None:
    scores = np.zeros((2, 1, 16, 16), np.float32)
    scores[0, 0, ::2, ::2] = 0.9  # 64 boxes
    scores[1, 0, ::8, ::8] = 0.8
    boxes = np.full((2, 4, 16, 16), 0.5, np.float32)
    check(BoxCase([(scores, boxes, 8)], None, {"capacity": capacity}, {"listed": listed}))


def test_results_outlive_the_counter_and_the_next_maps() -> None:
    rng = np.random.default_rng(6)
    cases = [BoxCase([random_level(rng, 1, (8, 8), 1, 8)]) for _ in range(2)]
    for case in cases:
        case.levels = [(s.astype(np.float32), b.astype(np.float32), n) for s, b, n in case.levels]
    counter = make_box_counter(cases[0])
    first = count_boxes(cases[0], counter=counter)
    count_boxes(cases[1], counter=counter)
    del counter
    assert_same(first, cases[0].on_cpu())


def test_a_graph_counts_what_its_maps_hold_when_it_runs() -> None:
    rng = np.random.default_rng(7)

    def draw() -> tuple[Any, Any, int]:
        scores = rng.random((2, 1, 10, 12)).astype(np.float32)
        return scores, rng.normal(1, 0.5, (2, 4, 10, 12)).astype(np.float16), 8

    case = BoxCase([draw()], options={"threshold": 0.6})
    stream, counter = _ext.Stream(), make_box_counter(case)
    maps = [upload_apart(values, rng, stream) for values in case.levels[0][:2]]
    stream.begin_capture()
    counter.enqueue([(maps[0], maps[1])], stream)
    graph = stream.end_capture()
    for _ in range(how_many(4, 50)):
        case.levels = [draw()]
        for target, values in zip(maps, case.levels[0][:2], strict=True):
            for place in np.ndindex(values.shape[:3]):
                stream.upload(target[place], values[place])
        graph.launch(stream)
        stream.synchronize()
        assert_same(counter.read(stream), case.on_cpu())


def test_batches_without_images_and_maps_without_cells() -> None:
    for batch, shape in ((0, (3, 4)), (2, (0, 4)), (2, (3, 0))):
        levels = [
            (np.zeros((batch, 1, *shape), np.float32), np.zeros((batch, 4, *shape), np.float32), 8)
        ]
        masks = np.zeros((1, *shape), np.float32)
        check(BoxCase(levels, masks))


def make(**changes: Any) -> _ext.BoxCounter:
    level = (2, 6, 8, 8, "float32", "float16")
    arguments: dict[str, Any] = {"batch": 2, "levels": [level, (1, 3, 4, 16, *level[4:])]}
    return _ext.BoxCounter(**arguments | changes)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"batch": -1}, ValueError, "batch: expected 0 or more, got -1"),
        ({"levels": []}, ValueError, "levels: expected at least one, got none"),
        (
            {"levels": 17 * [(1, 2, 2, 8, "float32", "float32")]},
            ValueError,
            "levels: expected at most 16 on a GPU, got 17",
        ),
        (
            {"levels": [(0, 2, 2, 8, "float32", "float32")]},
            ValueError,
            r"levels\[0\].anchors: expected 1 or more, got 0",
        ),
        (
            {"levels": [(1, 2, 2, 0, "float32", "float32")]},
            ValueError,
            r"levels\[0\].stride: expected 1 or more, got 0",
        ),
        (
            {"levels": [(1, 2, 2, 8, "int8", "float32")]},
            TypeError,
            r"levels\[0\].scores_dtype: .*, got int8",
        ),
        ({"threshold": -1.0}, ValueError, "threshold: expected a finite number of at least 0"),
        ({"iou": 1.5}, ValueError, r"iou: expected a number in \[0, 1\], got 1.5"),
        ({"capacity": -1}, ValueError, "capacity: expected 0 or more, got -1"),
        ({"masks": np.zeros((1, 3, 4), np.float32)}, ValueError, "masks: expected maps of 6 x 8"),
        ({"device": 40}, RuntimeError, "CUDA device 40: expected a number from 0"),
    ],
)
def test_counters_that_cannot_be(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{message}"):
        make(**changes)


@pytest.mark.parametrize(
    ("shape", "dtype", "error", "message"),
    [
        ((2, 2, 6, 7), "float32", ValueError, r"expected shape \(2, 2, 6, 8\)"),
        ((2, 2, 6, 8), "float16", TypeError, "expected dtype float32, got float16"),
    ],
)
def test_maps_that_are_not_as_announced(
    stream: _ext.Stream, shape: tuple[int, ...], dtype: str, error: type[Exception], message: str
) -> None:
    def array(shape: tuple[int, ...], dtype: str) -> _ext.DeviceArray:
        return _ext.DeviceBuffer(8192).array(shape, dtype)

    last = array((2, 1, 3, 4), "float32"), array((2, 4, 3, 4), "float16")
    boxes = array((2, 8, 6, 8), "float16")
    with pytest.raises(ValueError, match=r"^levels: expected 2, as the counter was"):
        make().enqueue([last], stream)
    with pytest.raises(error, match=rf"^levels\[0\].scores: {message}"):
        make().enqueue([(array(shape, dtype), boxes), last], stream)
