"""Live sources: what is dropped and counted, faults, time-outs, reconnects, ends."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from edgecount.errors import SourceError
from edgecount.runtime.sources.base import Frame
from edgecount.runtime.sources.faults import PermanentError
from edgecount.runtime.sources.live import LiveReader, LiveSource, SourceState
from edgecount.runtime.sources.prefetch import Ended, NotReady
from fake_clips import FakeClip, Hang, camera, wait_for


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    gc.collect()
    wait_for(lambda: not (set(threading.enumerate()) - before))


@pytest.fixture
def hang() -> Iterator[Hang]:
    hang = Hang()
    yield hang
    hang.let_go()


def balanced(source: LiveSource) -> bool:
    health = source.health()
    return health.frames_in == health.counted + health.dropped


# What is dropped and counted.


def test_the_newest_picture_is_given_and_the_others_are_counted(hang: Hang) -> None:
    source = camera(FakeClip(10, then=hang))
    assert source.health().state is SourceState.IDLE
    with source.reader() as reader:
        wait_for(lambda: hang.waiting)
        assert (source.health().counted, source.health().dropped) == (0, 9)
        frame = reader.take()
        assert (frame.index, frame.source) == (9, "rtsp://host/a")
        with pytest.raises(NotReady):
            reader.take(0)
        health = source.health()
        assert (health.counted, health.dropped, health.frames_in) == (1, 9, 10)
        assert (health.state, health.size) == (SourceState.LIVE, (8, 6))
        hang.let_go()
    assert balanced(source)


def test_every_picture_is_given_where_all_are_wanted() -> None:
    source = camera(FakeClip(40), reconnect=False, newest=False)
    frames: list[Frame] = []
    with pytest.raises(SourceError, match="the stream rtsp://host/a ended after 40 frames"):
        frames.extend(frame for frame in source.frames() if balanced(source))
    assert [frame.index for frame in frames] == list(range(40))
    health = source.health()
    assert (health.counted, health.dropped, health.state) == (40, 0, SourceState.FAILED)


def test_a_camera_that_waits_for_room_has_not_stalled() -> None:
    source = camera(FakeClip(9), newest=False, stall_timeout=0.1)
    with source.reader() as reader:
        time.sleep(0.5)
        assert [reader.take().index for _ in range(9)] == list(range(9))
        assert source.health().reconnects == 0


def test_what_waits_is_dropped_by_closing(hang: Hang) -> None:
    source = camera(FakeClip(1, then=hang))
    with source.reader():
        wait_for(lambda: hang.waiting)
        assert source.health().frames_in == 0
        hang.let_go()
    health = source.health()
    assert (health.frames_in, health.dropped, health.state) == (1, 1, SourceState.IDLE)


def test_skipped_pictures_are_dropped_ones() -> None:
    clip = FakeClip(1, skipped=7, left_out=2)
    source = camera(clip, reconnect=False)
    frames = source.frames()
    assert next(frames).index == 7
    with pytest.raises(SourceError):
        next(frames)
    assert source.health().dropped == 7
    assert source.health().damaged == 2


def test_two_threads_take_each_picture_once() -> None:
    source = camera(FakeClip(200, interval=0.002), reconnect=False, newest=False)
    taken: list[int] = []

    def take(reader: LiveReader) -> None:
        with suppress(SourceError):
            while True:
                taken.append(reader.take().index)

    with source.reader() as reader:
        threads = [threading.Thread(target=take, args=(reader,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(taken) == list(range(200))
    assert source.health().counted == 200


# Times.


def test_times_go_on_when_the_camera_comes_back() -> None:
    source = camera(lambda: FakeClip(4, interval=0.02), newest=False)
    begin = time.time()
    with source.reader() as reader:
        frames = [reader.take() for _ in range(12)]
    assert [frame.index for frame in frames] == list(range(12))
    times = [frame.time for frame in frames]
    assert times[0] == 0
    assert times == sorted(times)
    assert [round(frame.media_time or 0, 2) for frame in frames[4:8]] == [0, 0.02, 0.04, 0.06]
    for frame in frames:
        assert frame.captured is not None
        assert begin - 0.1 <= frame.captured <= time.time() + 0.1
    assert source.health().reconnects >= 2


def test_the_age_betrays_what_waited_in_buffers(hang: Hang) -> None:
    """Two pictures half a second apart by the camera's clock, that come one right after another."""
    source = camera(FakeClip(2, then=hang, clock=lambda index: -0.5 * (1 - index)), newest=False)
    with source.reader() as reader:
        late, fresh = reader.take(), reader.take()
        assert late.captured is not None
        assert fresh.captured is not None
        wait_for(lambda: hang.waiting)
        age = source.health().age
        time.sleep(0.05)
        assert age is not None
        assert (source.health().age or 0) >= age + 0.05
        hang.let_go()


