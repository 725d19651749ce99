"""Pictures of a camera: no more than are asked for, and what becomes of one that fails."""

from __future__ import annotations

import importlib.util
import logging
import math
import threading
import time

import cv2
import numpy as np
import pytest

from edgecount import EdgeCounter, NV12Frame
from edgecount.errors import ConfigError, SourceError
from edgecount.fake import Drop, FakeCamera, HeadBackend, Show
from edgecount.runtime.sources.faults import PermanentError
from edgecount.runtime.sources.live import LiveOptions, LiveSource, SourceState
from edgecount.watch.camera import feed as feeds
from edgecount.watch.camera.camera import Camera
from edgecount.watch.camera.feed import Feed
from edgecount.watch.config import CameraConfig
from edgecount.watch.readings import Kept

WALL = 1_700_000_000.0


def take(feed: Feed, seconds: float) -> list[float]:
    """Take pictures for a while; return their times."""
    taken, end = [], time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        found = feed.take(now)
        if found is not None:
            taken.append(found[0])
        time.sleep(0.001)
    return taken


def test_no_more_pictures_than_the_rate():
    camera = FakeCamera([Show(60, people=1)], fps=40)
    feed = Feed("door", camera, 10, lambda: None)
    try:
        taken = take(feed, 1.0)
    finally:
        feed.close()
    assert 1 <= len(taken) <= 11  # a slow machine takes fewer
    assert taken == sorted(taken)
    health = feed.health()
    assert health.counted == len(taken)
    assert health.frames_in == health.counted + health.dropped


def test_times_are_those_of_the_capture():
    camera = FakeCamera([Show(60, people=1)], fps=20)
    feed = Feed("door", camera, None, lambda: None)
    begin = time.monotonic()
    try:
        taken = take(feed, 0.5)
    finally:
        feed.close()
    assert all(begin - 1 <= one <= time.monotonic() for one in taken)


def test_it_wakes_who_waits_when_a_picture_is_due():
    woken = []
    camera = FakeCamera([Show(60, people=1)], fps=50)
    feed = Feed("door", camera, None, lambda: woken.append(1))
    try:
        feed.take(time.monotonic())  # opens it
        end = time.monotonic() + 10
        while len(woken) < 5 and time.monotonic() < end:
            time.sleep(0.01)
    finally:
        feed.close()
    assert len(woken) >= 5


def broken() -> None:
    raise PermanentError("the password is wrong")


def test_a_camera_that_is_given_up_is_tried_again_later():
    feed = Feed("door", LiveSource("rtsp://door", open_clip=broken), None, lambda: None)
    feed.take(time.monotonic())
    end = time.monotonic() + 10
    while feed.health().state is not SourceState.FAILED and time.monotonic() < end:
        time.sleep(0.01)
    now = time.monotonic()
    assert feed.take(now) is None
    assert feed.due == pytest.approx(now + 60)
    assert feed.tick(now, WALL) == []
    (lost,) = feed.tick(now + 3, WALL)
    assert (lost.change, lost.kind) == ("lost", "camera")
    assert lost.detail == "the password is wrong; it is tried again in some minutes"
    feed.take(now + 61)  # opened again
    assert feed.health().state is not SourceState.FAILED or feed.due <= now + 61
    feed.close()


def test_a_stream_that_is_over_is_not_opened_again():
    feed = Feed("door", FakeCamera([Show(0.1, people=1)]), None, lambda: None)
    end = time.monotonic() + 10
    while not math.isinf(feed.due) and time.monotonic() < end:
        feed.take(time.monotonic())
        time.sleep(0.001)
    assert math.isinf(feed.due)
    assert feed.health().state is SourceState.ENDED
    now = time.monotonic()
    assert feed.tick(now, WALL) == []
    (lost,) = feed.tick(now + 3, WALL)
    assert lost.detail == "it has come to its end"


def test_a_camera_that_is_away_is_told_once_and_again_for_another_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(feeds, "_LOST", 0.1)
    answers = ["cannot open the stream door: no answer for 1 s"]

    def away() -> None:
        raise SourceError(answers[0])

    options = LiveOptions(backoff=(0.01, 0.02))
    source = LiveSource("rtsp://door", options, name="door", open_clip=away)
    feed = Feed("door", source, None, lambda: None)
    events, end = [], time.monotonic() + 20
    with caplog.at_level(logging.INFO):
        while not events and time.monotonic() < end:
            feed.take(time.monotonic())
            events += feed.tick(time.monotonic(), WALL)
            time.sleep(0.005)
        assert [event.detail for event in events] == ["cannot open the stream: no answer for 1 s"]
        assert caplog.messages == []  # of the event others tell
        answers[0] = "door: the password is wrong"
        while not caplog.messages and time.monotonic() < end:
            assert feed.tick(time.monotonic(), WALL) == []
            time.sleep(0.005)
        answers[0] = "cannot open the stream door: no answer for 2 s"
        for _ in range(20):
            assert feed.tick(time.monotonic(), WALL) == []
            time.sleep(0.005)
    feed.close()
    assert caplog.messages == ["door: the camera is still away: the password is wrong"]


def test_lost_and_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feeds, "_LOST", 0.2)
    camera = FakeCamera([Show(3, people=1), Drop(10), Show(999)], speed=10)
    feed = Feed("door", camera, None, lambda: None)
    changes, end = [], time.monotonic() + 20
    while len(changes) < 2 and time.monotonic() < end:
        feed.take(time.monotonic())
        changes += [event.change for event in feed.tick(time.monotonic(), WALL)]
        time.sleep(0.005)
    feed.close()
    assert changes == ["lost", "back"]


def test_a_section_whose_camera_makes_no_sense():
    config = CameraConfig(source="rtsp://a:secret@door/", hardware="warp")
    with pytest.raises(Exception, match="cameras: door: ") as raised:
        feeds.source_of("door", config)
    assert "secret" not in str(raised.value)


def test_a_decoder_that_is_not_installed_is_an_error_of_its_section():
    if importlib.util.find_spec("PyNvVideoCodec"):
        pytest.skip("PyNvVideoCodec is installed")
    config = CameraConfig(source="rtsp://door/", hardware="nvdec")
    with pytest.raises(ConfigError, match="cameras: door: PyNvVideoCodec is needed"):
        feeds.source_of("door", config)


def test_pictures_are_bgr_whatever_the_decoder_gives(make_manifest):
    planes = np.random.default_rng(0).integers(0, 256, (12, 16), np.uint8)
    ended = threading.Event()

    class Clip:
        given = 1

        def pictures(self):
            yield NV12Frame.from_buffer(planes), 0, None
            ended.wait(60)

        def stop(self):
            ended.set()

        def fault(self):
            return ""

        def close(self):
            pass

    source = LiveSource("rtsp://door/", open_clip=Clip)
    woken = threading.Event()
    camera = Camera(
        "door", CameraConfig("rtsp://door/"), make_manifest(), woken.set, kept=Kept(), source=source
    )
    found, end = None, time.monotonic() + 60
    while found is None and time.monotonic() < end:
        woken.wait(1)
        found = camera.take(time.monotonic())
    camera.close()
    assert found is not None
    assert (found[1].image == cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_NV12)).all()


def test_counts_of_a_fake_camera_are_exact():
    camera = FakeCamera([Show(60, people=9)])
    feed = Feed("door", camera, None, lambda: None)
    with EdgeCounter(backend=HeadBackend()) as counter:
        end = time.monotonic() + 10
        found = None
        while found is None and time.monotonic() < end:
            found = feed.take(time.monotonic())
        feed.close()
        assert found is not None
        assert counter.count(found[1].image).count == 9
