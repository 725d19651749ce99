"""EdgeCounter with several frames in the engine at once: order, errors, memory, and its end."""

from __future__ import annotations

import _thread
import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecount import BackendError, ConfigError, EdgeCounter, FakeBackend, Frame, SourceError
from edgecount.fake import FakeCamera, Show
from edgecount.runtime.pipeline import feeds, host_pipeline
from edgecount.runtime.sources import Source

LANES = 3
AHEAD = LANES + 2  # frames of one call that are there at once


class Engine(FakeBackend):
    """An engine that sees as many people as a frame's pixels say, and notes who calls it.

    Attributes:
        before: called with that number while a frame is in the engine.
        most: most frames that were in it at once.
        threads: that called it.
        opened: numbers of lanes that were asked for.
    """

    def __init__(self, lanes: int = LANES) -> None:
        super().__init__(lambda tensor: [(8 * i, 8) for i in range(min(self._value(tensor), 7))])
        self.lanes = lanes
        self.before: Callable[[int], object] = lambda _value: None
        self.most = self._inside = 0
        self.threads: set[int] = set()
        self.opened: list[int] = []
        self._lock = threading.Lock()

    def infer(self, inputs: Any) -> Any:
        with self._lock:
            self.threads.add(threading.get_ident())
            self._inside += 1
            self.most = max(self.most, self._inside)
        try:
            self.before(self._value(next(iter(inputs.values()))))
            return super().infer(inputs)
        finally:
            with self._lock:
                self._inside -= 1

    def for_lanes(self, number: int) -> Engine:
        self.opened.append(number)
        return self

    @staticmethod
    def _value(tensor: Any) -> int:
        return round(255 * float(tensor[0, 0, 0, 0]))


class Own(Source):
    """A source of a caller's own."""

    name, is_video, length, fps = "own", True, None, None

    def __init__(self, frames: Callable[[], Iterator[Frame]]) -> None:
        self._frames = frames

    def frames(self) -> Iterator[Frame]:
        return self._frames()