def test_the_rate_is_that_of_late() -> None:
    source = camera(FakeClip(12, interval=0.03), reconnect=False)
    with pytest.raises(SourceError):
        list(source.frames())
    fps = source.health().fps
    assert fps is not None
    assert 0 < fps < 40


# Time-outs.


def test_an_opening_that_hangs_is_left_behind(hang: Hang, caplog) -> None:
    source = camera(hang, lambda: FakeClip(5, interval=0.01))
    begin = time.monotonic()
    with source.reader() as reader, caplog.at_level(logging.WARNING):
        frame = reader.take(20)
        assert time.monotonic() - begin > 0.35
        assert frame.index >= 0
        assert source.health().error == "cannot open the stream rtsp://host/a: no answer for 0.4 s"
        hang.let_go()
    assert "no answer for 0.4 s; it is tried again" in caplog.text


def test_what_a_late_opening_gives_is_closed(hang: Hang) -> None:
    late = FakeClip(5)

    def open_late() -> FakeClip:
        hang()
        return late

    source = camera(open_late, lambda: FakeClip(1000, interval=0.01))
    with source.reader() as reader:
        reader.take(20)
        hang.let_go()
        wait_for(lambda: late.closed == 1)
        assert late.given == 0


def test_a_camera_that_answers_and_sends_nothing(hang: Hang) -> None:
    source = camera(FakeClip(0, then=hang), reconnect=False)
    with pytest.raises(SourceError, match=r"is open, but gave no picture for 0\.4 s"):
        next(source.frames())
    hang.let_go()


def test_a_read_that_hangs_is_left_behind(hang: Hang) -> None:
    source = camera(FakeClip(2, then=hang), lambda: FakeClip(1000, interval=0.01), backoff=(1, 1))
    with source.reader() as reader:
        assert reader.take(20).index in (0, 1)
        wait_for(lambda: source.health().state is SourceState.STALLED)
        assert source.health().error == "the stream rtsp://host/a gave no picture for 0.4 s"
        wait_for(lambda: source.health().state is SourceState.LIVE)
        hang.let_go()
    assert balanced(source)


def test_a_closing_that_hangs_holds_nothing_up(hang: Hang) -> None:
    source = camera(FakeClip(1, on_close=hang), lambda: FakeClip(1000, interval=0.01))
    with source.reader() as reader:
        wait_for(lambda: hang.waiting)
        wait_for(lambda: source.health().frames_in > 5)
        reader.take(20)
        hang.let_go()


def test_no_more_than_a_few_threads_are_left_behind(hang: Hang) -> None:
    source = camera(hang, open_timeout=0.05)
    with source.reader() as reader:
        wait_for(lambda: "3 reads hang" in (source.health().error or ""))
        time.sleep(0.3)
        assert hang.waiting == 3
        assert source.health().state is SourceState.STALLED
        with pytest.raises(NotReady):
            reader.take(0)
        hang.let_go()
        wait_for(lambda: hang.waiting > 3)


def test_a_clip_that_comes_in_bursts_has_more_time(hang: Hang) -> None:
    def slow() -> None:
        time.sleep(0.8)

    source = camera(FakeClip(1, then=slow, patience=5.0), reconnect=False)
    with pytest.raises(SourceError, match="ended after 1 frames"):
        list(source.frames())


# Faults.


