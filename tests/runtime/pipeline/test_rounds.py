"""Rounds of several sources: order, lateness, failures, and cameras that come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from edgecount.errors import BackendError, SourceError
from edgecount.runtime.frames.checked import check_host_frame
from edgecount.runtime.pipeline.job import FrameJob
from edgecount.runtime.pipeline.rounds import Rounds, in_order
from edgecount.runtime.sources.base import Frame
from edgecount.runtime.sources.prefetch import Ended, NotReady, ReadAhead, Reader


def black(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def frames(name: str, number: int, size: tuple[int, int] = (8, 8)) -> Iterator[FrameJob]:
    for index in range(number):
        yield FrameJob(check_host_frame(black(*size)), Frame(black(*size), name, index, 0.0))


def name_of(job: FrameJob) -> str:
    assert job.origin is not None
    return f"{job.origin.source}{job.origin.index}"


def names(groups: Iterable[list[FrameJob]]) -> list[list[str]]:
    return [[name_of(job) for job in group] for group in groups]


def test_a_round_has_a_frame_of_each_source_that_is_left() -> None:
    readers = [ReadAhead(frames("a", 3)), ReadAhead(frames("b", 1)), ReadAhead(frames("c", 2))]
    found = names(Rounds(readers, 8, None, None))
    assert found == [["a0", "b0", "c0"], ["a1", "c1"], ["a2"]]


def test_frames_of_other_sizes_go_apart_and_come_back_in_order() -> None:
    readers = [
        ReadAhead(frames("a", 2)), ReadAhead(frames("b", 2, (16, 8))), ReadAhead(frames("c", 2)),
    ]  # fmt: skip
    groups = list(Rounds(readers, 8, None, None))
    assert names(iter(groups)) == [["a0", "c0"], ["b0"], ["a1", "c1"], ["b1"]]
    results = in_order([[(job, name_of(job)) for job in group] for group in groups])
    assert list(results) == ["a0", "b0", "c0", "a1", "b1", "c1"]


@pytest.mark.parametrize("first", [True, False])
def test_a_late_camera_is_not_waited_for_longer_than_asked(first: bool) -> None:
    gate = threading.Event()

    def late() -> Iterator[FrameJob]:
        gate.wait(10)
        yield from frames("late", 1)

    readers = [ReadAhead(late()), ReadAhead(frames("a", 2))][:: 1 if first else -1]
    found = iter(Rounds(readers, 8, 0.01, None))
    assert names(iter([next(found), next(found)])) == [["a0"], ["a1"]]
    gate.set()
    assert names(found) == [["late0"]]


def test_a_round_waits_for_cameras_that_come_in_time() -> None:
    gates = [threading.Event() for _ in range(3)]

    def late() -> Iterator[FrameJob]:
        for gate, frame in zip(gates, frames("late", 3), strict=True):
            gate.wait(10)
            yield frame

    found = iter(Rounds([ReadAhead(late()), ReadAhead(frames("a", 3))], 8, 10.0, None))
    for index, gate in enumerate(gates):
        threading.Timer(0.02, gate.set).start()
        assert names(iter([next(found)])) == [[f"late{index}", f"a{index}"]]


def test_closing_wakes_who_waits_for_a_round() -> None:
    gate = threading.Event()

    def late() -> Iterator[FrameJob]:
        gate.wait(10)
        yield from frames("late", 1)

    rounds = Rounds([ReadAhead(frames("a", 9)), ReadAhead(late())], 8, None, None)
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.extend(rounds))
    thread.start()
    time.sleep(0.02)
    rounds.close()
    thread.join(10)
    assert not thread.is_alive()
    assert found == []
    gate.set()


def test_what_a_round_has_counted_comes_before_its_error() -> None:
    def groups() -> Iterator[list[tuple[FrameJob, str]]]:
        yield [(job(1), "b")]
        raise BackendError("the engine does not take a's size")

    results = in_order(groups())
    assert next(results) == "b"
    with pytest.raises(BackendError, match="a's size"):
        next(results)


@pytest.mark.parametrize(
    "error", [ValueError("no room"), BackendError("stop"), SourceError("stop")]
)
def test_what_a_caller_throws_in_is_raised_at_once(error: Exception) -> None:
    groups = (
        [(job(place), f"{name}{index}") for place, name in enumerate("ab")] for index in range(3)
    )
    results = in_order(groups)
    assert [next(results) for _ in range(3)] == ["a0", "b0", "a1"]
    with pytest.raises(type(error)) as caught:
        results.throw(error)  # type: ignore[attr-defined]
    assert caught.value is error
    assert list(results) == []


def job(place: int) -> FrameJob:
    return FrameJob(check_host_frame(black(8, 8)), place=place, together=2)


def test_a_dead_camera_ends_all_or_only_itself() -> None:
    def dying() -> Iterator[FrameJob]:
        yield from frames("b", 1)
        raise SourceError("b is dead")

    def readers() -> list[ReadAhead[FrameJob]]:
        return [ReadAhead(frames("a", 3)), ReadAhead(dying())]

    with pytest.raises(SourceError, match="b is dead"):
        list(Rounds(readers(), 8, None, None))
    told: list[SourceError] = []
    assert names(Rounds(readers(), 8, None, told.append)) == [["a0", "b0"], ["a1"], ["a2"]]
    assert [str(error) for error in told] == ["b is dead"]


class Camera(Reader[FrameJob]):
    """A live source: its newest picture can be taken once; `patience` is that of the test."""

    def __init__(self, name: str, size: tuple[int, int] = (8, 8), patience: float = 10.0) -> None:
        self.name, self.size, self.seconds = name, size, patience
        self.shown = 0
        self.newest: FrameJob | None = None
        self.ended: BaseException | None = None

    def show(self) -> None:
        origin = Frame(black(*self.size), self.name, self.shown, 0.0)
        self.shown += 1
        self.newest = FrameJob(check_host_frame(origin.image), origin)
        self.on_change()

    def end(self, error: BaseException) -> None:
        self.ended = error
        self.on_change()

    def is_live(self) -> bool:
        return True

    @property
    def patience(self) -> float:
        return self.seconds

    def take(self, timeout: float | None = None) -> FrameJob:
        assert timeout == 0  # nobody waits for one camera alone
        if self.newest is not None:
            job, self.newest = self.newest, None
            return job
        raise self.ended or NotReady

    def close(self) -> None:
        self.ended = Ended()


def taken(rounds: Rounds) -> list[str]:
    return [name_of(job) for job in rounds.take(10)]


def none_is_there(rounds: Rounds) -> bool:
    try:
        rounds.take(0)
    except NotReady:
        return True
    return False


def test_a_camera_s_picture_is_taken_when_its_turn_comes() -> None:
    a, b = Camera("a"), Camera("b")
    rounds = Rounds([a, b], 1, None, None)
    a.show()
    b.show()
    assert taken(rounds) == ["a0"]
    b.show()  # meanwhile, while a's is counted
    a.show()
    assert taken(rounds) == ["b1"]
    assert taken(rounds) == ["a1"]


def test_a_camera_that_is_there_does_not_wait_for_one_that_is_away() -> None:
    here, away = Camera("here"), Camera("away", patience=0.0)
    rounds = Rounds([away, here], 1, None, None)
    for index in range(3):
        here.show()
        assert taken(rounds) == [f"here{index}"]
    assert none_is_there(rounds)
    away.show()
    here.show()
    assert sorted(taken(rounds) + taken(rounds)) == ["away0", "here3"]


def test_a_late_camera_has_as_long_as_it_is_worth() -> None:
    a, b = Camera("a"), Camera("b", patience=0.2)
    rounds = Rounds([a, b], 1, None, None)
    a.show()
    assert taken(rounds) == ["a0"]
    a.show()
    assert none_is_there(rounds)  # b may yet come
    assert taken(rounds) == ["a1"]  # it did not
    a.seconds = b.seconds = 10.0
    a.show()
    assert none_is_there(rounds)
    b.show()
    assert taken(rounds) == ["b0"]
    assert taken(rounds) == ["a2"]


def test_a_round_of_cameras_ends_at_the_timeout() -> None:
    a, b = Camera("a"), Camera("b")
    rounds = Rounds([a, b], 1, 0.05, None)
    for index in range(3):
        a.show()
        assert taken(rounds) == [f"a{index}"]


def test_who_waits_for_cameras_is_woken_by_a_picture_and_by_their_end() -> None:
    a, b = Camera("a"), Camera("b")
    rounds = Rounds([a, b], 1, None, None)
    threading.Timer(0.05, a.show).start()
    assert taken(rounds) == ["a0"]
    threading.Timer(0.05, b.end, [Ended()]).start()
    a.show()
    assert taken(rounds) == ["a1"]
    threading.Timer(0.05, a.end, [SourceError("a is dead")]).start()
    with pytest.raises(SourceError, match="a is dead"):
        rounds.take(10)


def test_pictures_of_one_size_go_together_as_they_are_there() -> None:
    cameras = [Camera("a"), Camera("b", (16, 8)), Camera("c"), Camera("d", (16, 8))]
    rounds = Rounds(cameras, 4, None, None)
    for camera in cameras:
        camera.show()
    assert [taken(rounds) for _ in range(2)] == [["a0", "c0"], ["b0", "d0"]]
    for camera in cameras:
        camera.show()
    assert taken(rounds) == ["a1", "c1"]
    cameras[1].show()  # taken no sooner than their group's turn
    assert taken(rounds) == ["b2", "d1"]
    cameras[1].size = (8, 8)
    for camera in cameras:
        camera.show()
    found = sorted(tuple(taken(rounds)) for _ in range(3))
    assert found == [("a2", "c2"), ("b3",), ("d2",)]


def test_files_beside_a_camera_have_their_turns() -> None:
    camera = Camera("camera", patience=0.0)
    rounds = Rounds([ReadAhead(frames("file", 2)), camera], 1, None, None)
    camera.show()
    assert sorted(taken(rounds) + taken(rounds)) == ["camera0", "file0"]
    assert taken(rounds) == ["file1"]
    camera.show()
    assert taken(rounds) == ["camera1"]


def test_a_source_that_is_not_there_is_told() -> None:
    class Missing(Camera):
        def open(self) -> None:
            raise SourceError("no such file")

    readers = [Missing("x"), ReadAhead(frames("a", 1))]
    with pytest.raises(SourceError, match="no such file"):
        Rounds(readers, 1, None, None).take()
    told: list[SourceError] = []
    assert names(Rounds([Missing("x"), ReadAhead(frames("a", 1))], 1, None, told.append)) == [
        ["a0"]
    ]
    assert len(told) == 1
