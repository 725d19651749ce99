"""Errors of frames side by side, each at its place."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from lanes_engine import AHEAD, WAYS, Engine, Own, picture

from edgecount import BackendError, ConfigError, EdgeCounter, Frame, SourceError


def test_errors_come_at_their_place(tiny_model: Path, folder: Path) -> None:
    (folder / "4.png").write_bytes(b"no picture")
    told: dict[int, tuple[list[float], str]] = {}
    for workers in (1, 3):
        counter = EdgeCounter(tiny_model, backend=Engine(), workers=workers)
        found: list[float] = []
        with pytest.raises(SourceError) as caught:
            found.extend(one.count for one in counter.stream(folder))
        told[workers] = found, str(caught.value)
        with pytest.raises(SourceError) as caught:
            counter.count_batch(sorted(folder.iterdir()))
        assert str(caught.value) == told[workers][1]
    assert told[1] == told[3]
    assert told[3][0] == [0, 1, 2, 3]


def test_each_frame_of_several_has_its_outcome(counter: EdgeCounter, folder: Path) -> None:
    (folder / "1.png").write_bytes(b"no picture")
    given = [*sorted(folder.iterdir()), "missing.png", lambda: picture(3), np.zeros(4), None]
    outcomes = list(counter.count_each(given))
    assert len(outcomes) == len(given)
    counts = [None if one.error else one.result().count for one in outcomes]
    assert counts == [0, None, 2, 3, 4, 5, 6, 7, None, 3, None, None]
    for place, reason in ((1, "is not an image"), (8, "no such file"), (10, "shape"), (11, "None")):
        with pytest.raises(Exception, match=reason) as caught:
            outcomes[place].result()
        assert caught.value is outcomes[place].error
    assert all(one.frame is None for one in outcomes)
    kept = list(counter.count_each(sorted(folder.iterdir()), keep_frames=True))
    assert [one.frame is None for one in kept] == [False, True] + 6 * [False]


def test_no_frame_is_begun_after_a_stop(counter: EdgeCounter, engine: Engine) -> None:
    counted: list[int] = []
    engine.before = counted.append
    stop = threading.Event()
    found = []
    for outcome in counter.count_each((picture(i % 8) for i in range(1000)), until=stop.is_set):
        found.append(outcome.result().count)
        if len(found) == 4:
            stop.set()
    assert 4 <= len(found) == len(counted) <= 4 + AHEAD


def test_the_engine_s_failure_comes_at_its_place(counter: EdgeCounter, engine: Engine) -> None:
    def before(value: int) -> None:
        if value == 3:
            raise BackendError("the engine failed")

    engine.before = before
    own = Own(lambda: (Frame(picture(value), "own", value, 0.0) for value in range(8)))
    found: list[float] = []
    with pytest.raises(BackendError, match="the engine failed"):
        found.extend(result.count for _, result in counter.count_frames(own))
    assert found == [0, 1, 2]
    engine.before = lambda _value: None
    assert counter.count(picture(3)).count == 3


def test_what_refine_raises_comes_at_its_place(tiny_model: Path, folder: Path) -> None:
    class Strict(EdgeCounter):
        def refine(self, frame: Any, result: Any) -> Any:
            if result.count == 4:
                raise ValueError("four are too many")
            return result

    counter = Strict(tiny_model, backend=Engine())
    found: list[float] = []
    with pytest.raises(ValueError, match="four are too many"):
        found.extend(one.count for one in counter.stream(folder))
    assert found == [0, 1, 2, 3]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("way", WAYS)
def test_refine_without_a_result_is_an_error(
    tiny_model: Path, folder: Path, workers: int, way: str
) -> None:
    class Forgetful(EdgeCounter):
        def refine(self, frame: Any, result: Any) -> Any:
            return result if result.count < 4 else None

    counter = Forgetful(tiny_model, backend=Engine(), workers=workers)
    with pytest.raises(ConfigError, match="refine: expected a CountResult, got NoneType: return"):
        WAYS[way](counter, folder)
    outcomes = list(counter.count_each([picture(3), picture(4), picture(2)]))
    assert [isinstance(one.error, ConfigError) for one in outcomes] == [False, True, False]


@pytest.mark.parametrize("workers", [1, 3])
def test_refine_that_raises_stop_iteration_ends_nothing_silently(
    tiny_model: Path, folder: Path, workers: int
) -> None:
    class Exhausted(EdgeCounter):
        def refine(self, frame: Any, result: Any) -> Any:
            return next(iter(()))

    counter = Exhausted(tiny_model, backend=Engine(), workers=workers)
    for way in WAYS.values():
        with pytest.raises(RuntimeError, match="refine raised StopIteration") as caught:
            way(counter, folder)
        assert isinstance(caught.value.__cause__, StopIteration)


def test_sources_side_by_side_fail_as_they_do_one_by_one(
    tiny_model: Path, folder: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    cv2.imwrite(str(bad / "0.png"), picture(0))
    cv2.imwrite(str(bad / "1.png"), picture(1))
    (bad / "2.png").write_bytes(b"no picture")
    events: dict[int, list[object]] = {1: [], 3: []}
    for workers, seen in events.items():
        counter = EdgeCounter(tiny_model, backend=Engine(), workers=workers)
        sources = [folder, bad, tmp_path / "missing"]
        for result in counter.stream_many(sources, on_error=lambda e, s=seen: s.append(str(e))):
            seen.append((result.source, result.count))
        with pytest.raises(SourceError, match="bad"):
            list(counter.stream_many([folder, bad]))
    assert events[1] == events[3]
    assert "missing" in str(events[3][0])
    assert "2.png" in str(events[3][5])  # after two rounds of two results
