"""Video on NVDEC: the frames and times of FFmpeg's own decoder, by a stand-in for the library."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
import standin_pynvvideocodec as standin

from clips import encode, picture
from edgecount import NV12Frame
from edgecount.errors import ConfigError, MissingExtraError, SourceError
from edgecount.runtime.frames.pictures import bgr_picture
from edgecount.runtime.sources.live import LiveOptions, LiveSource
from edgecount.runtime.sources.nvdec import decoder as module
from edgecount.runtime.sources.nvdec import nvdec_device
from edgecount.runtime.sources.open import open_sources
from edgecount.runtime.sources.video import VideoSource


class HostPool:
    """Copies of frames in the host's memory."""

    def __init__(self, device: int) -> None:
        self.device = device

    def copy(self, frame: Any, matrix: str, *, full_range: bool) -> NV12Frame:
        return NV12Frame.from_buffer(np.asarray(frame).copy(), matrix, full_range)


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setitem(sys.modules, "PyNvVideoCodec", standin)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: True if name == "PyNvVideoCodec" else find(name)
    )
    monkeypatch.setattr(module, "FramePool", HostPool)
    monkeypatch.setattr(module, "why_no_gpu", lambda: None)
    standin.PyNvDecoder.opened.clear()
    yield standin
    standin.PyNvDecoder.fails = ""
    standin.PyNvDecoder.pixels = standin.Pixel_Format.NV12


def test_a_clip_gives_the_frames_and_times_of_the_cpu(write, h264):
    path = write("clip.mp4", h264)
    expected = list(VideoSource(path).frames())
    with av.open(str(path)) as container:
        planes = [standin.nv12_of(frame) for frame in container.decode(video=0)]
    frames = list(VideoSource(path, hardware="nvdec").frames())
    assert [frame.time for frame in frames] == [frame.time for frame in expected]
    assert [frame.index for frame in frames] == [frame.index for frame in expected]
    assert len(frames) == len(planes) == 25
    for frame, whole in zip(frames, planes, strict=True):
        assert (np.concatenate((frame.image.luma, frame.image.chroma)) == whole).all()
    (opened,) = standin.PyNvDecoder.opened
    assert opened.arguments["usedevicememory"] is True
    assert opened.arguments["latency"].name == "NATIVE"  # it has B frames
    assert set(opened.flags) == {0}


def test_a_prefix_chooses_the_decoder(write, h264):
    path = write("clip.mp4", h264)
    [source] = open_sources(f"nvdec:{path}")
    assert (source.name, source.length, source.fps) == (str(path), 25, 25.0)
    assert isinstance(next(iter(source.frames())).image, NV12Frame)
    [camera] = open_sources("nvdec:rtsp://camera/1", live=LiveOptions(newest=False))
    assert isinstance(camera, LiveSource)
    assert camera.options == LiveOptions(newest=False, hardware="nvdec")
    assert camera.name == "rtsp://camera/1"


def test_a_live_source_takes_the_decoder_as_an_option():
    with pytest.raises(SourceError, match=r'got nvdec:rtsp://camera/1: .*hardware="nvdec"'):
        LiveSource("nvdec:rtsp://me:secret@camera/1")


def test_a_file_of_that_name_comes_first(write, h264, monkeypatch, tmp_path):
    write("nvdec:clip.mp4", h264)
    monkeypatch.chdir(tmp_path)
    [source] = open_sources("nvdec:clip.mp4")
    assert not isinstance(next(iter(source.frames())).image, NV12Frame)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, "nv12_bt601"),
        ({"colorspace": "bt709", "color_range": "tv"}, "nv12_bt709"),
        ({"colorspace": "bt709", "color_range": "pc"}, "nv12_bt709_full"),
    ],
)
def test_colours_are_those_of_the_tags(write, tags, expected):
    options = {"preset": "ultrafast"}
    if tags:
        full = "on" if tags["color_range"] == "pc" else "off"
        options["x264-params"] = f"colormatrix=bt709:fullrange={full}"
    data = encode("libx264", "mp4", [picture(i) for i in range(3)], options=options)
    path = write("clip.mp4", data)
    [first, *_] = VideoSource(path, hardware="nvdec").frames()
    [shown, *_] = VideoSource(path).frames()
    assert first.image.format == expected
    off = np.abs(bgr_picture(first.image).astype(int) - shown.image)
    assert off.mean() < 2  # FFmpeg blurs colours between pixels


def test_a_live_stream_without_b_frames_comes_at_once(h264, write):
    plain = encode(
        "libx264", "mp4", [picture(i) for i in range(4)], options={"tune": "zerolatency"}
    )
    with av.open(str(write("plain.mp4", plain))) as container:
        stream = container.streams.video[0]
        opened = nvdec_device("nvdec:2").open(stream, "clip", live=True)
        packets = [packet for packet in container.demux(stream) if packet.size]
        expected = [[packet.pts] for packet in packets]
        stamps = []
        for number, packet in enumerate(packets):
            if number == 2:
                opened.flush_buffers()
            stamps.append([frame.pts for frame in opened.decode(packet)])
        opened.decode(None)
    (decoder,) = standin.PyNvDecoder.opened
    assert decoder.arguments["gpuid"] == 2
    assert decoder.arguments["latency"].name == "LOW"
    flags = standin.VideoPacketFlag
    end, gap = flags.ENDOFPICTURE, flags.DISCONTINUITY
    assert decoder.flags == [end, end, gap, end, 0]
    assert stamps == expected


