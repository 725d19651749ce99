"""Pixels that are not square."""

from __future__ import annotations

import struct
import sys
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest

from clips import encode, picture
from edgecount.errors import SourceError
from edgecount.runtime.sources.aspect import SQUARE, pixel_ratio, square_size
from edgecount.runtime.sources.live import LiveOptions, LiveSource
from edgecount.runtime.sources.video import VideoSource
from streams import served

SHOWN = (96, 64)  # px


def stored(index: int, size: tuple[int, int]) -> Any:
    """Return a picture of the shown size as it is stored."""
    return cv2.resize(picture(index, SHOWN), size, interpolation=cv2.INTER_AREA)


def assert_shown(image: Any, index: int, size: tuple[int, int] = SHOWN) -> None:
    assert image.shape == (size[1], size[0], 3)
    wanted = cv2.resize(picture(index, SHOWN), size, interpolation=cv2.INTER_CUBIC)
    assert np.abs(image.astype(int) - wanted).mean() < 3


@pytest.mark.parametrize(
    ("numerator", "denominator", "ratio"),
    [
        (16, 15, Fraction(16, 15)),
        (2, 1, Fraction(2)),
        (1, 2, Fraction(1, 2)),
        (0, 1, SQUARE),  # not known
        (1, 0, SQUARE),
        (-1, 1, SQUARE),
        (1, 1, SQUARE),
        (1280, 1281, SQUARE),  # of a side that was rounded
        (90, 1, SQUARE),  # damaged
        (1, 90, SQUARE),
    ],
)
def test_the_ratio_of_a_tag(numerator: int, denominator: int, ratio: Fraction) -> None:
    assert pixel_ratio(numerator, denominator) == ratio


@pytest.mark.parametrize(
    ("size", "ratio", "wanted"),
    [
        ((720, 576), Fraction(16, 15), (768, 576)),
        ((720, 480), Fraction(8, 9), (720, 540)),
        ((1440, 1080), Fraction(4, 3), (1920, 1080)),
        ((704, 288), Fraction(24, 11), (1536, 288)),
        ((704, 480), SQUARE, (704, 480)),
    ],
)
def test_no_side_gets_shorter(
    size: tuple[int, int], ratio: Fraction, wanted: tuple[int, int]
) -> None:
    assert square_size(*size, ratio) == wanted


@pytest.mark.parametrize(
    ("codec", "container", "size", "ratio", "shown"),
    [
        ("libx264", "mp4", (48, 64), Fraction(2), SHOWN),
        ("libx264", "matroska", (72, 64), Fraction(4, 3), SHOWN),
        ("libx264", "h264", (96, 32), Fraction(1, 2), SHOWN),
        ("mpeg2video", "mpegts", (72, 64), Fraction(4, 3), SHOWN),
        ("mjpeg", "avi", (48, 64), Fraction(2), SHOWN),
    ],
)
def test_frames_have_square_pixels(
    write: Any,
    codec: str,
    container: str,
    size: tuple[int, int],
    ratio: Fraction,
    shown: tuple[int, int],
) -> None:
    images = [stored(index, size) for index in range(8)]
    if codec == "mpeg2video":  # its tag is the ratio of the whole picture, 16:9 here
        ratio, shown = Fraction(16 * 64, 9 * 72), (round(72 * Fraction(16 * 64, 9 * 72)), 64)
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write("a.bin", encode(codec, container, images, pixels=pixels, ratio=ratio))
    frames = list(VideoSource(path).frames())
    assert len(frames) == 8
    for index, frame in enumerate(frames):
        assert_shown(frame.image, index, shown)


def test_the_container_knows_better_than_the_codec(write: Any) -> None:
    images = [stored(index, (72, 64)) for index in range(8)]
    data = bytearray(encode("libx264", "mp4", images, ratio=Fraction(2)))
    # Pixel aspect ratio box: ISO/IEC 14496-12, section 12.1.4.
    struct.pack_into(">2I", data, data.index(b"pasp") + 4, 4, 3)
    for index, frame in enumerate(VideoSource(write("a.mp4", bytes(data))).frames()):
        assert_shown(frame.image, index)


def test_fields_are_joined_before_they_are_stretched(write: Any) -> None:
    images = [stored(index, (48, 64)) for index in range(8)]
    options = {"flags": "+ildct+ilme"}
    data = encode("libx264", "mp4", images, options=options, interlaced=True, ratio=Fraction(2))
    for index, frame in enumerate(VideoSource(write("a.mp4", data)).frames()):
        assert_shown(frame.image, index)


def test_a_stream_whose_ratio_changes() -> None:
    parts = [
        encode("libx264", "h264", [stored(i, size) for i in range(12)], ratio=ratio)
        for size, ratio in (((48, 64), Fraction(2)), ((96, 64), None), ((96, 32), Fraction(1, 2)))
    ]
    with served(lambda connection: connection.sendall(b"".join(parts))) as port:
        options = LiveOptions(newest=False, reconnect=False, open_timeout=20, first_timeout=20)
        source, frames = LiveSource(f"tcp://127.0.0.1:{port}", options), []
        with pytest.raises(Exception, match="ended after"):
            frames.extend(source.frames())
    assert len(frames) == 36
    for frame in frames:
        if frame.index not in {10, 11, 22, 23}:  # after a key frame just before a change
            assert_shown(frame.image, frame.index % 12)


def test_a_ratio_that_changes_without_the_size(write: Any) -> None:
    sizes = {Fraction(2): SHOWN, Fraction(4, 3): (64, 64)}
    data = [
        encode("libx264", "h264", [stored(i, (48, 64)) for i in range(24)], ratio=ratio)
        for ratio in sizes
    ]
    frames = list(VideoSource(write("a.h264", b"".join(data))).frames())
    assert len(frames) == 48
    for frame in frames:
        # PyAV tells the decoder's alone, which is ahead by some frames at the last key frame.
        if frame.index not in range(18, 24):
            assert_shown(frame.image, frame.index % 24, list(sizes.values())[frame.index // 24])


def test_the_shown_size_has_a_limit(write: Any) -> None:
    path = write("a.mp4", encode("libx264", "mp4", [stored(0, (48, 64))], ratio=Fraction(2)))
    assert len(list(VideoSource(path, max_pixels=96 * 64).frames())) == 1
    with pytest.raises(SourceError, match="frames of 96 x 64 pixels, expected at most 6,143"):
        list(VideoSource(path, max_pixels=96 * 64 - 1).frames())


@pytest.mark.parametrize("turned", [False, True])
def test_opencv_in_the_place_of_pyav(
    write: Any, monkeypatch: pytest.MonkeyPatch, *, turned: bool
) -> None:
    images = [stored(index, (48, 64)) for index in range(6)]
    data = bytearray(encode("libx264", "mp4", images, ratio=Fraction(2)))
    if turned:  # the matrix of the track's header: ISO/IEC 14496-12, section 8.3.2
        matrix = 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30
        struct.pack_into(">9i", data, data.index(b"tkhd") + 44, *matrix)
    path = write("a.mp4", bytes(data))
    monkeypatch.setitem(sys.modules, "av", None)
    for name in ("pyav", "convert"):
        monkeypatch.delitem(sys.modules, f"edgecount.runtime.sources.{name}", raising=False)
        monkeypatch.delattr(f"edgecount.runtime.sources.{name}", raising=False)
    frames = list(VideoSource(path).frames())
    assert len(frames) == 6
    for index, frame in enumerate(frames):
        image = np.rot90(frame.image) if turned else frame.image
        assert_shown(image, index)
