"""EdgeCounter on cameras: newest pictures, cameras that go and come back, closing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecount import EdgeCounter, FakeBackend, Frame, Source
from edgecount.errors import BackendError, ConfigError, SourceError

pytestmark = pytest.mark.usefixtures("no_thread_is_left")

Studios = Callable[..., Any]


class Slow(FakeBackend):
    """An engine that counts a frame when it is told to."""

    def __init__(self) -> None:
        super().__init__([(8, 8)])
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def infer(self, inputs: Any) -> Any:
        self.begun.release()
        assert self.go.acquire(timeout=20)
        return super().infer(inputs)


@pytest.fixture
def counter(tiny_model: Path) -> EdgeCounter:
    return EdgeCounter(tiny_model, backend=FakeBackend([(8, 8)]))


class Run:
    """Results that a thread takes until they end or fail."""

    def __init__(self, results: Iterator[Any]) -> None:
        self.found: list[Any] = []
        self.error: BaseException | None = None
        self._results = results
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            for result in self._results:
                self.found.append(result)
        except BaseException as error:  # noqa: BLE001
            self.error = error


@pytest.mark.parametrize("several", [False, True])
def test_the_picture_that_is_counted_is_the_newest(
    tiny_model: Path, studio: Studios, wait_for: Any, *, several: bool
) -> None:
    backend, camera = Slow(), studio()
    counter = EdgeCounter(tiny_model, backend=backend)
    source = camera.source
    run = Run(counter.stream_many([source]) if several else counter.stream(source))
    camera.show()
    for shown in (5, 7):
        assert backend.begun.acquire(timeout=20)  # the engine is busy: what comes now may be old
        camera.show(shown)
        wait_for(camera.all_arrived)
        backend.go.release()
    assert backend.begun.acquire(timeout=20)
    backend.go.release()
    wait_for(lambda: len(run.found) == 3)
    counter.close()
    run.join()
    assert isinstance(run.error, BackendError)
    assert [result.frame for result in run.found] == [0, 5, 12]
    health = source.health()
    assert (health.frames_in, health.counted, health.dropped) == (13, 3, 10)
    first, second, third = run.found
    assert all(result.captured > 1e9 for result in run.found)
    assert second.media_time == pytest.approx(0.6)
    assert first.time == 0 < second.time < third.time


def test_of_several_cameras_each_is_taken_at_its_turn(
    tiny_model: Path, studio: Studios, wait_for: Any
) -> None:
    """No picture waits while another one is counted."""
    backend = Slow()
    cameras = [studio("a"), studio("b", size=(96, 64)), studio("c")]
    counter = EdgeCounter(tiny_model, backend=backend)
    run = Run(counter.stream_many([camera.source for camera in cameras]))
    cameras[0].show()
    for _ in range(5):
        assert backend.begun.acquire(timeout=20)
        for camera in cameras:
            camera.show(2)
        wait_for(lambda: all(camera.all_arrived() for camera in cameras))
        backend.go.release()
    wait_for(lambda: len(run.found) == 5)
    counter.close()
    backend.go.release()
    run.join()
    # Two pictures of each came while a frame was counted.
    assert [(one.source, one.frame) for one in run.found[:5]] == [
        ("a", 0), ("b", 1), ("c", 3), ("a", 6), ("b", 7)
    ]  # fmt: skip


@pytest.mark.parametrize("several", [False, True])
def test_a_camera_that_was_away_comes_back(
    counter: EdgeCounter, studio: Studios, wait_for: Any, *, several: bool
) -> None:
    camera = studio()
    source = camera.source
    run = Run(counter.stream_many([source]) if several else counter.stream(source))
    for index in range(3):
        camera.show()
        wait_for(lambda index=index: len(run.found) == index + 1)
        camera.away = True
        camera.drop()
        wait_for(lambda index=index: camera.closed == index + 1)
        wait_for(lambda: source.health().error == "camera is away")
        camera.away = False
    camera.show()
    wait_for(lambda: len(run.found) == 4)
    counter.close()
    run.join()
    assert [result.frame for result in run.found] == [0, 1, 2, 3]
    assert camera.opened == camera.closed == 4
    assert source.health().reconnects >= 3


def test_cameras_do_not_wait_for_one_that_is_away(
    counter: EdgeCounter, studio: Studios, wait_for: Any
) -> None:
    a, b = studio("a"), studio("b")
    b.away = True
    run = Run(counter.stream_many([b.source, a.source]))  # waits for all that give frames

    def names() -> list[str]:
        return [result.source for result in run.found]

    def count(*shown: Any) -> None:
        expected = len(run.found) + len(shown)
        for camera in shown:
            camera.show()
        wait_for(lambda: len(run.found) == expected)

    count(a)
    count(a)
    b.away = False
    wait_for(lambda: b.opened)
    count(b)
    count(a, b)
    b.away = True
    b.drop()
    wait_for(lambda: b.closed)
    for _ in range(3):
        count(a)
    b.away = False
    wait_for(lambda: b.opened == 2)
    count(b)
    counter.close()
    run.join()
    assert names().count("a") == 6
    assert [one.frame for one in run.found if one.source == "b"] == [0, 1, 2]


def test_a_camera_that_is_not_to_come_back_is_an_error_of_its_own(
    counter: EdgeCounter, studio: Studios, wait_for: Any
) -> None:
    a, b = studio("a"), studio("b", reconnect=False)
    told: list[SourceError] = []
    run = Run(counter.stream_many([a.source, b.source], on_error=told.append))
    for camera in (a, b):
        camera.show()
    wait_for(lambda: len(run.found) == 2)
    b.drop()
    wait_for(lambda: told)
    a.show()
    wait_for(lambda: len(run.found) == 3)
    counter.close()
    run.join()
    assert [str(error) for error in told] == ["the stream b ended after 1 frames"]


@pytest.mark.parametrize("several", [False, True])
def test_without_anybody_to_tell_its_error_comes_after_the_results(
    counter: EdgeCounter, studio: Studios, *, several: bool
) -> None:
    camera = studio(reconnect=False, newest=False)
    camera.show(3)
    camera.drop()
    source = camera.source
    results = counter.stream_many([source]) if several else counter.stream(source)
    found = []
    with pytest.raises(SourceError, match="ended after 3 frames"):
        found.extend(results)  # what came before it is kept
    assert camera.closed == 1


def test_one_that_is_away_for_too_long_is_given_up(counter: EdgeCounter, studio: Studios) -> None:
    camera = studio(give_up=0.3)
    camera.away = True
    with pytest.raises(SourceError, match=r"gave no picture for 0\.3 s"):
        next(counter.stream(camera.source))


def test_a_stream_tells_the_health_of_its_own_reader(counter: EdgeCounter, studio: Studios) -> None:
    camera, counted = studio(), threading.Event()
    with counter.watch(camera.source, lambda _: counted.set()) as watching:
        camera.show()
        assert counted.wait(20)
        with camera.source.reader():  # of somebody else, and newer
            health = watching.health()
            assert health is not None
            assert (health.counted, camera.source.health().counted) == (1, 0)


def test_every_picture_is_counted_where_it_is_asked_for(
    counter: EdgeCounter, studio: Studios
) -> None:
    camera = studio(newest=False)
    results = counter.count_frames(camera.source)
    camera.show(20)
    found = [next(results) for _ in range(20)]
    assert [frame.index for frame, _ in found] == list(range(20))
    assert all(frame.captured == result.captured for frame, result in found)
    results.close()  # type: ignore[attr-defined]
    assert camera.source.health().dropped == 0


@pytest.mark.parametrize("live", [5, {"newest": True}])
def test_options_are_checked(counter: EdgeCounter, live: Any) -> None:
    with pytest.raises(ConfigError, match="live: expected LiveOptions or None, got a value of"):
        next(counter.stream("rtsp://a", live=live))
    with pytest.raises(ConfigError, match="live: expected LiveOptions"):
        counter.stream_many(["rtsp://a"], live=live)


def test_leaving_a_stream_closes_the_camera(
    counter: EdgeCounter, studio: Studios, wait_for: Any
) -> None:
    for make in (counter.stream, lambda source: counter.stream_many([source])):
        camera = studio()
        results = make(camera.source)
        camera.show()
        next(results)
        results.close()
        wait_for(lambda camera=camera: camera.closed == 1)


def test_large_frames_are_not_read_ahead(counter: EdgeCounter, wait_for: Any) -> None:
    """Each takes the memory of many small ones."""

    class Photos(Source):
        name = "photos"
        is_video = True
        length = fps = None

        def frames(self) -> Iterator[Frame]:
            for index in range(2):
                made.append(index)
                yield Frame(np.broadcast_to(image, (4200, 4000, 3)), self.name, index, 0.0)
            made.append(2)
            yield Frame(np.zeros((64, 64, 3), np.uint8), self.name, 2, 0.0)

    image = np.zeros((1, 1, 3), np.uint8)
    made: list[int] = []
    results = counter.stream(Photos())
    for index in range(2):
        assert next(results).frame == index
        assert len(made) == index + 1
    assert next(results).frame == 2


def test_a_source_of_one_s_own_runs_in_a_thread(counter: EdgeCounter) -> None:
    class Own(Source):
        name = "own"
        is_video = True
        length = fps = None

        def frames(self) -> Iterator[Frame]:
            for index in range(4):
                threads.add(threading.current_thread().name)
                yield Frame(np.zeros((64, 64, 3), np.uint8), self.name, index, index / 10)

    threads: set[str] = set()
    assert [result.frame for result in counter.stream(Own())] == [0, 1, 2, 3]
    assert [frame.index for frame, _ in counter.count_frames(Own())] == [0, 1, 2, 3]
    assert threads == {"edgecount-reader"}
    threads.clear()
    # Frames that are no source's are read by who asks for the results, one at a time.
    frames = Own().frames()
    next(counter.count_frames(frames))
    assert threads == {threading.current_thread().name}
    assert next(frames).index == 1
