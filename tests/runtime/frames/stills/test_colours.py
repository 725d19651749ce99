"""Image files: colours, alpha and white of each format, and which picture of a file is meant."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from still_files import exif, write

from edgecount.errors import SourceError
from edgecount.runtime.frames.images import read_image

RNG = np.random.default_rng(0)
PICTURE = cv2.GaussianBlur(RNG.integers(0, 256, (60, 80, 3)).astype(np.uint8), (0, 0), 3)
UPRIGHT = {1: PICTURE, 6: np.rot90(PICTURE, -1)}  # by the orientation as it is stored


@pytest.mark.parametrize("opaque", [0, 255, None])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "tiff_deflate"])
def test_alpha_is_dropped(tmp_path: Path, kind: str, orientation: int, opaque: int | None) -> None:
    alpha = np.full(PICTURE.shape[:2], opaque or 0, np.uint8)
    if opaque is None:
        alpha[:, 40:] = 255
    options: dict[str, Any] = {"exif": exif(orientation)}
    if kind == "WEBP":
        options |= {"lossless": True, "exact": True}
    elif kind.startswith("tiff"):
        options |= {"compression": kind}
    file = io.BytesIO()
    picture = Image.fromarray(np.dstack([PICTURE[:, :, ::-1], alpha]))
    picture.save(file, "TIFF" if kind.startswith("tiff") else kind, **options)
    assert (read_image(write(tmp_path / "a", file.getvalue())) == UPRIGHT[orientation]).all()


def test_a_preview_is_not_taken_for_the_picture(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, "TIFF", tiffinfo={254: 1})
    with pytest.raises(SourceError, match="its first picture is a preview of another one"):
        read_image(write(tmp_path / "a.dng", file.getvalue()))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_colours_of_print_and_video_in_a_tiff(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(PICTURE).convert(mode)
    picture.save(tmp_path / "a.tif")
    rgb = np.asarray(picture.convert("RGB")).astype(int)
    assert np.abs(read_image(tmp_path / "a.tif")[:, :, ::-1] - rgb).mean() < 2


@pytest.mark.parametrize("photometric", [8, 9, 10])
def test_lab_in_a_tiff_is_refused(tmp_path: Path, photometric: int) -> None:
    file = io.BytesIO()
    Image.fromarray(PICTURE).convert("LAB").save(file, "TIFF")
    entry = struct.pack("<HHI", 262, 3, 1)
    data = bytearray(file.getvalue())
    struct.pack_into("<H", data, data.index(entry) + 8, photometric)
    with pytest.raises(SourceError, match=r"colours are CIE L\*a\*b\*; save it as RGB"):
        read_image(write(tmp_path / "a.tif", bytes(data)))


@pytest.mark.parametrize("white", [1, 31, 100, 255, 1000, 65535])
@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
def test_white_of_a_pnm_is_what_its_header_says(tmp_path: Path, kind: str, white: int) -> None:
    is_grey = kind in ("P2", "P5")
    values = RNG.integers(0, white + 1, (20, 30, 1 if is_grey else 3))
    if kind in ("P2", "P3"):
        pixels = "\n".join(" ".join(map(str, row)) for row in values.reshape(20, -1)).encode()
    else:
        pixels = values.astype(">u2" if white > 255 else np.uint8).tobytes()
    header = f"{kind}\n30 20\n{white}\n".encode()
    image = read_image(write(tmp_path / "a", header + pixels + b"\n"))
    expected = np.broadcast_to(values[:, :, ::-1], (20, 30, 3)) / white * 255
    assert np.abs(image - expected).max() <= 0.51 + (white < 256 and kind in ("P2", "P3"))


@pytest.mark.parametrize("white", [1, 100, 255, 4095, 65535])
@pytest.mark.parametrize(
    ("kind", "channels"),
    [("GRAYSCALE", 1), ("GRAYSCALE_ALPHA", 2), ("RGB", 3), ("RGB_ALPHA", 4)],
)
def test_pam(tmp_path: Path, kind: str, channels: int, white: int) -> None:
    values = RNG.integers(0, white + 1, (20, 30, channels))
    header = f"P7\nWIDTH 30\nHEIGHT 20\nDEPTH {channels}\nMAXVAL {white}\nTUPLTYPE {kind}\nENDHDR\n"
    pixels = values.astype(">u2" if white > 255 else np.uint8).tobytes()
    image = read_image(write(tmp_path / "a", header.encode() + pixels))
    colours = values[:, :, :3][:, :, ::-1] if channels > 2 else values[:, :, :1]
    assert np.abs(image - np.broadcast_to(colours, (20, 30, 3)) / white * 255).max() <= 0.51
    cut = write(tmp_path / "cut", header.encode() + pixels[:-9])
    with pytest.raises(SourceError, match=r"is truncated: its pixels take [\d,]+ bytes, and"):
        read_image(cut)
    part = read_image(cut, accept_damaged=True)
    assert (part[:19] == image[:19]).all()
    many = header.replace(f"DEPTH {channels}", "DEPTH 7").encode()
    with pytest.raises(SourceError, match="it has 7 channels, expected 1 to 4"):
        read_image(write(tmp_path / "many", many + bytes(99999)))


def test_a_bmp_whose_colours_opencv_would_exchange_is_refused(tmp_path: Path) -> None:
    def bmp(*masks: int) -> bytes:
        pixels = np.dstack([PICTURE, np.zeros((60, 80), np.uint8)])[::-1].tobytes()
        header = struct.pack("<IiiHHIIiiII", 40, 80, 60, 1, 32, 3, len(pixels), 0, 0, 0, 0)
        rest = header + struct.pack("<3I", *masks)
        return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(rest)) + rest + pixels

    usual = write(tmp_path / "usual", bmp(0xFF0000, 0xFF00, 0xFF))
    assert (read_image(usual) == PICTURE).all()
    for masks in ((0xFF, 0xFF00, 0xFF0000), (0x3FF00000, 0xFFC00, 0x3FF)):
        with pytest.raises(SourceError, match="its colours are not 8 bits each, in the order BGR"):
            read_image(write(tmp_path / "odd", bmp(*masks)))
