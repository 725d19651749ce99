"""Fake cameras do what their scripts say, and are counted."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from edgecount import ConfigError, EdgeCounter, Frame, SourceError
from edgecount.fake import Cover, Drop, FakeCamera, Freeze, Hang, HeadBackend, Resize, Show, Still
from edgecount.runtime.sources.live import LiveOptions, SourceState

ALL = LiveOptions(newest=False)
TRUSTING = LiveOptions(newest=False, stall_timeout=60.0)  # on a machine that is slow itself


def frames_of(script: list[Any], **options: Any) -> tuple[FakeCamera, list[Frame]]:
    camera = FakeCamera(script, **{"speed": 10.0, "options": TRUSTING, **options})
    return camera, list(camera.frames())


def test_every_picture_of_the_script() -> None:
    camera, frames = frames_of([Show(2, people=3), Resize((320, 240)), Show(1), Cover(1)])
    assert len(frames) == 40
    assert [frame.index for frame in frames] == list(range(40))
    shapes = [frame.image.shape for frame in frames]
    assert shapes == [(480, 640, 3)] * 20 + [(240, 320, 3)] * 20
    assert [camera.people_in(frame) for frame in frames] == [3] * 30 + [0] * 10
    assert all(frame.captured is not None for frame in frames)
    health = camera.health()
    assert (health.state, health.error) == (SourceState.ENDED, None)
    assert (health.frames_in, health.counted, health.dropped) == (40, 40, 0)


def test_the_same_pictures_for_the_same_seed() -> None:
    script = [Show(0.5, people=9, walk=(50, 0)), Still(0.3)]
    first, again, other = (frames_of(script, seed=seed)[1] for seed in (1, 1, 2))
    assert len(first) == len(again) == len(other) == 8
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one.image, two.image)
    assert not np.array_equal(first[0].image, other[0].image)
    assert not np.array_equal(first[0].image, first[1].image)
    assert np.array_equal(first[5].image, first[6].image)  # a still


def test_a_counter_sees_the_people_of_the_script(make_model) -> None:
    camera = FakeCamera(
        [Show(1, people=20, walk=(100, -40)), Show(1, people=21), Cover(0.5), Still(0.5, people=7)],
        speed=10,
        options=ALL,
    )
    with EdgeCounter(make_model(), backend=HeadBackend()) as counter:
        frames = list(camera.frames())
        results = [counter.count(frame.image) for frame in frames]
    counts = [round(result.count) for result in results]
    assert counts == [camera.people_in(frame) for frame in frames]
    assert counts == [20] * 10 + [21] * 10 + [0] * 5 + [7] * 5
    for frame, result in zip(frames, results, strict=True):
        distances = np.abs(result.points[:, None, :2] - camera.heads_in(frame)[None]).max(axis=2)
        assert (distances.min(axis=1, initial=99) < 2).all()


def test_cameras_side_by_side_share_a_backend(make_model) -> None:
    cameras = {
        name: FakeCamera(
            [Show(2, people=people), Show(2, people=people + 1)],
            size=(320, 240),
            fps=5,
            speed=5,
            seed=people,
            options=TRUSTING,
            name=name,
        )
        for name, people in (("door", 3), ("hall", 40))
    }
    with EdgeCounter(make_model(), backend=HeadBackend()) as counter:
        results = list(counter.stream_many(list(cameras.values())))
    assert len(results) == 40
    for result in results:
        assert round(result.count) == cameras[result.source].people_in(result)


def test_drops_and_hangs_are_reconnects() -> None:
    options = LiveOptions(newest=False, stall_timeout=60.0, backoff=(0.5, 0.5))
    script = [Show(1, people=5), Drop(3), Show(5), Hang(3), Show(5)]
    camera, frames = frames_of(script, options=options, fps=5, size=(64, 64))
    health = camera.health()
    assert health.reconnects >= 2
    assert health.frames_in == health.counted == len(frames)
    times = [frame.time for frame in frames]
    assert times == sorted(times)
    gaps = np.diff(times)
    assert (gaps > 0.2).sum() >= 2  # 3 s of the script in a tenth of the time


def test_a_freeze_is_a_stall() -> None:
    camera = FakeCamera(
        [Show(1, people=5), Freeze(30), Show(1)],
        speed=10,
        options=LiveOptions(newest=False, reconnect=False, stall_timeout=5),
    )
    with pytest.raises(SourceError, match="gave no picture"):
        list(camera.frames())
    assert camera.health().state is SourceState.FAILED


def test_a_camera_that_is_not_taken_from_drops_pictures() -> None:
    camera = FakeCamera([Show(5, people=5)], speed=10)
    with camera.reader() as reader:
        reader.take(30)
        while camera.health().frames_in < 20:
            threading.Event().wait(0.01)
        newest = reader.take(30)
        health = camera.health()
    assert newest.index >= 19
    assert health.dropped >= 18
    assert health.counted == 2


def test_closing_wakes_a_camera_that_waits() -> None:
    camera = FakeCamera([Show(1), Freeze(3600)])
    reader = camera.reader()
    reader.take(30)
    reader.close()
    assert not [t for t in threading.enumerate() if camera.name in t.name and not t.daemon]


def test_many_reconnects_leave_nothing_behind() -> None:
    camera = FakeCamera(
        [Show(0.5, people=2), Drop(0.2), Show(0.5), Hang(0.2)],
        size=(64, 64),
        speed=10,
        loop=True,
        options=LiveOptions(backoff=(0.1, 0.1)),
    )
    before = threading.active_count()
    with camera.reader() as reader:
        while camera.health().reconnects < 15:
            reader.take(30)
            assert threading.active_count() <= before + 4
    deadline = time.monotonic() + 30
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    health = camera.health()
    assert health.frames_in == health.counted + health.dropped


def test_rendered_people() -> None:
    camera, frames = frames_of(
        [Show(0.3, people=4), Still(0.2)], size=(160, 120), rendered=True, seed=3
    )
    assert [camera.people_in(frame) for frame in frames] == [4] * 5
    assert not np.array_equal(frames[0].image, frames[1].image)
    assert np.array_equal(frames[3].image, frames[4].image)


def test_frames_of_others_have_no_people_here() -> None:
    camera = FakeCamera([Show(1)])
    with pytest.raises(ConfigError, match="expected a frame or result of fake camera, got one of"):
        camera.people_in(Frame(np.zeros((4, 4, 3), np.uint8), "door", 0, 0.0))


def test_importing_it_loads_no_engine_and_no_codec() -> None:
    heavy = ("cv2", "av", "onnxruntime", "PIL", "torch", "edgecount.scenes")
    code = f"import sys, edgecount.fake; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
