"""Events of cameras, with real servers: stalls, ends, restarts, sizes, logins.

The time-outs are short, and so are the waits between tries; deadlines are for slow machines.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from camera_servers import CameraServer, burnt_in, silent_listener
from edgecount import Frame, SourceError
from edgecount.runtime.sources.live import LiveOptions, LiveSource, SourceHealth, SourceState

DEADLINE = 30.0  # s: for machines that are ten times slower
QUICK = LiveOptions(open_timeout=5, first_timeout=5, stall_timeout=0.6, backoff=(0.05, 0.2))
AWAY = (SourceState.STALLED, SourceState.WAITING, SourceState.CONNECTING)
KINDS = ("rtsp", "http")
SECRET = "hunter2"  # noqa: S105 (of a test)


class Watched:
    """A camera that a thread reads, and whose health is looked at all the time."""

    def __init__(self, source: LiveSource) -> None:
        self.source = source
        self.frames: list[tuple[Frame, float, int]] = []  # with true age and number
        self.healths: list[SourceHealth] = []
        self._stopped = threading.Event()

    def read(self) -> None:
        for frame in self.source.frames():
            if self._stopped.is_set():
                return
            self.frames.append((frame, *burnt_in(frame.image)))

    def look(self) -> None:
        while not self._stopped.wait(0.02):
            self.healths.append(self.source.health())

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, self.source.health()
            time.sleep(0.01)

    def wait_for_pictures(self, number: int = 3) -> None:
        """Wait until so many further pictures have come, and the camera is well."""
        enough = len(self.frames) + number
        self.wait_for(lambda: len(self.frames) >= enough)
        self.wait_for(lambda: self.source.health().state is SourceState.LIVE)

    def wait_for_trouble(self) -> None:
        self.wait_for(lambda: self.source.health().state in AWAY)

    def stop(self) -> None:
        self._stopped.set()


@contextmanager
def watched(url: str, options: LiveOptions = QUICK) -> Iterator[Watched]:
    camera = Watched(LiveSource(url, options))
    threads = [threading.Thread(target=run) for run in (camera.read, camera.look)]
    for thread in threads:
        thread.start()
    try:
        camera.wait_for_pictures()
        yield camera
        camera.wait_for_pictures()
    finally:
        camera.stop()
        for thread in threads:
            thread.join(DEADLINE)
    check(camera)


def check(camera: Watched) -> None:
    """Check what holds whatever happened to a camera."""
    for health in camera.healths:
        assert health.frames_in == health.counted + health.dropped
    for before, after in zip(camera.healths, camera.healths[1:], strict=False):
        assert after.frames_in >= before.frames_in
        assert after.reconnects >= before.reconnects
    frames = [frame for frame, _, _ in camera.frames]
    assert [f.index for f in frames] == sorted({f.index for f in frames})
    assert [f.time for f in frames] == sorted(f.time for f in frames)
    captured = [f.captured for f in frames if f.captured is not None]
    assert len(captured) == len(frames)


@pytest.mark.parametrize("kind", KINDS)
def test_a_camera_that_is_killed_and_comes_back(make_server, kind: str) -> None:
    server: CameraServer = make_server(kind, {"/cam": {"fps": 20}})
    with watched(server.url()) as camera:
        server.kill()
        camera.wait_for_trouble()
        camera.wait_for(lambda: camera.source.health().error is not None)
        server.restart()
        camera.wait_for_pictures()
        assert camera.source.health().reconnects >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_camera_that_halts_and_goes_on(make_server, kind: str) -> None:
    server: CameraServer = make_server(kind, {"/cam": {"fps": 20}})
    with watched(server.url()) as camera:
        server.stop()
        camera.wait_for_trouble()
        assert (camera.source.health().age or 0) >= QUICK.stall_timeout * 0.5
        server.go_on()


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_that_lives_without_pictures(make_server, kind: str) -> None:
    """The server of rtsp goes on with its reports on the stream, which are no pictures."""
    server: CameraServer = make_server(kind, {"/cam": {"fps": 20}})
    with watched(server.url()) as camera:
        server.order(frozen=True)
        camera.wait_for_trouble()
        server.order(frozen=False)


@pytest.mark.parametrize("kind", KINDS)
def test_connections_that_the_camera_closes(make_server, kind: str) -> None:
    """Again and again, and each time it is opened again."""
    server: CameraServer = make_server(kind, {"/cam": {"fps": 50, "cut": 8}})
    before = threading.active_count()
    with watched(server.url()) as camera:
        camera.wait_for(lambda: camera.source.health().reconnects >= 4)
        assert threading.active_count() < before + 8
        server.order(cut=None)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_another_size(make_server, kind: str) -> None:
    server: CameraServer = make_server(kind, {"/cam": {"fps": 20}})
    with watched(server.url()) as camera:
        for size in ([320, 240], [640, 480]):
            server.order(size=size)
            camera.wait_for(lambda size=size: camera.source.health().size == tuple(size))
            camera.wait_for_pictures()
            width, height = size
            assert camera.frames[-1][0].image.shape == (height, width, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_is_counted_or_dropped(make_server, kind: str) -> None:
    """The numbers in the pictures say how many the camera sent."""
    server: CameraServer = make_server(kind, {"/cam": {"fps": 60}})
    source = LiveSource(server.url(), LiveOptions(first_timeout=5))
    with source.reader() as reader:
        taken = []
        for _ in range(8):
            frame = reader.take(DEADLINE)
            taken.append((frame.index, burnt_in(frame.image)[1]))
            time.sleep(0.1)
        health = source.health()
    assert health.counted == 8
    assert health.dropped > 8
    assert len({index - number for index, number in taken}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_where_all_are_asked_for(make_server, kind: str) -> None:
    server: CameraServer = make_server(kind, {"/cam": {"fps": 60}})
    source = LiveSource(server.url(), LiveOptions(newest=False, first_timeout=5))
    with source.reader() as reader:
        numbers = [burnt_in(reader.take(DEADLINE).image)[1] for _ in range(30)]
        assert source.health().dropped == 0
    assert numbers == list(range(numbers[0], numbers[0] + 30))


def test_a_camera_that_never_answers() -> None:
    with silent_listener() as port:
        for scheme in KINDS:
            options = LiveOptions(reconnect=False, open_timeout=0.4)
            source = LiveSource(f"{scheme}://127.0.0.1:{port}/cam", options)
            begin = time.monotonic()
            with pytest.raises(SourceError, match="cannot open the stream"):
                next(source.frames())
            assert time.monotonic() - begin < DEADLINE
            assert source.health().state is SourceState.FAILED


def test_nobody_there() -> None:
    """Tried again and again, until it is given up."""
    with silent_listener() as port:
        pass
    options = LiveOptions(give_up=0.5, backoff=(0.05, 0.1))
    source = LiveSource(f"rtsp://127.0.0.1:{port}/cam", options)
    with pytest.raises(SourceError, match=r"gave no picture for 0\.5 s"):
        next(source.frames())
    assert source.health().reconnects >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_logins(make_server, kind: str, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    server: CameraServer = make_server(kind, {"/cam": {}}, user="admin", password=SECRET)
    for login in ("", f"admin:{SECRET}x", f"intruder:{SECRET}"):
        with pytest.raises(SourceError) as error:
            next(LiveSource(server.url(login=login), QUICK).frames())
        assert SECRET not in str(error.value)
        assert "intruder" not in str(error.value)
    with watched(server.url(login=f"admin:{SECRET}")) as camera:
        server.kill()
        camera.wait_for(lambda: camera.source.health().error is not None)
        server.restart()
    assert not any(SECRET in str(health) for health in camera.healths)
    assert SECRET not in camera.source.name
    assert SECRET not in caplog.text
    assert not any(SECRET in thread.name for thread in threading.enumerate())


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_path_is_an_error_at_once(make_server, kind: str) -> None:
    server: CameraServer = make_server(kind, {"/cam": {}})
    with pytest.raises(SourceError, match="404"):
        next(LiveSource(server.url("/other"), QUICK).frames())
