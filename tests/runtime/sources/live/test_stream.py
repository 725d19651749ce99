"""Contents of live streams: sizes that change, fields, ten bits, damage; slow decoders."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from clips import _interlacer, encode, picture
from edgecount.errors import SourceError
from edgecount.runtime.sources.convert import ToPicture, deinterlaced
from edgecount.runtime.sources.live import LiveOptions, LiveSource
from edgecount.runtime.sources.live.stream import LiveClip
from streams import INTERVAL, Sink, send, served

ALL = LiveOptions(newest=False, reconnect=False, open_timeout=20, first_timeout=20)


def sent(data: bytes, options: LiveOptions = ALL) -> tuple[list[Any], LiveSource]:
    """Return the pictures of a stream that holds these bytes and ends."""
    with served(lambda connection: connection.sendall(data)) as port:
        source = LiveSource(f"tcp://127.0.0.1:{port}", options)
        frames: list[Any] = []
        with pytest.raises(SourceError, match="ended after"):
            frames.extend(source.frames())
    return frames, source


def assert_is(frame: Any, index: int) -> None:
    """A picture is the one with a number."""
    wanted = picture(index, (frame.image.shape[1], frame.image.shape[0])).astype(int)
    assert np.abs(frame.image.astype(int) - wanted).mean() < 3


def test_sizes_that_change() -> None:
    parts = [[picture(i, size) for i in range(12)] for size in ((96, 64), (64, 48), (96, 64))]
    frames, source = sent(b"".join(encode("libx264", "h264", part) for part in parts))
    shapes = [frame.image.shape[:2] for frame in frames]
    assert shapes == [(64, 96)] * 12 + [(48, 64)] * 12 + [(64, 96)] * 12
    for frame in frames:
        assert_is(frame, frame.index % 12)
    assert source.health().size == (96, 64)


@pytest.mark.parametrize(
    ("codec", "pixels"), [("libx264", "yuv420p10le"), ("libx265", "yuv420p10le")]
)
def test_ten_bits(codec: str, pixels: str) -> None:
    options = {"x265-params": "log-level=error"} if codec == "libx265" else {}
    data = encode(codec, "mpegts", [picture(i) for i in range(20)], pixels=pixels, options=options)
    frames, _ = sent(data)
    assert len(frames) == 20
    for index, frame in enumerate(frames):
        assert_is(frame, index)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p10le"])
def test_fields_are_made_pictures_at_once(pixels: str) -> None:
    """Each frame gives one picture without combs, before the next frame comes."""
    taken = 0

    interlacer = _interlacer((96, 64), pixels)

    def frames() -> Iterator[Any]:
        nonlocal taken
        for index in range(8):
            image = picture(index)
            for line in range(64):
                image[line, 40 + 24 * (index % 2) + 12 * (line % 2) :] = 220
            frame = av.VideoFrame.from_ndarray(image, "bgr24").reformat(format=pixels)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            taken += 1
            interlacer.push(frame)
            yield interlacer.pull()

    to_picture = ToPicture()
    given = 0
    for index, frame in enumerate(deinterlaced(frames(), Fraction(1, 25), at_once=True)):
        given += 1
        assert taken == given
        image = to_picture(frame).astype(int)
        assert image.shape == (64, 96, 3)
        assert np.abs(np.diff(image[24:60, 36:84, 0], axis=0)).mean() < 12
        assert (frame.pts, index) == (index, index)
    assert given == 8


def test_interlaced_streams() -> None:
    data = encode(
        "mpeg2video",
        "mpegts",
        [picture(i) for i in range(20)],
        # One key frame: a machine that is slower than the stream has none to skip to.
        options={"flags": "+ildct+ilme", "b": "2000000", "g": "100"},
        interlaced=True,
    )
    newest = LiveOptions(reconnect=False, open_timeout=20, first_timeout=20)
    for options in (ALL, newest):
        frames, source = sent(data, options)
        assert_is(frames[-1], 19)
        assert source.health().frames_in == 20


def test_damaged_pictures_are_left_out_and_counted(caplog: Any) -> None:
    """Parts of transport packets 60 to 64 are overwritten, not their headers."""
    data = bytearray(encode("libx264", "mpegts", [picture(i) for i in range(60)]))
    for number in range(60, 65):
        data[188 * number + 150 : 188 * number + 170] = bytes(range(60, 80))
    with caplog.at_level(logging.WARNING):
        frames, source = sent(bytes(data))
    assert 30 < len(frames) < 60
    assert source.health().damaged > 0
    for frame in frames:
        assert_is(frame, round((frame.media_time or 0) / INTERVAL))
    assert "damaged" in caplog.text


def test_a_decoder_that_is_slower_than_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes 80 ms for a picture that comes every 40 ms: up to a key frame it is skipped."""
    decode = LiveClip._decode

    def slow(clip: LiveClip, packet: Any) -> Any:
        time.sleep(2 * INTERVAL)
        return decode(clip, packet)

    monkeypatch.setattr(LiveClip, "_decode", slow)

    def handle(connection: socket.socket) -> None:
        send(Sink(connection.sendall), lambda: False)

    with served(handle) as port:
        source = LiveSource(
            f"tcp://127.0.0.1:{port}", LiveOptions(open_timeout=20, first_timeout=20)
        )
        with source.reader() as reader:
            frames = [reader.take(60)]
            while frames[-1].time < 3.0:
                frames.append(reader.take(60))
                assert time.time() - frames[-1].captured < 2.0
            health = source.health()
    assert health.dropped > 20
    assert health.damaged == 0
    assert health.frames_in == health.counted + health.dropped
    first = round(frames[0].image[32, 48, 0] / 4)
    for frame in frames[1:]:
        ahead = round(((frame.media_time or 0) - (frames[0].media_time or 0)) / INTERVAL)
        shown = round(frame.image[32, 48, 0] / 4)
        assert (shown - first - ahead) % 25 in (0, 1, 24)


def test_it_stops_between_packets() -> None:
    def handle(connection: socket.socket) -> None:
        send(Sink(connection.sendall), lambda: False)

    with served(handle) as port:
        clip = LiveClip(
            f"tcp://127.0.0.1:{port}",
            "a",
            newest=True,
            accept_damaged=False,
            max_pixels=10**6,
            timeout=(20.0, 20.0),
        )
        before = threading.active_count()
        with clip:
            pictures = clip.pictures()
            next(pictures)
            clip.stop()
            assert len(list(pictures)) <= 1
        assert threading.active_count() <= before


@pytest.mark.parametrize("hardware", ["auto", "cuda"])
def test_hardware_that_is_not_there(hardware: str, caplog: Any) -> None:
    available = av.codec.hwaccel.hwdevices_available()
    if hardware not in ("auto", *available):
        pytest.skip(f"this FFmpeg has no {hardware}")
    data = encode("libx264", "mpegts", [picture(i) for i in range(12)])
    options = LiveOptions(newest=False, reconnect=False, hardware=hardware, open_timeout=20)
    with caplog.at_level(logging.WARNING):
        frames, _ = sent(data, options)
    told = [record for record in caplog.records if "decoded on the CPU" in record.getMessage()]
    assert len(told) <= 1  # none where it is there
    assert len(frames) == 12
    for index, frame in enumerate(frames):
        assert_is(frame, index)
