"""Decoders in the place of a stream's own: frames are turned as the stream says all the same."""

from __future__ import annotations

import functools
import io
from typing import Any

import av
import numpy as np
import pytest

from clips import TURNS, encode, packet_places, picture, turned
from edgecount.errors import SourceError
from edgecount.runtime.sources import decoders, pyav
from edgecount.runtime.sources.video import VideoSource

CODECS: dict[str, dict[str, str]] = {
    "libx264": {},
    "libx265": {"x265-params": "log-level=error"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"svtav1-params": "preset=12"},
}


@functools.cache
def clip(codec: str) -> bytes:
    return encode(codec, "mp4", [picture(i) for i in range(3)], options=CODECS[codec])


def is_shown(image: Any, turn: str, index: int) -> bool:
    wanted = TURNS[turn][1](picture(index)).astype(int)
    return image.shape == wanted.shape and np.abs(image - wanted).mean() < 4


@pytest.mark.parametrize("accept_damaged", [False, True])
@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_upright(write, codec, turn, accept_damaged):
    path = write("a.mp4", turned(clip(codec), TURNS[turn][0]))
    frames = list(VideoSource(path, accept_damaged=accept_damaged).frames())
    assert [is_shown(frame.image, turn, frame.index) for frame in frames] == [True] * 3


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("codec", CODECS)
def test_a_decoder_on_hardware_is_upright(write, codec, turn, monkeypatch):
    """A second decoder stands in for one of a device: it too is made apart from the stream."""
    monkeypatch.setattr(
        pyav, "accelerated", lambda own, *_: decoders.another_decoder(own, own.name)
    )
    path = write("a.mp4", turned(clip(codec), TURNS[turn][0]))
    frames = list(VideoSource(path, accept_damaged=True).frames())
    assert [is_shown(frame.image, turn, frame.index) for frame in frames] == [True] * 3


def test_the_next_key_frame_tells_if_the_first_one_is_damaged(write):
    options = {"deadline": "realtime", "cpu-used": "8"}
    data = encode("libvpx-vp9", "mp4", [picture(i) for i in range(12)], options=options)
    start, size = packet_places(data)[0]
    bad = data[:start] + bytes(size) + data[start + size :]
    source, frames = VideoSource(write("a.mp4", turned(bad, TURNS["right"][0]))), []
    with pytest.raises(SourceError, match="is damaged"):
        frames.extend(source.frames())
    assert [frame.index for frame in frames] == list(range(6))
    assert all(is_shown(frame.image, "right", 6 + frame.index) for frame in frames)


def test_what_the_container_says_of_colours_is_kept():
    """The packets of VP9 do not hold the transfer by which a picture is HDR."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        stream: Any = output.add_stream("libvpx-vp9", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.color_trc = 16  # PQ
        frame = av.VideoFrame.from_ndarray(picture(0), "bgr24").reformat(format="yuv420p")
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with av.open(io.BytesIO(buffer.getvalue())) as container:
        own = container.streams.video[0].codec_context
        other = decoders.stricter(own)
        assert other.name == "libvpx-vp9"
        frames = [f for packet in container.demux(video=0) for f in other.decode(packet)]
    assert [int(frame.color_trc) for frame in frames] == [16]
