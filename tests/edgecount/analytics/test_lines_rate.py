"""Warnings of frames that come too seldom for lines."""

import numpy as np
import pytest
from crossings import MIDDLE, SIZE, result_of

from edgecount.analytics import LineCounter


@pytest.mark.parametrize(
    ("fps", "jitter", "is_told"), [(2, 0, 1), (4, 0.1, 1), (5, 0, 0), (5, 0.4, 0), (25, 0.4, 0)]
)
def test_fewer_than_five_frames_a_second_are_told_once(caplog, fps, jitter, is_told):
    rng = np.random.default_rng(0)
    counter = LineCounter([MIDDLE], SIZE)
    for step in range(400):
        away = 30.0 if step > 200 else 0.0  # the camera breaks off once
        moment = (step + jitter * rng.uniform(-1, 1)) / fps + away + 1
        counter.update(moment, result_of(np.zeros((0, 2))))
    assert len(caplog.records) == is_told
    for record in caplog.records:
        text = record.getMessage()
        assert float(text.split()[1]) == pytest.approx(fps, abs=0.3)
        assert "frames a second are counted, and people who walk need 5: " in text


def test_a_camera_that_breaks_off_now_and_then_is_not_called_slow(caplog):
    counter = LineCounter([MIDDLE], SIZE)
    for step in range(60):
        away = 30.0 * ((step > 22) + (step > 27) + (step > 33))
        counter.update(step / 10 + away, result_of(np.zeros((0, 2))))
    assert caplog.messages == []


def test_a_rate_that_falls_later_is_told_as_well(caplog):
    counter = LineCounter([MIDDLE], SIZE)
    for moment in [*np.arange(0, 10, 0.1), *np.arange(10, 30, 0.5)]:
        counter.update(float(moment), result_of(np.zeros((0, 2))))
    assert [one.getMessage()[:28] for one in caplog.records] == ["lines: 2.0 frames a second a"]
