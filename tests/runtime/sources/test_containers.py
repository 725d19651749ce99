"""Which track of a file is counted."""

from __future__ import annotations

import io
import logging
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from clips import picture
from edgecount.runtime.sources.video import VideoSource

SMALL, LARGE = (64, 48), (96, 64)


def tracks(container: str, sizes: list[tuple[int, int]]) -> bytes:
    """Return a clip of three frames on each track, whose brightness tells the track."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        streams: list[Any] = []
        for size in sizes:
            stream: Any = output.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            streams.append(stream)
        for index in range(3):
            for track, stream in enumerate(streams):
                image = picture(10 * track, (stream.width, stream.height))
                frame = av.VideoFrame.from_ndarray(image, "bgr24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                output.mux(stream.encode(frame))
        for stream in streams:
            output.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize("container", ["matroska", "mp4", "mpegts"])
@pytest.mark.parametrize(
    ("sizes", "chosen"), [([SMALL, LARGE], 1), ([LARGE, SMALL], 0), ([LARGE, LARGE], 0)]
)
def test_the_largest_of_several_tracks_is_counted_and_told_once(
    write, caplog, container, sizes, chosen
):
    path = write(f"{container}-{sizes[0][0]}-{sizes[1][0]}.bin", tracks(container, sizes))
    source = VideoSource(path)
    with caplog.at_level(logging.WARNING):
        assert source.length is not None
        frames = list(source.frames())
    assert len(frames) == 3
    for frame in frames:
        wanted = picture(10 * chosen, LARGE)
        assert frame.image.shape == wanted.shape
        assert np.abs(frame.image.astype(int) - wanted).mean() < 6
    assert caplog.messages == [
        f"{path} has 2 video tracks: track {chosen + 1} (96 x 64 pixels) is counted, and no other"
    ]


def clip_and_cover(container: str, codec: str, number: int, *, marked: bool = False) -> bytes:
    """Return a small clip beside a larger track of one picture.

    Args:
        container: name of the format.
        codec: that of the picture's track.
        number: frames of the clip.
        marked: whether the file says that the picture is its cover.
    """
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        streams: list[Any] = []
        for encoder, size in (("libx264", SMALL), (codec, LARGE)):
            stream: Any = output.add_stream(encoder, rate=25)
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
            streams.append(stream)
        if marked:
            streams[1].disposition = av.stream.Disposition.attached_pic
        for stream, count in zip(streams, (number, 1), strict=True):
            for index in range(count):
                image = picture(0, (stream.width, stream.height))
                frame = av.VideoFrame.from_ndarray(image, "bgr24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    return buffer.getvalue()


def test_a_cover_is_no_track(write, caplog):
    path = write("cover.mp4", clip_and_cover("mp4", "mjpeg", 1, marked=True))
    with caplog.at_level(logging.WARNING):
        frames = list(VideoSource(path).frames())
    assert [frame.image.shape[:2] for frame in frames] == [(48, 64)]
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("matroska", "mjpeg"),
        ("mp4", "mjpeg"),
        ("mov", "mjpeg"),
        ("mp4", "libx264"),
        ("mov", "libx264"),
    ],
)
def test_a_picture_that_nobody_marked_as_a_cover_is_none_either(write, container, codec):
    frames = list(VideoSource(write("cover.bin", clip_and_cover(container, codec, 30))).frames())
    assert [frame.image.shape[:2] for frame in frames] == 30 * [(48, 64)]
