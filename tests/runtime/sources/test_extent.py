"""Files that go on after what FFmpeg reads of them."""

from __future__ import annotations

import logging

import av
import pytest

from clips import encode, picture, remux
from edgecount.runtime.sources.video import VideoSource

LATER = "holds another recording after the one that was counted, which FFmpeg does not reach"


def clip(codec: str, container: str) -> bytes:
    return encode(codec, container, [picture(i) for i in range(12)], sound=0.4)


@pytest.mark.parametrize(
    ("codec", "container"), [("flv", "flv"), ("libx264", "flv"), ("libx264", "mp4")]
)
@pytest.mark.parametrize("joined", [False, True])
def test_recordings_that_ffmpeg_does_not_reach_are_told(write, caplog, codec, container, joined):
    data = clip(codec, container)
    path = write(f"{codec}.{container}", data + data if joined else data)
    with caplog.at_level(logging.WARNING):
        assert len(list(VideoSource(path).frames())) == 12
        assert len(list(VideoSource(path).frames())) == 12  # told once
    assert [message.partition(": ")[0] for message in caplog.messages] == (
        [f"{path} {LATER}"] if joined else []
    )


def test_an_mp4_with_its_header_first(write, tmp_path, caplog):
    old, new = write("old.mp4", clip("libx264", "mp4")), tmp_path / "new.mp4"
    with av.open(old) as source, av.open(new, "w", options={"movflags": "faststart"}) as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    data = new.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with caplog.at_level(logging.WARNING):
        assert len(list(VideoSource(new).frames())) == 12
        assert caplog.messages == []
        assert len(list(VideoSource(write("two.mp4", data + data)).frames())) == 12
    assert LATER in caplog.text


def test_fragments_of_a_second_recording_are_read(write, caplog):
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    data = remux(clip("libx264", "mp4"), "mp4", 0, **options)
    with caplog.at_level(logging.WARNING):
        assert len(list(VideoSource(write("a.mp4", data + data)).frames())) > 12
    assert caplog.messages == []


def test_what_lies_after_an_mp4_and_is_no_recording(write, caplog):
    data = clip("libx264", "mp4")
    with caplog.at_level(logging.WARNING):
        for number, more in enumerate((bytes(100), b"\0\0\0\x10free" + bytes(8), b"\xff" * 9)):
            assert len(list(VideoSource(write(f"{number}.mp4", data + more)).frames())) == 12
    assert caplog.messages == []
