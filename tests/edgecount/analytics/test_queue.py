"""Queues of known length, and crowds that are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgecount.analytics import GroundPlane, Queue
from edgecount.errors import ConfigError, InputError
from edgecount.regions import Region
from edgecount.result import CountResult

SIZE = (640, 480)
HALL = Region("hall", [(0, 0), (1, 0), (1, 1), (0, 1)], fractions=True)
TILL = (0.1, 0.5)


def result_of(points: np.ndarray, *, overflow: bool = False) -> CountResult:
    listed = np.column_stack([points, np.full(len(points), 0.9)]).astype(np.float32)
    return CountResult(
        count=float(len(points)),
        density_count=None,
        peak_count=len(points),
        points=listed.reshape(-1, 3),
        density=np.zeros((0, 0), np.float32),
        density_stride_xy=(0.0, 0.0),
        regions={},
        overflow=overflow,
        size=SIZE,
        model="tiny",
        backend="fake",
    )


@pytest.mark.parametrize("fps", [1, 2, 10, 30])
def test_a_queue_with_people_who_pass_by(fps: int) -> None:
    rng = np.random.default_rng(1)
    queue = Queue(HALL, TILL)
    line = np.column_stack([90 + 45.0 * np.arange(9), np.full(9, 240.0)])
    apart = np.array([[590.0, 60.0], [560.0, 420.0]])  # who stand elsewhere
    for step in range(12 * fps):
        time = step / fps
        walker = np.array([[(55 * time) % 640, 300.0]])
        seen = np.concatenate([line, apart, walker])
        if fps > 2:  # heads that are missed for a moment
            seen = seen[rng.random(len(seen)) > 0.03]
        report = queue.update(time, result_of(seen + rng.normal(0, 1, seen.shape)))
    assert report.people == 9
    assert report.length == pytest.approx(26 + 8 * 45, rel=0.05)
    assert report.reason is None


def test_a_queue_that_moves_up_and_one_that_is_gone() -> None:
    queue = Queue(HALL, TILL)
    for step in range(900):
        time = step / 10
        gone = int(time // 10)  # one is served every ten seconds, and the others move up
        line = np.column_stack(
            [90 + 45.0 * np.arange(max(8 - gone, 0)), np.full(max(8 - gone, 0), 240.0)]
        )
        report = queue.update(time, result_of(line))
        if step > 50 and time % 10 > 4:
            assert report.people == len(line)
    assert (report.people, report.length) == (0, 0.0)


def test_lengths_in_metres() -> None:
    corners = [(0, 0), (640, 0), (640, 480), (0, 480)]
    plane = GroundPlane.from_rectangle(corners, 16.0, 12.0, SIZE)
    queue = Queue(HALL, TILL, plane=plane)
    line = np.column_stack([80 + 40.0 * np.arange(6), np.full(6, 240.0)])
    for step in range(50):
        report = queue.update(step / 10, result_of(line))
    assert report.people == 6
    assert report.length == pytest.approx(16 / 640 * (80 + 200 - 64), abs=0.01)


def test_a_crowd_is_no_queue() -> None:
    rng = np.random.default_rng(2)
    queue = Queue(HALL, TILL)
    for step in range(60):
        report = queue.update(step / 10, result_of(rng.uniform(0, 480, (150, 2))))
    assert (report.people, report.length) == (None, None)
    assert "of the heads are found again, too few to tell" in str(report.reason)
    cut = Queue(HALL, TILL).update(0.0, result_of(np.zeros((3, 2)), overflow=True))
    assert cut.reason == "the points are cut off at the counter's capacity"


def test_what_is_refused() -> None:
    with pytest.raises(ConfigError, match="front: expected x, y"):
        Queue(HALL, (1, 2, 3))
    with pytest.raises(ConfigError, match="front: expected x, y"):
        Queue(HALL, "till")  # type: ignore[arg-type]
    pixels = Region("hall", [(0, 0), (640, 0), (640, 480), (0, 480)])
    with pytest.raises(ConfigError, match=r"front: expected shares .*, got 500; pixels go without"):
        Queue(HALL, (200, 500))
    with pytest.raises(ConfigError, match=r"front: expected pixels, as of the region, got \[0.1"):
        Queue(pixels, TILL)
    Queue(pixels, (0, 0))
    with pytest.raises(ConfigError, match="gap: expected a length above 0"):
        Queue(HALL, TILL, gap=0)
    with pytest.raises(InputError, match="expected head points, and tiny gives none"):
        Queue(HALL, TILL).update(0.0, replace(result_of(np.zeros((0, 2))), peak_count=None))
