"""Counting real cameras: how old a counted picture is, and cameras that go while others stay.

True ages come from the clock in the pictures. They are held against what the engine itself took and
a margin for slow machines, which is far less than what a backlog of pictures would come to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from camera_servers import CameraServer
from edgecount import CountResult, EdgeCounter
from edgecount.runtime.sources.live import LiveOptions, LiveSource, SourceState
from timed_backend import TimedBackend

DEADLINE = 30.0  # s
MARGIN = 0.6  # s
QUICK = LiveOptions(first_timeout=5, stall_timeout=0.6, backoff=(0.05, 0.2))


@contextmanager
def counting(backend: TimedBackend, model: Any) -> Iterator[EdgeCounter]:
    with EdgeCounter(model, backend=backend) as counter:
        yield counter


@pytest.fixture
def model(make_model) -> Any:
    return make_model(max_side=1024)


@pytest.mark.parametrize("kind", ["rtsp", "http"])
@pytest.mark.parametrize(
    ("fps", "engine", "results"),
    [(60, 0.1, 20), (5, 0.01, 8)],
    ids=["faster than the engine", "slower than the engine"],
)
def test_the_age_of_a_counted_picture(
    make_server, model: Any, kind: str, fps: float, engine: float, results: int
) -> None:
    """Under two frame times of the camera and a run of the engine."""
    server: CameraServer = make_server(kind, {"/cam": {"fps": fps}})
    source = LiveSource(server.url(), LiveOptions(first_timeout=10))
    backend = TimedBackend(engine)
    captured = []
    with counting(backend, model) as counter:
        for result in counter.stream(source):
            assert result.captured is not None
            captured.append(result.captured)
            if len(captured) == results:
                break
    runs = backend.runs[2:]  # the first ones find a cold machine
    assert len(runs) >= results - 2
    for run in runs:
        assert run.age < 2 / fps + run.took + MARGIN
    assert captured == sorted(captured)
    health = source.health()
    assert health.frames_in == health.counted + health.dropped
    not_counted = runs[-1].number - runs[0].number - (len(runs) - 1)
    assert not_counted <= health.dropped
    if fps > 1 / engine:
        assert not_counted > results  # a backlog would be 2 s by now
    else:
        assert not_counted < results / 2  # none, but on a machine that is very slow


class Round:
    """Two cameras that are counted side by side, in a thread."""

    def __init__(self, counter: EdgeCounter, sources: list[LiveSource]) -> None:
        self.sources = sources
        self.results: list[tuple[float, CountResult]] = []
        self._stopped = threading.Event()
        self._counter = counter

    def run(self) -> None:
        for result in self._counter.stream_many(self.sources):
            self.results.append((time.monotonic(), result))
            if self._stopped.is_set():
                return

    def stop(self) -> None:
        self._stopped.set()

    def of(self, source: LiveSource, since: float = 0.0) -> list[float]:
        """Return when the results of a camera came."""
        return [at for at, result in self.results if result.source == source.name and at >= since]

    def wait_for(self, source: LiveSource, number: int = 3) -> None:
        since = time.monotonic()
        while len(self.of(source, since)) < number:
            assert time.monotonic() < since + DEADLINE, [s.health() for s in self.sources]
            time.sleep(0.01)


@contextmanager
def side_by_side(counter: EdgeCounter, *sources: LiveSource) -> Iterator[Round]:
    rounds = Round(counter, list(sources))
    thread = threading.Thread(target=rounds.run)
    thread.start()
    try:
        for source in sources:
            rounds.wait_for(source)
        yield rounds
        for source in sources:
            rounds.wait_for(source)
    finally:
        rounds.stop()
        thread.join(DEADLINE)
    for source in sources:
        health = source.health()
        assert health.frames_in == health.counted + health.dropped


@pytest.mark.parametrize("kind", ["rtsp", "http"])
def test_a_second_camera_never_notices(make_server, model: Any, kind: str) -> None:
    """The first one is killed, started again, halted, and changes its size."""
    lost: CameraServer = make_server(kind, {"/cam": {"fps": 20}})
    kept: CameraServer = make_server(kind, {"/cam": {"fps": 20}})
    first, second = (LiveSource(server.url(), QUICK) for server in (lost, kept))
    with counting(TimedBackend(0.01), model) as counter, side_by_side(counter, first, second) as r:
        for away, back in ((lost.kill, lost.restart), (lost.stop, lost.go_on)):
            away()
            while first.health().state is SourceState.LIVE:  # which it seems to be at first
                r.wait_for(second, 1)
            r.wait_for(second, 5)
            assert second.health().state is SourceState.LIVE
            back()
            r.wait_for(first)
        lost.order(size=[320, 240])
        while r.results[-1][1].size != (320, 240):
            r.wait_for(first, 1)
    assert first.health().reconnects >= 2
    assert second.health().reconnects == 0


def test_a_camera_that_is_not_there_yet_joins_the_others(make_server, model: Any) -> None:
    late: CameraServer = make_server("http", {"/cam": {"fps": 20}})
    there: CameraServer = make_server("http", {"/cam": {"fps": 20}})
    late.kill()
    first, second = (LiveSource(server.url(), QUICK) for server in (late, there))
    with counting(TimedBackend(0.01), model) as counter:
        r = Round(counter, [first, second])
        thread = threading.Thread(target=r.run)
        thread.start()
        try:
            r.wait_for(second, 5)
            assert not r.of(first)
            late.restart()
            r.wait_for(first)
            r.wait_for(second)
        finally:
            r.stop()
            thread.join(DEADLINE)
