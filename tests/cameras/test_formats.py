"""Cameras of all formats and rates, from a real RTSP server."""

from __future__ import annotations

import time

import pytest

from camera_servers import CameraServer, burnt_in, gstreamer_encoders, is_whole
from edgecount.runtime.sources.live import LiveOptions, LiveSource

FORMATS = {
    "h264": {},
    "h264-10bit": {},
    "h265": {},
    "mjpeg": {},
    "sound": {"codec": "h264", "sound": True},
    "interlaced": {"codec": "h264", "interlaced": True},
}


@pytest.mark.parametrize("name", FORMATS)
def test_pictures_and_their_times(make_server, name: str) -> None:
    """Captured is when a picture came, and its true age is known from its pixels."""
    if name == "h265" and "x265enc" not in gstreamer_encoders():
        pytest.skip("no H.265 encoder: apt install gstreamer1.0-plugins-bad")
    camera = {"codec": name, "fps": 10, "size": [320, 240], **FORMATS[name]}
    server: CameraServer = make_server("rtsp", {"/cam": camera})
    with LiveSource(server.url(), LiveOptions(newest=False)).reader() as reader:
        for index in range(8):
            frame = reader.take(60)
            assert frame.image.shape == (240, 320, 3)
            assert frame.captured is not None
            known = time.time() - frame.captured
            true, number = burnt_in(frame.image)
            assert number == index
            # The server takes a while to encode; what waits longer, that is known.
            assert -0.05 < true - known < 0.9


@pytest.mark.parametrize("slices", [1, 4])
def test_pictures_of_many_packets_are_whole(make_server, slices: int) -> None:
    """Also once the ends of pictures are foretold, which takes some pictures to learn."""
    camera = {"fps": 20, "detail": True, "slices": slices, "bitrate": 16000, "key": 10}
    server: CameraServer = make_server("rtsp", {"/cam": camera})
    source = LiveSource(server.url(), LiveOptions(newest=False))
    with source.reader() as reader:
        for index in range(25):
            image = reader.take(60).image
            assert burnt_in(image)[1] == index
            assert is_whole(image, index)
    assert source.health().damaged == 0
