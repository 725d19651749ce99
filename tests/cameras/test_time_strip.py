"""The strip with time and number that test cameras put into their pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import time_strip


def strip(number: int, width: int, stamp: int) -> np.ndarray:
    luma = time_strip.luma_rows(number, width, stamp)
    return np.frombuffer(luma, np.uint8).reshape(2 * time_strip.HEIGHT, width)


@pytest.mark.parametrize("width", [320, 640, 1920])
def test_it_survives_a_poor_jpeg(width: int) -> None:
    for number, stamp in ((0, 0), (123456, 0xDEADBEEF), (2**24 - 1, 2**32 - 1)):
        data = cv2.imencode(".jpg", strip(number, width, stamp), [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
        grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        assert time_strip.read(lambda x, y: float(grey[y, x]), width) == (stamp, number)  # noqa: B023


def test_a_picture_without_it_is_told() -> None:
    assert time_strip.read(lambda _x, _y: 60.0, 640) is None


def test_ages() -> None:
    stamp = (time_strip.now_ms() - 1500) & 0xFFFFFFFF
    assert 1.5 <= time_strip.age_of(stamp) < 60