def picture(value: int) -> np.ndarray:
    return np.full((64, 64, 3), value, np.uint8)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def counter(tiny_model: Path, engine: Engine) -> Iterator[EdgeCounter]:
    with EdgeCounter(tiny_model, backend=engine) as one:
        yield one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures, of 0 to 7 people."""
    path = tmp_path / "photos"
    path.mkdir()
    for value in range(8):
        cv2.imwrite(str(path / f"{value}.png"), picture(value))
    return path


@pytest.fixture(autouse=True)
def _no_lane_is_left() -> Iterator[None]:
    yield
    gc.collect()
    assert not lanes()


def lanes() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "edgecount-lane"]


def pictures(number: int = 8) -> list[np.ndarray]:
    return [picture(value) for value in range(number)]


WAYS: dict[str, Callable[[EdgeCounter, Path], list[float]]] = {
    "count_batch": lambda counter, _: [one.count for one in counter.count_batch(pictures())],
    "count_batch of paths": lambda counter, folder: [
        one.count for one in counter.count_batch(sorted(folder.iterdir()))
    ],
    "count_each": lambda counter, folder: [
        one.result().count for one in counter.count_each(sorted(folder.iterdir()))
    ],
    "stream": lambda counter, folder: [one.count for one in counter.stream(folder)],
    "stream_many": lambda counter, folder: [
        one.count for one in counter.stream_many(sorted(folder.iterdir()))
    ],
}


@pytest.mark.parametrize("way", WAYS)
def test_results_come_in_order_whoever_is_done_first(
    counter: EdgeCounter, engine: Engine, folder: Path, way: str
) -> None:
    meeting, later = threading.Barrier(2, timeout=60), threading.Event()

    def before(value: int) -> None:
        if value < 2:
            meeting.wait()
        if value == LANES:
            later.set()
        # The first frame has its lane until another one was done in another lane.
        assert value != 0 or later.wait(60)

    engine.before = before
    assert WAYS[way](counter, folder) == list(range(8))
    assert 1 < engine.most <= LANES
    assert engine.opened == [LANES]


@pytest.mark.parametrize("way", WAYS)
def test_one_worker_counts_in_the_caller_s_thread(
    tiny_model: Path, engine: Engine, folder: Path, way: str
) -> None:
    counter = EdgeCounter(tiny_model, backend=engine, workers=1)
    assert WAYS[way](counter, folder) == list(range(8))
    assert engine.threads == {threading.get_ident()}
    assert engine.opened == []


def test_a_single_frame_has_the_whole_engine(
    counter: EdgeCounter, engine: Engine, folder: Path
) -> None:
    path = folder / "5.png"
    assert counter.count(path).count == 5
    for results in (
        counter.count_batch([path]),
        counter.stream(path),
        (outcome.result() for outcome in counter.count_each([path])),
    ):
        assert [one.count for one in results] == [5]
    assert engine.threads == {threading.get_ident()}
    assert engine.opened == []


def test_a_camera_s_pictures_go_one_by_one(tiny_model: Path) -> None:
    engine = Engine()
    cameras = [FakeCamera([Show(1)], speed=10) for _ in range(3)]
    with EdgeCounter(tiny_model, backend=engine) as counter:
        assert list(counter.stream(cameras[0]))
        assert list(counter.stream_many(cameras[1:]))
    assert engine.most == 1
    assert engine.opened == []


@pytest.mark.parametrize("options", [{}, {"workers": 4}, {"threads": 5, "workers": 2}])
def test_results_are_those_of_one_frame_after_the_other(
    tiny_model: Path, squares: Any, tmp_path: Path, options: dict[str, Any]
) -> None:
    """Frames of several sizes, so that a buffer shared by mistake would show."""
    rng = np.random.default_rng(5)
    paths = []
    for index, (w, h) in enumerate(rng.integers(8, 60, (12, 2))):
        paths.append(tmp_path / f"{index}.png")
        frame = squares(8 * int(w), 8 * int(h), *(8 * rng.integers(0, (w, h), (6, 2))))
        cv2.imwrite(str(paths[-1]), frame)
    gate = {"gate": [(0, 0), (100, 0), (100, 100), (0, 100)]}

    def facts(results: Any) -> list[dict[str, Any]]:
        found = [one.to_dict(points=True) for one in results]
        for one in found:
            assert set(one.pop("timings_ms")) == {"preprocess", "infer", "postprocess"}
        return found

    with EdgeCounter(tiny_model, regions=gate, **options) as counter:
        alone = facts(counter.count(path) for path in paths)
        assert facts(counter.count_batch(map(str, paths))) == alone
        assert facts(counter.stream(tmp_path)) == alone
        assert facts(counter.stream_many(paths)) == alone
        assert facts(one.result() for one in counter.count_each(paths)) == alone
        own = Own(lambda: (Frame(cv2.imread(str(one)), str(one), 0, 0.0) for one in paths))
        assert facts(result for _, result in counter.count_frames(own)) == alone


def test_frames_of_a_caller_s_own_come_when_they_are_asked_for(counter: EdgeCounter) -> None:
    given: list[int] = []
    same = picture(0)

    def frames() -> Iterator[Frame]:
        for value in range(5):
            given.append(threading.get_ident())
            same[...] = value  # always in the same array
            yield Frame(same, "own", value, 0.0)

    for index, (_, result) in enumerate(counter.count_frames(frames())):
        assert (result.count, len(given)) == (index, index + 1)
    assert set(given) == {threading.get_ident()}


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


def test_leaving_a_stream_early_ends_the_lanes(counter: EdgeCounter, folder: Path) -> None:
    for results in (
        counter.stream(folder),
        counter.count_each(sorted(folder.iterdir())),
        counter.stream_many([folder, folder]),
    ):
        next(results)
        next(results)
        results.close()
        assert not lanes()
    assert counter.count(picture(2)).count == 2


def test_closing_from_another_thread_ends_a_stream(
    tiny_model: Path, folder: Path, wait_for: Any
) -> None:
    engine = Engine()
    counter = EdgeCounter(tiny_model, backend=engine)
    gate = threading.Event()

    def before(value: int) -> None:
        if value > 2:
            gate.wait(60)

    engine.before = before
    found: list[float] = []
    errors: list[BaseException] = []

    def consume() -> None:
        try:
            found.extend(one.count for one in counter.stream(folder))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=consume)
    thread.start()
    wait_for(lambda: engine._inside == LANES)  # all lanes have a frame
    counter.close()
    gate.set()
    thread.join(60)
    assert found[:3] == [0, 1, 2]
    (error,) = errors
    assert isinstance(error, BackendError)
    assert "the counter is closed" in str(error)


def test_a_batch_that_was_begun_is_counted_to_its_end(tiny_model: Path) -> None:
    closed: list[int] = []

    class Closing(Engine):
        def close(self) -> None:
            closed.append(self._inside)

    engine = Closing()
    counter = EdgeCounter(tiny_model, backend=engine)
    counter._owns_backend = True
    engine.before = lambda value: counter.close() if value == 2 else None
    assert [one.count for one in counter.count_batch(pictures())] == list(range(8))
    assert closed == [0]


def test_a_stream_that_is_left_holds_no_engine(tiny_model: Path, folder: Path) -> None:
    engine = Engine()
    counter = EdgeCounter(tiny_model, backend=engine)
    results = counter.stream(folder)
    next(results)
    counter.close()
    with pytest.raises(BackendError, match="closed"):
        list(results)


def test_ctrl_c_comes_through(counter: EdgeCounter, engine: Engine, folder: Path) -> None:
    engine.before = lambda value: _thread.interrupt_main() if value == 3 else None
    for call in (lambda: list(counter.stream(folder)), lambda: counter.count_batch(pictures())):
        with pytest.raises(KeyboardInterrupt):
            call()
        assert not lanes()
    engine.before = lambda _value: None
    assert len(counter.count_batch(pictures())) == 8


@pytest.mark.parametrize(
    "ending",
    [
        "next(counter.stream(folder))",  # collected
        "left = counter.stream(folder); next(left)",  # left as it is
        "watching = counter.watch(folder, lambda result: None); begun.wait(60)",  # in a daemon
        "start(counter.count_batch, os.scandir(folder)); begun.wait(60)",
        "left = counter.stream(folder); next(left); os.fork() and os.wait()",
    ],
)
def test_a_program_may_end_while_frames_are_counted(folder: Path, ending: str) -> None:
    code = f"""
import os, sys, threading, time
from edgecount import EdgeCounter, FakeBackend
begun = threading.Event()
class Slow(FakeBackend):
    lanes = 3
    def infer(self, inputs):
        begun.set()
        time.sleep(0.05)
        return super().infer(inputs)
def start(*call):
    threading.Thread(target=call[0], args=call[1:], daemon=True).start()
folder = sys.argv[1]
counter = EdgeCounter(backend=Slow())
{ending}
"""
    command = [sys.executable, "-W", "error", "-W", "ignore:.*fork", "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("workers", [0, -1, 1025, True, 1.5, "2"])
def test_workers_are_checked(tiny_model: Path, workers: Any) -> None:
    with pytest.raises(ConfigError, match="workers: expected a number from 1 to 1024"):
        EdgeCounter(tiny_model, workers=workers)
