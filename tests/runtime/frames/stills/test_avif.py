"""AVIF: whole files need their end, damaged ones mostly do not."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edgecount.errors import SourceError
from edgecount.runtime.frames.images import read_image
from edgecount.runtime.frames.stills.avif import avif_without_end

RNG = np.random.default_rng(0)
PICTURE = cv2.GaussianBlur(RNG.integers(0, 256, (120, 160, 3)).astype(np.uint8), (0, 0), 2)


def encode(image: Image.Image, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "AVIF", **options)
    return file.getvalue()


@pytest.mark.parametrize("quality", [10, 60, 95])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("size", [(160, 120), (33, 17), (640, 480)])
def test_whole_files_need_their_end(
    tmp_path: Path, quality: int, mode: str, size: tuple[int, int]
) -> None:
    image = Image.fromarray(cv2.resize(PICTURE, size)).convert(mode)
    for number, picture in enumerate((image, Image.new(mode, size))):
        path = tmp_path / f"{number}.avif"
        path.write_bytes(encode(picture, quality=quality))
        assert read_image(path).shape == (size[1], size[0], 3)
    if size != (33, 17):
        assert avif_without_end((tmp_path / "0.avif").read_bytes()) is not None


def test_flipped_bits_are_noticed(tmp_path: Path) -> None:
    data = encode(Image.fromarray(cv2.resize(PICTURE, (320, 240))), quality=90)
    rng, accepted, path = np.random.default_rng(3), 0, tmp_path / "a.avif"
    for _ in range(30):
        damaged = bytearray(data)
        for position in rng.integers(500, len(data), 4):
            damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        try:
            read_image(path)
            accepted += 1
        except SourceError:
            pass
    assert accepted <= 6


@pytest.mark.parametrize("length", [0, 30, 100, 250, 400])
def test_files_cut_off_have_no_end(length: int) -> None:
    assert avif_without_end(encode(Image.fromarray(PICTURE))[:length]) is None
