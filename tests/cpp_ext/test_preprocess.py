"""Preprocessing against the plain reference and against torch's transform."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from edgecount import _ext

MEAN, SCALE = (123.7, 116.3, 103.5), (1 / 58.4, 1 / 57.1, 1 / 57.4)


def run(
    image, out_size, resized, *, mean=MEAN, scale=SCALE, swap_rb=True, pad_value=-0.25,
    chroma=None, pixels=None,
):  # fmt: skip
    out = np.full((3, *out_size), np.nan, np.float32)
    pixels = pixels or ("bgr" if chroma is None else "nv12_bt601")
    options = mean, scale, swap_rb, pad_value
    _ext.preprocess(image, out, *out_size, *resized, *options, chroma, pixels=pixels)
    return out


sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(size=sizes, resized=sizes, padding=st.tuples(st.integers(0, 5), st.integers(0, 5)))
def test_any_size_to_any_size(size, resized, padding):
    image = np.random.default_rng(size[0] * 41 + size[1]).integers(0, 256, (*size, 3), np.uint8)
    out_size = (resized[0] + padding[0], resized[1] + padding[1])
    got = run(image, out_size, resized)
    expected = reference.preprocess(
        image, out_size, resized, MEAN, SCALE, swap_rb=True, pad_value=-0.25
    )
    # A position in float32 is off by up to 3e-6 px here; between 0 and 255 that is 1e-5 and more.
    np.testing.assert_allclose(got, expected, atol=3e-5)


@pytest.mark.parametrize("swap_rb", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (16, 16), (33, 65), (48, 130)])
def test_the_same_size_is_exact(rng, size, swap_rb):
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    got = run(image, size, size, swap_rb=swap_rb)
    channels = (image[..., ::-1] if swap_rb else image).transpose(2, 0, 1).astype(np.float32)
    mean, scale = (np.array(v, np.float32)[:, None, None] for v in (MEAN, SCALE))
    np.testing.assert_array_equal(got, (channels - mean) * scale)


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((480, 640), (480, 640)),
        ((1080, 1920), (576, 1024)),
        ((100, 3999), (37, 1024)),
        ((97, 131), (480, 640)),
        ((5, 2000), (64, 64)),
        ((2000, 5), (64, 3)),
        ((1, 1), (64, 64)),
        ((300, 400), (300, 200)),
        ((300, 400), (100, 400)),
    ],
)
def test_equals_the_training_transform(rng, size, resized):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    scale = (1 / 127.5,) * 3
    got = run(image, resized, resized, mean=(127.5,) * 3, scale=scale)
    planes = torch.from_numpy(image).flip(2).permute(2, 0, 1)[None].float()
    expected = torch.nn.functional.interpolate(
        planes, resized, mode="bilinear", align_corners=False, antialias=True
    )
    expected = (expected[0].numpy() - 127.5) / 127.5
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("resized", [(20, 30), (11, 17), (45, 33)])
def test_views_with_gaps_between_rows(rng, resized):
    frame = rng.integers(0, 256, (40, 50, 3), np.uint8)
    for view in (frame[10:30, 15:45], frame[::2, :30], frame[5:6, :30], frame[10:30, 3:4]):
        copy = np.ascontiguousarray(view)
        np.testing.assert_array_equal(run(view, resized, resized), run(copy, resized, resized))


def test_flat_images_stay_flat():
    for level in (0, 1, 127, 255):
        image = np.full((37, 53, 3), level, np.uint8)
        got = run(image, (19, 64), (19, 64), mean=(0, 0, 0), scale=(1, 1, 1))
        np.testing.assert_allclose(got, level, atol=1e-4)


def test_padding_and_order_of_channels():
    image = np.zeros((2, 2, 3), np.uint8)
    image[...] = 10, 20, 30
    out = run(image, (4, 3), (2, 2), mean=(0, 0, 0), scale=(1, 2, 3), swap_rb=True, pad_value=7.0)
    assert (out[:, :2, :2] == np.array([30, 40, 30])[:, None, None]).all()
    assert (out[:, 2:] == 7).all()
    assert (out[:, :, 2:] == 7).all()


def nv12(rng, height, width):
    """Return a random image as OpenCV takes it, luma above chroma, and both as views of it."""
    both = rng.integers(0, 256, (height * 3 // 2, width), np.uint8)
    return both, both[:height], both[height:]


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((2, 2), (2, 2)),
        ((2, 2), (7, 5)),
        ((66, 130), (66, 130)),
        ((66, 126), (31, 47)),
        ((64, 128), (64, 50)),
        ((40, 300), (90, 300)),
        ((480, 640), (100, 1)),
    ],
)
def test_nv12_equals_opencv_s_bgr(rng, size, resized):
    both, luma, chroma = nv12(rng, *size)
    bgr = cv2.cvtColor(both, cv2.COLOR_YUV2BGR_NV12)
    padded = (resized[0] + 2, resized[1] + 3)
    expected = run(bgr, padded, resized)
    np.testing.assert_array_equal(run(luma, padded, resized, chroma=chroma), expected)


def test_every_colour_of_nv12_equals_opencv_s():
    levels = np.arange(256, dtype=np.uint8)
    for value in levels:
        # Luma in pairs of columns that share a colour; rows of U, columns of V.
        luma = np.full((512, 512), value)
        chroma = np.stack(np.meshgrid(levels, levels, indexing="ij"), axis=-1).reshape(256, 512)
        bgr = cv2.cvtColor(np.concatenate([luma, chroma]), cv2.COLOR_YUV2BGR_NV12)
        got = run(
            luma,
            (512, 512),
            (512, 512),
            mean=(0,) * 3,
            scale=(1,) * 3,
            swap_rb=False,
            chroma=chroma,
        )
        np.testing.assert_array_equal(got, bgr.transpose(2, 0, 1))


@pytest.mark.parametrize("resized", [(20, 30), (11, 17), (45, 33)])
def test_nv12_with_gaps_between_rows(rng, resized):
    wide = rng.integers(0, 256, (60, 64), np.uint8)
    for luma, chroma in [
        (wide[:20, :30], wide[20:30, :30]),
        (wide[1:21, 7:37], wide[30:50:2, 5:35]),
        (wide[:2, :30], wide[30:31, :30]),
    ]:
        packed = run(luma.copy(), resized, resized, chroma=chroma.copy())
        np.testing.assert_array_equal(run(luma, resized, resized, chroma=chroma), packed)


IMAGE = np.zeros((4, 6, 3), np.uint8)
LUMA, CHROMA = np.zeros((4, 6), np.uint8), np.zeros((2, 6), np.uint8)
NV12 = {"pixels": "nv12_bt601"}
OUT = np.zeros((3, 4, 6), np.float32)
read_only = OUT.copy()
read_only.flags.writeable = False


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"image": "x"}, TypeError, "image: expected a NumPy array .* got str"),
        ({"image": IMAGE.astype(np.float32)}, TypeError, "image: .*uint8, got float32"),
        (
            {"image": IMAGE[..., 0]},
            ValueError,
            r"image: .*\(H, W, 3\) for bgr pixels, got \(4, 6\)",
        ),
        ({"image": IMAGE[..., :2]}, ValueError, r"image: .*got \(4, 6, 2\)"),
        ({"image": IMAGE[::-1]}, ValueError, "image: .*top to bottom"),
        ({"image": IMAGE[:, ::2]}, ValueError, "image: .*contiguous pixels"),
        ({"image": IMAGE[..., ::-1]}, ValueError, "image: .*contiguous pixels"),
        ({"image": IMAGE[:0]}, ValueError, "image: expected at least 1 x 1 pixel, got 0 x 6"),
        ({"chroma": CHROMA}, ValueError, "chroma: expected None for bgr pixels, got an array"),
        (
            {"pixels": "nv12_bt709"},
            ValueError,
            "chroma: expected the U and V of the image for nv12_bt709 pixels, got None",
        ),
        (
            {"chroma": CHROMA} | NV12,
            ValueError,
            r"image: .*\(H, W\) for nv12_bt601 pixels, got \(4",
        ),
        ({"pixels": "rgbx"}, ValueError, r"image: .*\(H, W, 4\) for rgbx pixels, got \(4, 6, 3\)"),
        ({"pixels": "xrgb"}, ValueError, "pixels: expected one of bgr, rgb, .*_full, got xrgb"),
        (
            {"image": LUMA, "chroma": CHROMA[:1]} | NV12,
            ValueError,
            r"chroma: expected shape \(H / 2, W\) = \(2, 6\), got \(1, 6\)",
        ),
        (
            {"image": LUMA, "chroma": CHROMA.reshape(2, 3, 2)} | NV12,
            ValueError,
            r"chroma: .*got \(2, 3, 2\)",
        ),
        (
            {"image": LUMA[:3], "chroma": CHROMA[:1]} | NV12,
            ValueError,
            "image: expected an even height and width for NV12, got 3 x 6",
        ),
        (
            {"image": LUMA[:, :5], "chroma": CHROMA[:, :5]} | NV12,
            ValueError,
            "image: expected an even height and width for NV12, got 4 x 5",
        ),
        ({"image": LUMA, "chroma": CHROMA[::-1]} | NV12, ValueError, "chroma: .*top to bottom"),
        (
            {"image": LUMA, "chroma": CHROMA.astype(np.int8)} | NV12,
            TypeError,
            "chroma: .*uint8, got int8",
        ),
        (
            {"image": LUMA, "chroma": "x"} | NV12,
            TypeError,
            "chroma: expected a NumPy array .* got str",
        ),
        ({"out": read_only}, TypeError, "out: expected a writable NumPy array"),
        ({"out": OUT.astype(np.float64)}, TypeError, "out: .*float32, got float64"),
        ({"out": OUT[:2]}, ValueError, r"out: expected shape \(3, 4, 6\), got \(2, 4, 6\)"),
        ({"out": OUT[:, ::2]}, ValueError, r"out: expected shape \(3, 4, 6\)"),
        ({"out": OUT[::-1]}, ValueError, "out: expected a C-contiguous"),
        ({"out_height": 0}, ValueError, "out_height: expected 1 or more, got 0"),
        ({"resized_width": -1}, ValueError, "resized_width: expected 1 or more, got -1"),
        ({"resized_height": 5}, ValueError, "resized_height, resized_width: expected at most"),
        ({"mean": (1, 2)}, ValueError, "mean: expected 3 numbers, got 2"),
        ({"scale": (1, 2, 3, 4)}, ValueError, "scale: expected 3 numbers, got 4"),
        ({"mean": 3.0}, TypeError, "mean: expected 3 numbers, got float"),
        ({"mean": ("a", "b", "c")}, TypeError, "mean: expected 3 numbers, got str"),
    ],
)
def test_wrong_arguments(change, error, message):
    arguments = {
        "image": IMAGE,
        "out": OUT,
        "out_height": 4,
        "out_width": 6,
        "resized_height": 4,
        "resized_width": 6,
        "mean": MEAN,
        "scale": SCALE,
        "swap_rb": True,
        "pad_value": 0.0,
    }
    with pytest.raises(error, match=f"^{message}"):
        _ext.preprocess(**arguments | change)
