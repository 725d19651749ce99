"""Sizes of images, as they are when they are read."""

import struct

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
from PIL import Image

from edgecount.errors import SourceError
from edgecount.runtime.frames.images import read_image
from edgecount.train.data.headers import Header, read_header


def turned_jpeg(orientation, order="<", size=(30, 40)):
    """Make a JPEG with an EXIF orientation."""
    _, data = cv2.imencode(".jpg", np.zeros((*size, 3), np.uint8))
    mark = b"II" if order == "<" else b"MM"
    value = struct.pack(f"{order}HH", orientation, 0)
    tiff = mark + struct.pack(f"{order}HIHHHI", 42, 8, 1, 0x0112, 3, 1) + value + bytes(4)
    exif = b"Exif\0\0" + tiff
    return (
        data[:2].tobytes()
        + b"\xff\xe1"
        + struct.pack(">H", len(exif) + 2)
        + exif
        + data[2:].tobytes()
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_jpegs_have_their_upright_size(tmp_path, orientation, order):
    path = tmp_path / "a.jpg"
    path.write_bytes(turned_jpeg(orientation, order))
    header = read_header(path)
    assert header.orientation == orientation
    assert (header.height, header.width) == read_image(path).shape[:2]
    assert header.width == (40 if orientation < 5 else 30)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".mpo", ".avif"])
def test_other_formats_have_the_size_that_they_are_read_with(tmp_path, suffix, orientation):
    path = tmp_path / f"a{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (40, 30)).save(path, exif=exif, format={".mpo": "JPEG"}.get(suffix))
    header = read_header(path)
    assert header.orientation == orientation
    assert (header.height, header.width) == read_image(path).shape[:2]


def test_an_orientation_that_the_decoder_ignores_is_none(tmp_path):
    path = tmp_path / "a.jpg"
    xmp = b"<x:xmpmeta><tiff:Orientation>6</tiff:Orientation>"
    Image.new("RGB", (40, 30)).save(path, xmp=xmp)
    assert read_image(path).shape[:2] == (30, 40)
    assert read_header(path) == Header(40, 30)


def test_damaged_exif_is_ignored(tmp_path):
    path = tmp_path / "a.jpg"
    for junk in (b"Exif\0\0junk", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"):
        Image.new("RGB", (40, 30)).save(path, exif=junk)
        assert read_header(path) == Header(40, 30)


def test_large_images_are_no_bombs(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("RGB", (40, 30)).save(path)
    for limit in (1000, 100):  # a warning, and an error
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert read_header(path) == Header(40, 30)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_formats(tmp_path, suffix, channels):
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), np.zeros((30, 40, channels), np.uint8))
    assert read_header(path) == Header(40, 30)


def test_progressive_jpegs_and_orientations_that_make_no_sense(tmp_path):
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.zeros((30, 40, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert read_header(path) == Header(40, 30)
    path.write_bytes(turned_jpeg(77))
    assert read_header(path) == Header(40, 30)


def test_what_is_no_image_is_one_clear_error(tmp_path):
    path = tmp_path / "a.jpg"
    with pytest.raises(SourceError, match=r"no such file: .*a\.jpg"):
        read_header(path)
    path.write_bytes(turned_jpeg(1)[:60])
    with pytest.raises(SourceError, match=r"a\.jpg is truncated"):
        read_header(path)
    path.write_bytes(b"nothing")
    with pytest.raises(SourceError, match=r"a\.jpg is not an image"):
        read_header(path)
