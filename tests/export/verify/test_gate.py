"""Messages about files that are refused."""

import numpy as np
import pytest
from graphs import small_manifest

from edgecount import EdgeCounter, FakeBackend
from edgecount.export.verify.compare import Comparison, ImageComparison, NamedImage
from edgecount.export.verify.gate import advice, percentages, refusal


def proof_of(relative, gate):
    one = ImageComparison("a.png", 100.0, 100.0 * (1 + relative), None, None, 0, 0.0)
    picture = NamedImage("a.png", np.zeros((64, 64, 3), np.uint8))
    with EdgeCounter(small_manifest(), backend=FakeBackend()) as counter:
        result = counter.count(picture.pixels)
    return Comparison([one], gate, (picture, result, result))


@pytest.mark.parametrize(
    ("share", "gate", "expected"),
    [
        (0.0312, 0.03, ("3.12%", "3.00%")),
        (0.005004, 0.005, ("0.5004%", "0.5000%")),
        (0.000021, 0.0, ("0.002%", "0.000%")),
        (0.3, 0.00001, ("30.000%", "0.001%")),
        (float("nan"), 0.03, ("nan%", "3.00%")),
        (float("inf"), 0.03, ("inf%", "3.00%")),
    ],
)
def test_digits_that_show_the_difference(share, gate, expected):
    assert percentages(share, gate) == expected


def test_a_gate_of_nothing():
    said = refusal("model.fp16.onnx", "fp16", proof_of(2.1e-5, 0.0))
    assert "by 0.002% of the mean count (100.0 people), expected at most 0.000%" in said


def test_only_int8_is_about_calibration():
    assert advice("fp16") == "keep it all the same with `force`"
    for precision in ("int8", "int8+fp16"):
        assert "`calibration`" in advice(precision)
