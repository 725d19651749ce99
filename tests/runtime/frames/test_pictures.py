"""Frames of every form as pictures to draw on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgecount import NV12Frame, PixelFrame
from edgecount.errors import InputError
from edgecount.runtime.frames.pictures import bgr_picture, size_of

# 100 % bars as (Y, Cb, Cr) and (R, G, B). Source: Rec. ITU-R BT.709-6, 8 bits, and, of full range,
# by its equations.
BARS = {
    False: {
        (235, 128, 128): (255, 255, 255),
        (219, 16, 138): (255, 255, 0),
        (173, 42, 26): (0, 255, 0),
        (63, 102, 240): (255, 0, 0),
        (32, 240, 118): (0, 0, 255),
        (16, 128, 128): (0, 0, 0),
    },
    True: {
        (255, 128, 128): (255, 255, 255),
        (54, 99, 255): (255, 0, 0),
        (18, 255, 116): (0, 0, 255),
        (0, 128, 128): (0, 0, 0),
    },
}


@pytest.mark.parametrize("full_range", [False, True])
def test_bars_of_bt709_have_their_colours(full_range):
    for (luma, *chroma), colour in BARS[full_range].items():
        frame = NV12Frame(
            np.full((4, 6), luma, np.uint8),
            np.tile(np.array(chroma, np.uint8), (2, 3)),
            "bt709",
            full_range,
        )
        picture = bgr_picture(frame)
        assert picture.shape == (4, 6, 3)
        assert np.abs(picture.astype(int) - colour[::-1]).max() <= 2


def test_bt601_is_opencv_s():
    buffer = np.random.default_rng(0).integers(0, 256, (12, 16), np.uint8)
    expected = cv2.cvtColor(buffer, cv2.COLOR_YUV2BGR_NV12)
    frame = NV12Frame.from_buffer(buffer)
    assert (bgr_picture(frame) == expected).all()
    pairs = NV12Frame(buffer[:8, :, None], buffer[8:].reshape(4, 8, 2))
    assert (bgr_picture(pairs) == expected).all()
    assert size_of(frame) == size_of(pairs) == (16, 8)


def test_packed_pixels_become_bgr_and_bgr_stays_what_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 4), np.uint8)
    assert (bgr_picture(PixelFrame(pixels, "rgba")) == pixels[:, :, [2, 1, 0]]).all()
    assert (bgr_picture(PixelFrame(pixels, "bgrx")) == pixels[:, :, :3]).all()
    picture = pixels[:, :, :3].copy()
    assert bgr_picture(picture) is picture
    assert size_of(PixelFrame(pixels, "rgba")) == size_of(picture) == (7, 5)


def test_what_is_no_frame_has_no_size():
    with pytest.raises(InputError, match="got a str without a shape"):
        size_of("street.jpg")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            PixelFrame(np.zeros((4, 4), np.uint8), "rgb"),
            r"\(height, width, 3\) .*\(4, 4\)",
        ),
        (NV12Frame(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)), r"\(4, 4\) and uint8"),
    ],
)
def test_what_cannot_be_counted_is_no_picture(frame, message):
    with pytest.raises(InputError, match=message):
        bgr_picture(frame)
