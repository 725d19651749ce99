"""Frames of other formats: what is taken, what is refused, and that they count like BGR."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from edgecount import EdgeCounter, InputError, NV12Frame, PixelFrame
from edgecount.runtime.frames.checked import CheckedFrame, check_host_frame


@pytest.fixture
def buffer() -> np.ndarray:
    """Return a picture in NV12, (96 * 3 / 2, 128)."""
    noise = np.random.default_rng(5).integers(0, 256, (12, 16, 3), np.uint8)
    picture = cv2.resize(noise, (128, 96), interpolation=cv2.INTER_CUBIC)
    planar = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    luma, chroma = planar[:96], planar[96:].reshape(2, -1)
    return np.vstack([luma, np.stack(chroma, -1).reshape(48, 128)])


def test_counts_like_the_bgr_that_opencv_makes_of_it(tiny_model: Path, buffer: np.ndarray) -> None:
    counter = EdgeCounter(tiny_model, regions={"left": [(0, 0), (64, 0), (64, 96), (0, 96)]})
    expected = counter.count(cv2.cvtColor(buffer, cv2.COLOR_YUV2BGR_NV12))
    found = counter.count(NV12Frame.from_buffer(buffer))
    assert found.count == expected.count
    assert found.regions == expected.regions
    np.testing.assert_array_equal(found.points, expected.points)
    np.testing.assert_array_equal(found.density, expected.density)


@pytest.mark.parametrize("max_side", [None, 64])
def test_in_tiles_and_shrunk(tiny_model: Path, buffer: np.ndarray, max_side: int | None) -> None:
    luma = np.tile(buffer[:96], (22, 18))
    chroma = np.tile(buffer[96:], (22, 18))
    bgr = cv2.cvtColor(np.vstack([luma, chroma]), cv2.COLOR_YUV2BGR_NV12)
    counter = EdgeCounter(tiny_model, max_side=max_side)
    assert counter.count(NV12Frame(luma, chroma)).count == counter.count(bgr).count


def test_takes_rows_that_lie_apart_and_both_forms_of_chroma(buffer: np.ndarray) -> None:
    wide = np.pad(buffer, ((0, 0), (0, 32)))[:, :128]
    whole = check_host_frame(NV12Frame.from_buffer(wide))
    assert whole.size == (128, 96)
    assert np.shares_memory(whole.pixels, wide)
    pairs = check_host_frame(NV12Frame(buffer[:96], buffer[96:].reshape(48, 64, 2)))
    np.testing.assert_array_equal(pairs.chroma, whole.chroma)
    flipped = check_host_frame(NV12Frame(buffer[95::-1], buffer[96:]))
    assert flipped.pixels.strides == (128, 1)


class OnGpu:
    __cuda_array_interface__: ClassVar[dict[str, Any]] = {}


@pytest.mark.parametrize(
    ("luma", "chroma", "message"),
    [
        (np.zeros((4, 4), np.uint8), None, "expected chroma as a NumPy array, got NoneType"),
        (OnGpu(), np.zeros((2, 4), np.uint8), "expected luma as a NumPy array, got an array on a"),
        (np.zeros((4, 4)), np.zeros((2, 4), np.uint8), "got float64"),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), r"\(4, 4\) and uint8 \(4, 4\)"),
        (
            np.zeros((5, 4), np.uint8),
            np.zeros((2, 4), np.uint8),
            "even height and width, got 5 x 4",
        ),
        (
            np.zeros((4, 5), np.uint8),
            np.zeros((2, 5), np.uint8),
            "even height and width, got 4 x 5",
        ),
        (
            np.zeros((0, 4), np.uint8),
            np.zeros((0, 4), np.uint8),
            "even height and width, got 0 x 4",
        ),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((2, 4), np.uint8), "luma as uint8"),
    ],
)
def test_refuses_what_is_no_nv12(luma: Any, chroma: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_host_frame(NV12Frame(luma, chroma))


def test_counts_in_every_order_of_channels_like_bgr(tiny_model: Path) -> None:
    bgr = np.random.default_rng(7).integers(0, 256, (96, 128, 4), np.uint8)
    grey = bgr[:, :, 1]
    forms = [
        (bgr[:, :, :3], "BGR", bgr[:, :, :3]),
        (bgr[:, :, 2::-1], "rgb", bgr[:, :, :3]),
        (bgr, "bgra", bgr[:, :, :3]),
        (bgr[:, :, [2, 1, 0, 3]], "RGBx", bgr[:, :, :3]),
        (bgr[:, 20:90].astype(np.uint16) * 257, "bgrx", bgr[:, 20:90, :3]),
        (grey, "grey", grey),
        (grey[:, :, None], "gray", grey),
    ]
    for zoom in (0, 1):
        counter = EdgeCounter(tiny_model, zoom=zoom)
        for pixels, order, same in forms:
            found, expected = counter.count(PixelFrame(pixels, order)), counter.count(same)
            assert found.count == expected.count
            np.testing.assert_array_equal(found.density, expected.density)


def test_frames_of_other_orders_are_not_copied() -> None:
    rgba = np.zeros((6, 10, 4), np.uint8)
    for order, pixels in (("rgba", rgba[:, 2:8]), ("grey", rgba[:, :, 0]), ("rgb", rgba[..., :3])):
        checked = check_host_frame(PixelFrame(pixels, order))
        assert np.shares_memory(checked.pixels, rgba) == (order == "rgba")
        assert checked.pixels.strides[-1] == 1
        assert checked.format in ("rgbx", "grey", "rgb")


@pytest.mark.parametrize(
    ("pixels", "order", "message"),
    [
        (np.zeros((4, 4, 3), np.uint8), "rgba", r"\(height, width, 4\) for the order 'rgba', got"),
        (np.zeros((4, 4, 4), np.uint8), "rgb", r"of shape \(height, width, 3\).*\(4, 4, 4\)"),
        (np.zeros((4, 4, 3), np.uint8), "grey", r"of shape \(height, width\) for .*\(4, 4, 3\)"),
        (np.zeros((4,), np.uint8), "grey", r"of shape \(4,\)"),
        (np.array(1, np.uint8), "rgb", r"of shape \(height, width, 3\) .* got uint8 of shape \(\)"),
        (np.array(1, np.uint16), "grey", r"or uint16 .* got uint16 of shape \(\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), "rgb", r"\(height, width, 3\) .*\(2, 4, 4, 3\)"),
        (np.zeros((0, 4, 4), np.uint8), "bgrx", r"of shape \(0, 4, 4\)"),
        (np.zeros((4, 4, 4)), "bgrx", "got float64"),
        ([[1]], "grey", "expected pixels as a NumPy array, got list"),
        (OnGpu(), "rgba", "got an array on a GPU, and what counts it runs on the CPU"),
        (None, "nv12", "expected an order of bgr, rgb, .* got 'nv12'; video in NV12"),
        (None, 3, "expected an order of bgr, .* got 3"),
    ],
)
def test_refuses_other_pixels(pixels: Any, order: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_host_frame(PixelFrame(pixels, order))


def test_refuses_an_unknown_matrix_or_range() -> None:
    plane = np.zeros((4, 4), np.uint8)
    with pytest.raises(InputError, match='matrix "bt601" or "bt709", got \'bt2020\''):
        NV12Frame(plane, plane[:2], "bt2020")
    with pytest.raises(InputError, match="full_range as True or False, got 'limited'"):
        NV12Frame.from_buffer(plane[:3], full_range="limited")  # type: ignore[arg-type]


def test_refuses_a_buffer_of_another_form() -> None:
    for shape in [(100, 64), (96, 64, 3)]:
        with pytest.raises(InputError, match=r"expected shape \(H \* 3 / 2, W\)"):
            NV12Frame.from_buffer(np.zeros(shape, np.uint8))


def test_other_frames_stay_what_they_are() -> None:
    frame = np.zeros((6, 8, 3), np.uint8)
    picture = check_host_frame(frame)
    assert picture == CheckedFrame(frame)
    assert picture.pixels is frame
    assert picture.on_host