def test_packets_before_a_key_frame_are_left_out(write, h264):
    with av.open(str(write("clip.mp4", h264))) as container:
        stream = container.streams.video[0]
        opened = nvdec_device("nvdec").open(stream, "clip", live=False)
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert not packets[1].is_keyframe
        assert opened.decode(packets[1]) == []
        assert opened.decode(None) == []
        assert not standin.PyNvDecoder.opened


def test_parameters_beside_the_stream_go_before_key_frames(write, h264):
    """Cameras of RTSP may send them in their description only."""
    with av.open(str(write("clip.mp4", h264))) as container:
        stream = container.streams.video[0]
        filtered = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", stream)
        packets = [
            made
            for packet in container.demux(stream)
            if packet.size
            for made in filtered.filter(packet)
        ]
    first = bytes(packets[0])
    start = first.index(b"\x00\x00\x01\x67")  # parameters of the sequence
    end = first.index(b"\x00\x00\x01\x65")  # the picture
    bare: Any = av.Packet(first[end - 1 :])
    bare.pts, bare.time_base, bare.is_keyframe = 7, Fraction(1, 90000), True
    context: Any = av.CodecContext.create("h264", "r")
    context.extradata = first[start - 1 : end - 1]
    described = type("Stream", (), {"codec_context": context})
    opened = nvdec_device("nvdec").open(described, "rtsp://camera/1", live=True)
    frames = opened.decode(bare) + opened.decode(None)
    assert [frame.pts for frame in frames] == [7]
    assert frames[0].key_frame


def test_pixels_that_are_not_square_are_refused(write):
    data = encode("libx264", "mp4", [picture(i) for i in range(3)], ratio=Fraction(4, 3))
    path = write("clip.mp4", data)
    with pytest.raises(SourceError, match="pixels are not square, and NVDEC does not resize: dec"):
        list(VideoSource(path, hardware="nvdec").frames())


def test_other_videos_are_refused_with_what_to_do(write):
    data = encode("mpeg4", "mp4", [picture(0)])
    with pytest.raises(SourceError, match=r"expected H.264 or H.265 .* got mpeg4: decode it on"):
        list(VideoSource(write("old.mp4", data), hardware="nvdec").frames())
    deep = encode("libx264", "mp4", [picture(0)], pixels="yuv420p10le")
    with pytest.raises(SourceError, match="got yuv420p10le in color space 2"):
        list(VideoSource(write("deep.mp4", deep), hardware="nvdec").frames())


def test_frames_of_another_format_are_refused(write, h264):
    standin.PyNvDecoder.pixels = standin.Pixel_Format.P016
    with pytest.raises(SourceError, match=r"got frames in Pixel_Format.P016"):
        list(VideoSource(write("clip.mp4", h264), hardware="nvdec").frames())


def test_a_failure_is_one_line(write, h264):
    standin.PyNvDecoder.fails = "HandleVideoSequence :\n Codec not supported\n on this GPU"
    path = write("clip.mp4", h264)
    expected = (
        f"{path} is decoded no further: HandleVideoSequence : Codec not supported on this GPU"
    )
    with pytest.raises(SourceError) as error:
        list(VideoSource(path, hardware="nvdec").frames())
    assert str(error.value) == expected


def test_a_machine_without_a_gpu_is_told(monkeypatch, write, h264):
    monkeypatch.setattr(module, "why_no_gpu", lambda: "no NVIDIA driver")
    with pytest.raises(SourceError, match="cannot be decoded on NVDEC: no NVIDIA driver"):
        list(VideoSource(write("clip.mp4", h264), hardware="nvdec").frames())


def test_a_missing_package_is_named(monkeypatch, write, h264):
    monkeypatch.undo()
    if importlib.util.find_spec("PyNvVideoCodec"):
        pytest.skip("PyNvVideoCodec is installed")
    for make in (
        lambda: VideoSource(write("clip.mp4", h264), hardware="nvdec"),
        lambda: LiveSource("rtsp://camera/1", LiveOptions(hardware="nvdec")),
    ):
        with pytest.raises(MissingExtraError, match=r'pip install "edgecount\[nvdec\]"'):
            make()


def test_a_library_without_a_driver_is_told_in_one_line(monkeypatch, tmp_path, write, h264):
    (tmp_path / "PyNvVideoCodec.py").write_text(
        "raise RuntimeError('libnvidia-encode.so.1: cannot open\\n\\n=== STEPS ===\\nmany')"
    )
    monkeypatch.delitem(sys.modules, "PyNvVideoCodec")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        SourceError, match=r"cannot be loaded: libnvidia-encode.so.1: cannot open: it takes"
    ):
        list(VideoSource(write("clip.mp4", h264), hardware="nvdec").frames())


@pytest.mark.parametrize("hardware", ["nvdec:", "nvdec:gpu", "nvdec2"])
def test_unknown_names_are_refused(hardware):
    with pytest.raises(ConfigError, match=f"for the GPU of that number, got '{hardware}'"):
        LiveSource("rtsp://camera/1", LiveOptions(hardware=hardware))
    with pytest.raises(ConfigError, match='hardware of a file: expected "nvdec"'):
        VideoSource("clip.mp4", hardware="cuda")
