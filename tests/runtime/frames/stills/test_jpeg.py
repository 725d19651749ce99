"""JPEGs: pixels as OpenCV's, damage told from harmless oddities."""

from __future__ import annotations

import io
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgecount.runtime.frames.stills.jpeg import decode_jpeg, read_jpeg

RNG = np.random.default_rng(0)
PICTURE = cv2.GaussianBlur(RNG.integers(0, 256, (117, 155, 3)).astype(np.uint8), (0, 0), 2)


def encode(image: NDArray[np.uint8] = PICTURE, **options: int) -> bytes:
    flags = [
        value
        for name, number in options.items()
        for value in (getattr(cv2, f"IMWRITE_JPEG_{name.upper()}"), number)
    ]
    return bytes(cv2.imencode(".jpg", image, flags)[1])


def by_opencv(data: bytes) -> NDArray[Any]:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


def insert(data: bytes, mark: bytes, extra: bytes) -> bytes:
    at = data.index(mark)
    return data[:at] + extra + data[at:]


def with_end(data: bytes, extra: bytes) -> bytes:
    """Put bytes between the scan and the end mark."""
    return data[:-2] + extra + data[-2:]


@pytest.mark.parametrize("sampling", ["444", "422", "420", "440", "411"])
@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("restart", [0, 3])
def test_pixels_are_those_of_opencv(sampling: str, progressive: int, restart: int) -> None:
    factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
    data = encode(sampling_factor=factor, progressive=progressive, rst_interval=restart)
    pixels, corrupt = decode_jpeg(read_jpeg(data))
    assert corrupt is None
    assert pixels is not None
    np.testing.assert_array_equal(pixels, by_opencv(data))


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_pixels_of_other_colours_are_those_of_opencv(mode: str) -> None:
    file = io.BytesIO()
    Image.fromarray(PICTURE).convert(mode).save(file, "JPEG", keep_rgb=mode == "RGB")
    pixels, corrupt = decode_jpeg(read_jpeg(file.getvalue()))
    assert corrupt is None
    assert pixels is not None
    np.testing.assert_array_equal(pixels, by_opencv(file.getvalue()))


@pytest.mark.parametrize("mark", [b"\xff\xdb", b"\xff\xc0", b"\xff\xda"])
@pytest.mark.parametrize("extra", [b"abc", b"\xff\x00", b"\0" * 70, b"\xff\xff"])
def test_stray_bytes_between_segments_are_no_damage(mark: bytes, extra: bytes) -> None:
    pixels, corrupt = decode_jpeg(read_jpeg(insert(encode(), mark, extra)))
    assert corrupt is None
    np.testing.assert_array_equal(pixels, by_opencv(encode()))


@pytest.mark.parametrize("extra", [b"\0", bytes(500), b"\xff" * 9])
def test_padding_before_the_end_mark_is_no_damage(extra: bytes) -> None:
    pixels, corrupt = decode_jpeg(read_jpeg(with_end(encode(), extra)))
    assert corrupt is None
    np.testing.assert_array_equal(pixels, by_opencv(encode()))


def test_data_left_over_are_damage() -> None:
    pixels, corrupt = decode_jpeg(read_jpeg(with_end(encode(), b"left over")))
    assert corrupt is not None
    assert "extraneous bytes" in corrupt
    np.testing.assert_array_equal(pixels, by_opencv(encode()))


def test_numbers_that_decoders_ignore_are_no_damage() -> None:
    data = bytearray(encode())
    scan = data.index(b"\xff\xda")
    end = scan + 2 + struct.unpack_from(">H", data, scan + 2)[0]
    data[end - 3 : end] = b"\0\0\0"  # as some phones write it
    data[data.index(b"JFIF\0") + 5] = 7
    pixels, corrupt = decode_jpeg(read_jpeg(bytes(data)))
    assert corrupt is None
    np.testing.assert_array_equal(pixels, by_opencv(encode()))


def test_the_first_of_several_pictures() -> None:
    other = encode(PICTURE[:16, :16])
    jpeg = read_jpeg(encode() + other)
    assert (jpeg.header.width, jpeg.header.height, jpeg.scans) == (155, 117, 1)
    pixels, corrupt = decode_jpeg(jpeg)
    assert corrupt is None
    np.testing.assert_array_equal(pixels, by_opencv(encode()))
    assert read_jpeg(encode(progressive=1) + encode(progressive=1)).scans == 10


@pytest.mark.parametrize("options", [{}, {"rst_interval": 4}, {"progressive": 1}])
def test_flipped_bits_are_noticed_or_change_little(options: dict[str, int]) -> None:
    """Four flips in the scans of each of 60 files; half are noticed, others change grey levels.

    No decoder can notice all: a flip that changes a value and no length leaves a valid file.
    """
    data = encode(cv2.resize(PICTURE, (320, 240)), quality=95, **options)
    right, rng = by_opencv(data).astype(int), np.random.default_rng(1)
    first, changes = data.index(b"\xff\xda") + 14, []
    for _ in range(60):
        damaged = bytearray(data)
        for position in rng.integers(first, len(data) - 2, 4):
            damaged[position] ^= 1 << int(rng.integers(8))
        pixels, corrupt = decode_jpeg(read_jpeg(bytes(damaged)))
        if pixels is not None and corrupt is None:
            changes.append(np.abs(pixels - right).mean())
    assert len(changes) <= 30
    assert np.median(changes) < 8