@pytest.mark.parametrize(
    "error",
    [SourceError("it is away"), OSError("no route"), EOFError(), TimeoutError("slow")],
)
def test_what_time_can_mend_is_tried_again(error: Exception, caplog) -> None:
    source = camera(error, error, error, lambda: FakeClip(9, interval=0.01))
    with source.reader() as reader, caplog.at_level(logging.WARNING):
        reader.take(20)
        assert source.health().reconnects == 3
        assert source.health().error
    told = [record.message for record in caplog.records if "tried again" in record.message]
    assert len(told) == 1


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermanentError("no video in it"), "no video in it"),
        (TypeError("a bug"), "rtsp://host/a: TypeError: a bug"),
        (ValueError("rtsp://user:pass@host/"), "rtsp://host/a: ValueError: rtsp://host/"),
        (MemoryError(), "MemoryError: no reason given"),
        (SystemExit(1), "SystemExit: 1"),
    ],
)
def test_what_time_cannot_mend_is_an_error_at_once(error: BaseException, message: str) -> None:
    source = camera(error)
    with source.reader() as reader:
        for _ in range(3):
            with pytest.raises(SourceError) as caught:
                reader.take(20)
            assert message in str(caught.value)
        assert source.health().state is SourceState.FAILED
        assert message in (source.health().error or "")


def test_after_the_first_try_everything_is_tried_again() -> None:
    def fail() -> None:
        raise TypeError("a bug")

    source = camera(
        FakeClip(1, then=fail), PermanentError("404"), lambda: FakeClip(9, interval=0.01)
    )
    with source.reader() as reader:
        wait_for(lambda: source.health().reconnects >= 2)
        wait_for(lambda: source.health().state is SourceState.LIVE)
        reader.take(20)


def test_without_reconnecting_a_fault_is_an_error() -> None:
    source = camera(OSError("no route"), reconnect=False)
    with pytest.raises(SourceError, match="OSError: no route"):
        next(source.frames())


def test_the_fault_of_a_clip_comes_after_its_pictures() -> None:
    class Damaged(FakeClip):
        def fault(self) -> str:
            return "it is damaged"

    source = camera(Damaged(3), reconnect=False, newest=False)
    frames = []
    with pytest.raises(SourceError, match="it is damaged"):
        frames.extend(source.frames())
    frames = source.frames()
    assert next(frames).index == 0
    frames.close()


def test_a_finite_clip_is_given_whole_and_ends() -> None:
    source = camera(FakeClip(30, is_finite=True))
    frames = list(source.frames())
    assert [frame.index for frame in frames] == list(range(30))
    assert {frame.captured for frame in frames} == {None}
    assert source.health().state is SourceState.ENDED
    with source.reader() as reader:
        wait_for(lambda: source.health().frames_in == 0)
        reader.close()
        with pytest.raises(Ended):
            reader.take()


def test_a_camera_that_comes_back_with_an_end_is_no_recording(hang: Hang) -> None:
    """So does a relay whose stream has ended: it gives the old pictures as a recording."""
    source = camera(FakeClip(3), FakeClip(30, is_finite=True), FakeClip(2, then=hang))
    with source.reader() as reader:
        wait_for(lambda: hang.waiting)
        assert source.health().frames_in <= 5
        assert reader.take(5).captured is not None
        hang.let_go()
    assert source.health().reconnects == 2


def test_a_recording_where_a_camera_is_expected_is_tried_again(hang: Hang) -> None:
    source = camera(FakeClip(9, is_finite=True), FakeClip(1, then=hang), finite=False)
    with source.reader() as reader:
        wait_for(lambda: hang.waiting)
        assert reader.take(5).index == 0
        hang.let_go()
    refused = camera(FakeClip(9, is_finite=True), finite=False, reconnect=False)
    with pytest.raises(SourceError, match="expected a camera, got a recording, a single picture"):
        next(refused.frames())


def test_it_is_given_up_after_a_while() -> None:
    source = camera(OSError("no route"), give_up=0.3)
    with pytest.raises(SourceError, match=r"gave no picture for 0\.3 s: .*no route"):
        next(source.frames())
    assert source.health().reconnects >= 1


def test_it_is_given_up_while_it_hangs(hang: Hang) -> None:
    source = camera(hang, give_up=0.3, open_timeout=60)
    begin = time.monotonic()
    with pytest.raises(SourceError, match=r"for 0\.3 s"):
        next(source.frames())
    assert time.monotonic() - begin < 20
    hang.let_go()
