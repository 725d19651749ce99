"""Frames side by side take a bounded memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lanes_engine import AHEAD, WAYS, Engine, Own, lanes, picture, pictures

from edgecount import BackendError, EdgeCounter, Frame
from edgecount.runtime.pipeline import feeds, host_pipeline


def test_few_frames_are_there_at_once(counter: EdgeCounter) -> None:
    there: weakref.WeakSet[Any] = weakref.WeakSet()
    most = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal most
        for _ in range(40):
            one = picture(1)
            there.add(Held(one))
            most = max(most, len(there))
            yield one.view(Kept)

    class Kept(np.ndarray):
        pass

    class Held:
        def __init__(self, array: np.ndarray) -> None:
            self._end = weakref.finalize(array, there.discard, self)

    assert len(counter.count_batch(frames())) == 40
    assert most <= AHEAD + 1


def test_a_stream_reads_no_further_than_it_has_room(counter: EdgeCounter, wait_for: Any) -> None:
    given: list[int] = []

    def frames() -> Iterator[Frame]:
        for value in range(1000):
            given.append(value)
            yield Frame(picture(value % 8), "own", value, 0.0)

    results = counter.stream(Own(frames))
    next(results)
    next(results)
    most = 2 + AHEAD + 3  # two are waiting and one is being read ahead of them
    wait_for(lambda: len(given) > 2)
    assert len(given) <= most
    results.close()
    assert not lanes()


@pytest.mark.parametrize("late", [True, False])
def test_large_frames_are_counted_one_by_one(
    tiny_model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    for module in (feeds, host_pipeline):
        monkeypatch.setattr(module, "LARGE", 64 * 64 * 3 - 1)
    engine = Engine()
    counter = EdgeCounter(tiny_model, backend=engine)
    frames = sorted(folder.iterdir()) if late else pictures()
    assert [one.count for one in counter.count_batch(frames)] == list(range(8))
    assert engine.most == 1


def test_frames_that_fill_the_engine_s_memory_have_all_cores(
    tiny_model: Path, folder: Path, make_manifest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_pipeline, "LARGEST_PLANE", 2 * 64 * 64 - 1)
    engine = Engine()
    other = Engine()
    other.prepare(make_manifest())
    engine.for_lanes = lambda _number: other  # type: ignore[method-assign]
    counter = EdgeCounter(tiny_model, backend=engine)
    assert [one.count for one in counter.stream(folder)] == list(range(8))
    assert (engine.most, other.most) == (1, 0)
    told = EdgeCounter(tiny_model, backend=engine, workers=2)
    assert [one.count for one in told.stream(folder)] == list(range(8))
    assert other.most > 0


def test_without_memory_for_lanes_frames_go_one_after_the_other(
    counter: EdgeCounter, engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_number: int) -> Any:
        raise BackendError("no memory")

    monkeypatch.setattr(engine, "for_lanes", fail)
    for way in WAYS.values():
        assert way(counter, folder) == list(range(8))
    assert engine.most == 1
