"""Pipelines of GStreamer: a Jetson's cameras and decoder, and the forms that pictures come in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount import NV12Frame
from edgecount.errors import ConfigError, SourceError
from edgecount.runtime.sources import open as opening_sources
from edgecount.runtime.sources.faults import PermanentError
from edgecount.runtime.sources.live import LiveOptions, LiveSource, opening
from edgecount.runtime.sources.live import opencv as opencv_clips
from edgecount.runtime.sources.live.jetson import csi_pipeline, rtsp_pipeline
from edgecount.runtime.sources.open import open_sources

WIDTH, HEIGHT = 16, 8
OUT = "nvvidconv ! video/x-raw, format=NV12 ! appsink drop=true max-buffers=1 sync=false"
CSI = "nvarguscamerasrc sensor-id={} ! video/x-raw(memory:NVMM), width={}, height={}{} ! " + OUT


class Capture:
    """What `cv2.VideoCapture` of an OpenCV with GStreamer does."""

    opened: list[str]
    image: NDArray[np.uint8]
    opens = True

    def __init__(self, source: str, *settings: Any) -> None:
        assert settings == (cv2.CAP_GSTREAMER,)
        self.opened.append(source)

    def isOpened(self) -> bool:  # noqa: N802
        return self.opens

    def get(self, key: int) -> float:
        return {cv2.CAP_PROP_FRAME_HEIGHT: HEIGHT}.get(key, 0.0)

    def read(self) -> tuple[bool, NDArray[np.uint8]]:
        return True, self.image

    def release(self) -> None:
        pass


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> type[Capture]:
    kind = type("Capture", (Capture,), {"opened": [], "opens": True})
    monkeypatch.setattr(cv2, "VideoCapture", kind)
    monkeypatch.setattr(opencv_clips, "_has_gstreamer", lambda _: True)
    return kind


@pytest.fixture
def first() -> Callable[..., Any]:
    def read(source: str, **options: Any) -> Any:
        frames = LiveSource(source, LiveOptions(reconnect=False, **options)).frames()
        frame = next(frames)
        frames.close()
        return frame.image

    return read


def nv12() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (HEIGHT * 3 // 2, WIDTH), np.uint8)


def test_csi_addresses_are_pipelines_that_end_in_nv12():
    assert csi_pipeline("csi://0") == CSI.format(0, 1280, 720, "")
    assert csi_pipeline("csi://1?size=640x480") == CSI.format(1, 640, 480, "")
    rate = ", framerate=15/1"
    assert csi_pipeline("csi://2/?rate=15&size=64x48") == CSI.format(2, 64, 48, rate)


@pytest.mark.parametrize(
    "address",
    [
        *("csi://front", "csi://0?size=640", "csi://0?rate=fast", "csi://0?flip=2", "csi://"),
        *("csi://0?rate=0", "csi://0?size=0x0", "csi://0?size=641x480"),
    ],
)
def test_other_csi_addresses_are_refused(address):
    with pytest.raises(SourceError, match=r"expected csi://N or csi://N\?size=WIDTHxHEIGHT&rate="):
        LiveSource(address).reader()


def test_a_camera_of_the_board_gives_nv12(capture, first):
    capture.image = planes = nv12()
    image = first("csi://0?size=16x8")
    assert isinstance(image, NV12Frame)
    assert (image.luma == planes[:HEIGHT]).all()
    assert (image.chroma == planes[HEIGHT:]).all()
    assert capture.opened == [CSI.format(0, 16, 8, "")]
    source = LiveSource("csi://0?size=16x8")
    frames = source.frames()
    next(frames)
    assert source.health().size == (WIDTH, HEIGHT)
    frames.close()


def test_a_missing_sensor_is_told_with_what_to_try(capture, first):
    capture.opens = False
    with pytest.raises(SourceError, match=r"csi://0: is a camera connected .* nvargus-daemon"):
        first("csi://0")


@pytest.mark.parametrize(
    ("caps", "shape", "expected"),
    [
        ("format=BGR", (8, 16, 3), lambda image: image),
        ("format=(string)BGRx, width=16", (8, 16, 4), lambda image: image[:, :, :3]),
        ("format=RGBA", (8, 16, 4), lambda image: image[:, :, [2, 1, 0]]),
        ('format="GRAY8"', (8, 16), lambda image: np.stack([image] * 3, 2)),
        ("width=16", (8, 16, 3), lambda image: image),
    ],
)
def test_pictures_are_read_by_the_last_format(capture, first, caps, shape, expected):
    capture.image = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    source = f"a ! video/x-raw(memory:NVMM), format=NV12 ! b ! video/x-raw, {caps} ! appsink"
    if "format" not in caps:
        source = f"a ! b ! video/x-raw, {caps} ! appsink"
    assert (first(source) == expected(capture.image)).all()


@pytest.mark.parametrize(
    "end",
    [
        "video/x-raw, format=YUY2 ! videoconvert",
        "video/x-raw, format=RGB ! queue ! videoconvert ! queue",
        "video/x-raw, format=RGBA ! videoconvert",
        "video/x-raw(memory:NVMM), format=NV12 ! nvvidconv ! videoconvert",
        "video/x-raw, format=RGB ! videoconvert ! video/x-raw, format=(string){BGR, GRAY8}",
    ],
)
def test_what_a_converter_gives_at_the_end_is_bgr(capture, first, end):
    capture.image = np.random.default_rng(2).integers(0, 256, (8, 16, 3), np.uint8)
    assert (first(f"v4l2src ! {end} ! appsink") == capture.image).all()


@pytest.mark.parametrize("told", ["RGBA", "NV12"])
def test_pictures_in_another_form_than_told_are_refused(capture, first, told):
    capture.image = np.zeros((8, 16, 3), np.uint8)
    with pytest.raises(PermanentError, match=f"before the appsink, got {told}"):
        first(f"a ! video/x-raw, format={told} ! appsink")


@pytest.mark.parametrize(
    ("caps", "words"),
    [("format=RGB", "no pictures in RGB: end it in  videoconvert"), ("format=NV12", "Try it with")],
)
def test_a_pipeline_that_opencv_does_not_take_says_so(capture, first, caps, words):
    capture.opens = False
    with pytest.raises(SourceError, match=words):
        first(f"videotestsrc ! video/x-raw, {caps} ! appsink")


@pytest.mark.parametrize("source", ["csi://0", "0", "videotestsrc ! appsink", "/dev/null"])
@pytest.mark.parametrize("decoder", ["nvdec", "nvv4l2"])
def test_what_is_decoded_already_takes_no_decoder(source, decoder, monkeypatch):
    monkeypatch.setattr(opening_sources, "_CAMERAS", os.major(Path("/dev/null").stat().st_rdev))
    words = f"expected a video or a stream after {decoder}:, got .*: leave {decoder}: out"
    with pytest.raises(SourceError, match=words):
        open_sources(f"{decoder}:{source}")


def test_a_file_on_a_board_is_told_to_be_a_pipeline(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"")
    with pytest.raises(ConfigError, match="got 'nvv4l2': on a Jetson the source is a pipeline"):
        open_sources(f"nvv4l2:{tmp_path}/clip.mp4")


@pytest.mark.parametrize(
    ("caps", "got"), [("format=I420", "I420"), ("format=NV21", "NV21"), ("width=16", "another")]
)
def test_planes_in_another_order_are_not_counted_as_grey(capture, first, caps, got):
    capture.image = nv12()
    with pytest.raises(PermanentError, match=f"RGB, GRAY8 or NV12 before the appsink, got {got}"):
        first(f"videotestsrc ! video/x-raw, {caps} ! appsink")


def test_the_board_s_decoder_reads_rtsp_by_its_codec(capture, first, monkeypatch):
    capture.image = nv12()
    looked = []

    class Clip:
        codec = "hevc"

        def __enter__(self) -> Clip:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def look(address: str, name: str, options: LiveOptions, *_: Any) -> Clip:
        looked.append((address, options.hardware))
        return Clip()

    monkeypatch.setattr(opening, "_open_stream", look)
    [source] = open_sources(
        "nvv4l2:rtsp://me:pass@camera/1", live=LiveOptions(backoff=(0.01, 0.02))
    )
    assert (source.name, source.options.hardware) == ("rtsp://camera/1", "nvv4l2")
    for _ in range(2):
        frames = source.frames()
        assert isinstance(next(frames).image, NV12Frame)
        frames.close()
    assert looked == [("rtsp://me:pass@camera/1", None)]  # asked once
    expected = (
        'rtspsrc location="rtsp://me:pass@camera/1" protocols=tcp latency=100 '
        f"drop-on-latency=true ! rtph265depay ! h265parse ! nvv4l2decoder ! {OUT}"
    )
    assert capture.opened == [expected] * 2
    capture.opens = False
    with pytest.raises(SourceError, match=r"open rtsp://camera/1: is it there, .*nvv4l2decoder"):
        next(LiveSource("rtsp://camera/1", LiveOptions(False, False, hardware="nvv4l2")).frames())


def test_what_the_board_s_decoder_does_not_read_is_refused(capture, first):
    with pytest.raises(PermanentError, match='expected an address rtsp:// for hardware="nvv4l2"'):
        first("http://camera/a.mjpg", hardware="nvv4l2")
    with pytest.raises(SourceError, match=r"expected H.264 or H.265 .* got mjpeg: leave hardware"):
        rtsp_pipeline("rtsp://camera/1", "mjpeg", "rtsp://camera/1")
    assert 'location="rtsp://a/\\"b\\\\c"' in rtsp_pipeline('rtsp://a/"b\\c', "h264", "a")


@pytest.mark.parametrize("hardware", ["nvdec:1", "nvv4l2"])
@pytest.mark.parametrize("source", [0, "csi://0", "/dev/video9", "videotestsrc ! appsink"])
def test_decoders_of_streams_are_refused_for_cameras(source, hardware, monkeypatch):
    monkeypatch.setattr(opening, "check_hardware", lambda _: None)
    if (source, hardware) == ("csi://0", "nvv4l2"):
        LiveSource(source, LiveOptions(hardware=hardware))
        return
    with pytest.raises(ConfigError, match=f"hardware: expected none for .*, got '{hardware}'"):
        LiveSource(source, LiveOptions(hardware=hardware))


def test_nvdec_is_not_replaced_where_pyav_lacks_the_protocol(monkeypatch):
    monkeypatch.setattr(opening, "check_hardware", lambda _: None)
    source = LiveSource("what://camera", LiveOptions(hardware="nvdec", reconnect=False))
    with pytest.raises(PermanentError, match="cannot be decoded on NVDEC: PyAV's FFmpeg has no wh"):
        next(source.frames())
