"""Compute capabilities, as users and TensorRT write them."""

from __future__ import annotations

import pytest

from edgecount.export.tensorrt.config import offered_capabilities, with_point
from edgecount.runtime.backends.tensorrt.library import load_tensorrt


def test_capabilities_that_rtx_offers():
    pytest.importorskip("tensorrt_rtx_bindings", exc_type=ImportError)
    trt = load_tensorrt("tensorrt-rtx")
    offered = offered_capabilities(trt)
    assert {"7.5", "8.6", "8.9", "12.0"} <= set(offered)
    assert offered["12.0"] == trt.ComputeCapability.SM120
    assert "NONE" not in str(offered)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("8.9", "8.9"), ("89", "8.9"), ("sm_89", "8.9"), ("SM120", "12.0"), ("12.1", "12.1")],
)
def test_capabilities_are_written_in_one_way(given, expected):
    assert with_point(given) == expected
