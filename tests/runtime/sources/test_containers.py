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


def test_a_cover_is_no_track(write, caplog):
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        video: Any = output.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = *SMALL, "yuv420p"
        cover: Any = output.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = *LARGE, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        for stream, size in ((video, SMALL), (cover, LARGE)):
            frame = av.VideoFrame.from_ndarray(picture(0, size), "bgr24")
            frame.pts, frame.time_base = 0, Fraction(1, 25)
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    with caplog.at_level(logging.WARNING):
        frames = list(VideoSource(write("cover.mp4", buffer.getvalue())).frames())
    assert [frame.image.shape[:2] for frame in frames] == [(48, 64)]
    assert caplog.messages == []


@pytest.mark.parametrize("container", ["matroska", "mp4", "mov"])
def test_a_picture_that_nobody_marked_as_a_cover_is_none_either(write, container):
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        video: Any = output.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = *SMALL, "yuv420p"
        cover: Any = output.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = *LARGE, "yuvj420p"
        for stream, size, number in ((video, SMALL, 5), (cover, LARGE, 1)):
            for index in range(number):
                frame = av.VideoFrame.from_ndarray(picture(0, size), "bgr24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    frames = list(VideoSource(write("cover.bin", buffer.getvalue())).frames())
    assert [frame.image.shape[:2] for frame in frames] == 5 * [(48, 64)]


@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_a_track_of_a_single_picture_is_not_the_video(write, container):
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        streams: list[Any] = []
        for size in (SMALL, LARGE):
            stream: Any = output.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            streams.append(stream)
        for stream, size, number in zip(streams, (SMALL, LARGE), (30, 1), strict=True):
            for index in range(number):
                frame = av.VideoFrame.from_ndarray(picture(0, size), "bgr24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    frames = list(VideoSource(write("single.bin", buffer.getvalue())).frames())
    assert [frame.image.shape[:2] for frame in frames] == 30 * [(48, 64)]
