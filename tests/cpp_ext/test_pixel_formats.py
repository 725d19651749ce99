"""Pixel formats: orders of channels against BGR, and NV12 against the ITU's formulas."""

from __future__ import annotations

import numpy as np
import pytest

from edgecount import _ext

LEVELS = np.arange(256)


def as_bgr(image, pixels, chroma=None):
    """Return the 8-bit BGR that frames of a format are taken for."""
    height, width = image.shape[:2]
    out = np.empty((3, height, width), np.float32)
    plain = (0.0,) * 3, (1.0,) * 3, False, 0.0
    _ext.preprocess(image, out, *image.shape[:2] * 2, *plain, chroma, pixels=pixels)
    return out.transpose(1, 2, 0)


def resized(image, pixels, size):
    out = np.empty((3, *size), np.float32)
    values = (110.0, 120.0, 130.0), (0.1, 0.2, 0.3), True, -1.0
    _ext.preprocess(image, out, *size, *size, *values, pixels=pixels)
    return out


def of_bgr(bgr, pixels, rng):
    """Return BGR in another order, with random bytes where a format has one more."""
    ordered = bgr[:, :, ::-1] if pixels.startswith("rgb") else bgr
    if not pixels.endswith("x"):
        return np.ascontiguousarray(ordered)
    more = rng.integers(0, 256, (*bgr.shape[:2], 1), np.uint8)
    return np.concatenate([ordered, more], axis=2)


@pytest.mark.parametrize("pixels", ["rgb", "bgrx", "rgbx"])
@pytest.mark.parametrize("size", [(1, 1), (12, 67), (7, 31), (40, 100)])
def test_another_order_of_channels_is_the_same_picture(rng, pixels, size):
    bgr = rng.integers(0, 256, (12, 67, 3), np.uint8)
    wide = of_bgr(np.pad(bgr, ((0, 0), (0, 5), (0, 0))), pixels, rng)
    for frame in (of_bgr(bgr, pixels, rng), wide[:, :67]):
        np.testing.assert_array_equal(resized(frame, pixels, size), resized(bgr, "bgr", size))


@pytest.mark.parametrize("size", [(12, 67), (7, 31), (40, 100)])
def test_grey_is_three_equal_channels(rng, size):
    wide = rng.integers(0, 256, (12, 80), np.uint8)
    bgr = np.repeat(wide[:, :67, None], 3, axis=2)
    np.testing.assert_array_equal(resized(wide[:, :67], "grey", size), resized(bgr, "bgr", size))


def exact_bgr(luma, u, v, shares, full_range):
    """Return blue, green and red in float64, as ITU-R BT.601-7 and BT.709-6 define them.

    E'Y = Kr E'R + Kg E'G + Kb E'B, E'Cb = (E'B - E'Y) / (2 - 2 Kb), E'Cr = (E'R - E'Y) /
    (2 - 2 Kr), of which the limited range stores 219 E'Y + 16 and 224 E'C + 128.
    """
    red_share, blue_share = shares
    brightness = luma / 255 if full_range else np.maximum(luma - 16, 0) / 219
    cb, cr = ((c - 128) / (255 if full_range else 224) for c in (u, v))
    red = brightness + (2 - 2 * red_share) * cr
    blue = brightness + (2 - 2 * blue_share) * cb
    green = (brightness - red_share * red - blue_share * blue) / (1 - red_share - blue_share)
    return np.clip(255 * np.stack([blue, green, red], axis=-1), 0, 255)


@pytest.mark.parametrize(
    ("pixels", "shares", "full_range"),
    [
        ("nv12_bt601_full", (0.299, 0.114), True),
        ("nv12_bt709", (0.2126, 0.0722), False),
        ("nv12_bt709_full", (0.2126, 0.0722), True),
    ],
)
def test_nv12_is_what_the_recommendations_say(pixels, shares, full_range):
    u, v = np.meshgrid(LEVELS, LEVELS, indexing="ij")
    chroma = np.stack([u, v], axis=-1).reshape(256, 512).astype(np.uint8)
    for level in (0, 1, 15, 16, 17, *range(20, 256, 25), 235, 236, 254, 255):
        got = as_bgr(np.full((512, 512), level, np.uint8), pixels, chroma)[::2, ::2]
        exact = exact_bgr(np.float64(level), u, v, shares, full_range)
        # To the nearest whole number; the factors are whole numbers of 2^-20, and chroma reaches
        # 128: 3e-4 is more than they can be off.
        assert np.abs(got - exact).max() <= 0.5 + 3e-4


@pytest.mark.parametrize(
    ("pixels", "yuv", "bgr"),
    [
        # Full colours in 8 bits, as the recommendations' colour bars have them.
        ("nv12_bt601", (81, 90, 240), (0, 0, 255)),
        ("nv12_bt601", (145, 54, 34), (0, 255, 0)),
        ("nv12_bt601", (41, 240, 110), (255, 0, 0)),
        ("nv12_bt709", (63, 102, 240), (0, 0, 255)),
        ("nv12_bt709", (173, 42, 26), (0, 255, 0)),
        ("nv12_bt709", (32, 240, 118), (255, 0, 0)),
        ("nv12_bt709", (235, 128, 128), (255, 255, 255)),
        ("nv12_bt709", (16, 128, 128), (0, 0, 0)),
        ("nv12_bt601_full", (76, 85, 255), (0, 0, 255)),
        ("nv12_bt601_full", (150, 44, 21), (0, 255, 0)),
        ("nv12_bt601_full", (128, 128, 128), (128, 128, 128)),
        ("nv12_bt709_full", (54, 99, 255), (0, 0, 255)),
        ("nv12_bt709_full", (255, 128, 128), (255, 255, 255)),
    ],
)
def test_full_colours(pixels, yuv, bgr):
    luma = np.full((2, 2), yuv[0], np.uint8)
    got = as_bgr(luma, pixels, np.array([yuv[1:]], np.uint8))
    # YUV in 8 bits is up to half a level off in each plane.
    np.testing.assert_allclose(got, np.broadcast_to(bgr, (2, 2, 3)), atol=2)
