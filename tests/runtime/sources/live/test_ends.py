"""Ends of live sources: closing, garbage, interrupts, threads; and options."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgecount.errors import ConfigError, SourceError
from edgecount.runtime.sources.live import LiveOptions, LiveSource, SourceState
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


# Ends.


def test_a_waiting_take_gets_the_end() -> None:
    source = camera(lambda: FakeClip(0, then=lambda: time.sleep(0.05)))
    reader = source.reader()
    caught: list[BaseException] = []

    def take() -> None:
        try:
            reader.take()
        except BaseException as error:  # noqa: BLE001
            caught.append(error)

    thread = threading.Thread(target=take)
    thread.start()
    time.sleep(0.1)
    reader.close()
    thread.join(20)
    assert [type(error) for error in caught] == [Ended]
    with pytest.raises(Ended):
        reader.take(0)


def test_closing_does_not_wait_for_what_hangs(hang: Hang) -> None:
    for source in (camera(hang), camera(FakeClip(0, then=hang)), camera(FakeClip(1, then=hang))):
        reader = source.reader()
        before = hang.waiting
        wait_for(lambda before=before: hang.waiting > before)
        begin = time.monotonic()
        reader.close()
        assert time.monotonic() - begin < 5
        reader.close()
        assert source.health().state is SourceState.IDLE
    hang.let_go()


def test_closing_right_after_opening() -> None:
    for _ in range(50):
        source = camera(lambda: FakeClip(3))
        source.reader().close()
        assert balanced(source)


def test_a_reader_that_nobody_holds_is_closed() -> None:
    source = camera(lambda: FakeClip(10_000, interval=0.01))
    reader = source.reader()
    reader.take(20)
    del reader
    frames = source.frames()
    next(frames)
    del frames
    gc.collect()  # and the fixture waits for the threads


def test_an_exception_of_who_takes_the_frames_closes_the_camera() -> None:
    source = camera(lambda: FakeClip(10_000, interval=0.01))

    def count() -> None:
        for _ in source.frames():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count()


def test_a_thousand_reconnects_leave_nothing_behind() -> None:
    opened = [0]

    def flaky() -> FakeClip:
        opened[0] += 1
        if opened[0] % 3 == 0:
            raise OSError("no route")
        return FakeClip(1)

    source = camera(flaky, backoff=(1e-5, 1e-5))
    with source.reader() as reader:
        most = 0
        while opened[0] < 1000:
            try:
                reader.take(0.01)
            except NotReady:
                continue
            most = max(most, threading.active_count())
            assert balanced(source)
        assert most < 12
    assert balanced(source)


def test_a_program_ends_while_its_camera_hangs() -> None:
    code = (
        "import time, edgecount\n"
        "def hang(): time.sleep(1000)\n"
        "source = edgecount.LiveSource('rtsp://host/a', open_clip=hang)\n"
        "reader = source.reader()\n"
        "time.sleep(0.2)\n"
    )
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert time.monotonic() - begin < 60


def test_a_forked_child_ends_while_its_parent_reads() -> None:
    code = (
        "import os, time, edgecount\n"
        "source = edgecount.LiveSource('rtsp://host/a', open_clip=lambda: time.sleep(1000))\n"
        "reader = source.reader()\n"
        "time.sleep(0.1)\n"
        "with reader.core._available:\n"
        "    child = os.fork()\n"
        "    if child == 0: raise SystemExit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert (done.stdout, done.stderr) == ("7\n", "")


def test_a_forked_child_is_told_that_the_camera_is_its_parent_s() -> None:
    code = (
        "import os, time, edgecount\n"
        "source = edgecount.LiveSource('rtsp://host/a', open_clip=lambda: time.sleep(1000))\n"
        "reader = source.reader()\n"
        "with reader.core._available:\n"
        "    child = os.fork()\n"
        "if child == 0:\n"
        "    print(source.health().state.value, flush=True)\n"
        "    try: reader.take()\n"
        "    except edgecount.SourceError as error: print(error, flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines() == [
        "idle",
        "rtsp://host/a was opened before a fork: open it in the child",
    ]


# Options.


def test_a_file_is_no_camera(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(SourceError, match=r"expected an address or a camera, got the path"):
        LiveSource(str(tmp_path / "a.mp4"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"newest": 1}, "newest: expected True or False, got 1"),
        ({"reconnect": None}, "reconnect: expected True or False, got None"),
        ({"open_timeout": 0}, "open_timeout: expected seconds, more than 0, got 0"),
        ({"first_timeout": "1"}, "first_timeout: expected seconds, more than 0, got '1'"),
        ({"stall_timeout": float("nan")}, "stall_timeout: expected seconds, more than 0, got nan"),
        ({"give_up": -1}, "give_up: expected seconds, more than 0, or None, got -1"),
        ({"backoff": 1}, "backoff: expected two numbers"),
        ({"backoff": (2, 1)}, "backoff: expected the shorter time first"),
        ({"backoff": (0, 1)}, "backoff: expected seconds, more than 0, got 0"),
        ({"hardware": ""}, 'hardware: expected "auto", a device such as "cuda", or None'),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        LiveOptions(**options)
    assert message in str(error.value)


def test_hardware_that_ffmpeg_does_not_know() -> None:
    with pytest.raises(ConfigError, match=r"hardware: expected .* got 'cudda'"):
        LiveSource("rtsp://host/a", LiveOptions(hardware="cudda"))
    LiveSource("rtsp://host/a", LiveOptions(hardware="auto"))
