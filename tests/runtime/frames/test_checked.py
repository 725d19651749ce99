"""NV12 frames: what is taken, what is refused, and that they count like their BGR."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from edgecount import EdgeCounter, InputError, NV12Frame
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
