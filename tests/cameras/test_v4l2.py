"""Video devices of Linux, with pictures that v4l2loopback hands from one program to another."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from camera_servers import CameraServer, burnt_in
from edgecount import open_sources
from edgecount.runtime.sources.live import LiveOptions, SourceState

INSTALL = "sudo apt install v4l2loopback-dkms && sudo modprobe v4l2loopback"
DEADLINE = 30.0


@pytest.fixture
def device() -> str:
    """Return the first device of v4l2loopback."""
    for entry in sorted(Path("/sys/devices/virtual/video4linux").glob("video*")):
        path = Path("/dev") / entry.name
        if path.exists():
            return str(path)
    pytest.skip(f"no device of v4l2loopback here: {INSTALL}")


def test_the_writer_takes_orders(make_server) -> None:
    """Where there is no such device, its writer is tested at least, with pictures to nowhere."""
    server: CameraServer = make_server("v4l2", {"/cam": {"fps": 20}}, device="")
    server.order(frozen=True)


def test_pictures_of_a_device(make_server, device: str) -> None:
    make_server("v4l2", {"/cam": {"fps": 20}}, device=device)
    [source] = open_sources(device)
    ages = []
    for frame in source.frames():
        age, number = burnt_in(frame.image)
        ages.append(age)
        assert frame.image.shape == (480, 640, 3)
        if number > 20:
            break
    assert min(ages) < 1.0


def test_a_device_whose_pictures_stop_and_go_on(make_server, device: str) -> None:
    server: CameraServer = make_server("v4l2", {"/cam": {"fps": 20}}, device=device)
    options = LiveOptions(stall_timeout=0.6, backoff=(0.05, 0.2))
    [source] = open_sources(device, live=options)
    with source.reader() as reader:  # type: ignore[attr-defined]
        reader.take(DEADLINE)
        server.stop()
        while reader.health().state is SourceState.LIVE:
            threading.Event().wait(0.05)
        server.go_on()
        before = reader.take(DEADLINE).index
        assert reader.take(DEADLINE).index > before
