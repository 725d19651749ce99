"""Compute capabilities, as users and TensorRT write them."""

from __future__ import annotations

import pytest

from edgecount.errors import ConfigError
from edgecount.export.options import EngineOptions
from edgecount.export.tensorrt.config import check_gpu, offered_capabilities, with_point
from edgecount.runtime.backends.tensorrt.library import load_tensorrt
from edgecount.runtime.cuda.driver import Device


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


@pytest.mark.parametrize(
    ("option", "name", "capability"),
    [
        ("hardware_compatible", "Orin", "8.7"),
        ("hardware_compatible", "T4", "7.5"),
        ("same_capability", "Thor", "11.0"),
        ("same_capability", "V100", "7.0"),
    ],
)
def test_gpus_that_build_for_themselves_alone(option, name, capability):
    gpu = Device(name, capability, 2**33, 8)
    check_gpu(EngineOptions("tensorrt"), gpu)
    message = rf"{option}: .* or newer and no Jetson, got {name} of {capability}: leave it"
    with pytest.raises(ConfigError, match=message):
        check_gpu(EngineOptions("tensorrt", **{option: True}), gpu)


@pytest.mark.parametrize(
    ("option", "capabilities"),
    [
        ("hardware_compatible", ["8.0", "8.9", "9.0", "12.0"]),
        ("same_capability", ["7.5", "8.6", "12.0"]),
    ],
)
def test_gpus_that_build_for_others(option, capabilities):
    for capability in capabilities:
        options = EngineOptions("tensorrt", **{option: True})
        check_gpu(options, Device("a GPU", capability, 2**33, 8))
