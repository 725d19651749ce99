"""Where a plan loads, by NVIDIA's rules, and what is said of one that does not."""

from __future__ import annotations

import platform
from dataclasses import replace

import pytest

from edgecount.runtime.cuda.driver import Device, Driver
from edgecount.runtime.models.portability import (
    OLDEST,
    builds_for_others,
    mismatches,
    open_ended,
    platform_of,
)
from edgecount.runtime.models.sidecar import EngineSidecar, InputShapes

ORIN = ("Orin", "8.7")


@pytest.fixture(autouse=True)
def x86(monkeypatch):
    """Run on a PC with Linux, whatever runs the tests."""
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


@pytest.fixture
def sidecar(make_manifest):
    """Return the sidecar of an engine that was built on an Orin, and runs on its like alone."""
    return EngineSidecar(
        manifest=make_manifest(),
        onnx_sha256="a" * 64,
        plan_sha256="b" * 64,
        precision="fp16",
        shapes=InputShapes.static((1, 3, 64, 64)),
        backend="tensorrt",
        version="10.3.0",
        compute_capabilities=("8.7",),
        created_by="0.2.0",
        device="Orin with 8 multiprocessors",
        driver="12.6",
        options={"version_compatible": False, "hardware_compatible": False},
        platform="jetson",
    )


@pytest.fixture
def hardware_compatible(sidecar):
    """Return the sidecar of an engine of a PC, for all GPUs from Ampere on."""
    return replace(
        sidecar,
        compute_capabilities=("8.0+",),
        device="RTX 3090 with 8 multiprocessors",
        options={"hardware_compatible": True},
        platform="linux-x86-64",
    )


@pytest.fixture
def rtx(sidecar):
    """Return the sidecar of a default engine of TensorRT for RTX, as those before platforms."""
    return replace(
        sidecar,
        backend="tensorrt-rtx",
        version="1.7.1",
        compute_capabilities=("8.0+",),
        device=None,
        driver=None,
        platform=None,
    )


def found(sidecar, version="10.3.0", gpu="Orin", capability="8.7", cuda="12.6"):
    """Return why an engine does not fit a machine; by default the Orin where it was built."""
    driver = Driver(cuda, [Device("T4", "7.5", 2**33, 40), Device(gpu, capability, 2**33, 8)])
    return mismatches(sidecar, version, driver, device=1)


def test_an_engine_fits_where_it_was_built(sidecar):
    assert found(sidecar) == []


@pytest.mark.parametrize(
    ("change", "both"),
    [
        ({"version": "10.13.3"}, ("built by 10.3.0", "here is 10.13.3")),
        ({"version": "10.3.0.1"}, ("built by 10.3.0", "here is 10.3.0.1")),
        ({"capability": "11.0", "gpu": "Thor"}, ("for 8.7 (Orin with", "11.0 (Thor with")),
        ({"gpu": "Orin NX"}, ("built on Orin", "here is Orin NX")),
        ({"cuda": "12.2"}, ("CUDA 12.6", "here is CUDA 12.2")),
    ],
)
def test_each_mismatch_names_both_sides(sidecar, change, both):
    (line,) = found(sidecar, **change)
    assert all(side in line for side in both)


def test_all_mismatches_are_reported(sidecar):
    assert len(found(sidecar, "8.6.2", "Quadro", "7.5", "11.4")) == 4


def test_a_newer_driver_is_no_mismatch(sidecar):
    assert found(sidecar, cuda="13.0") == []


@pytest.mark.parametrize(
    ("built", "loads", "refuses"),
    [
        ("8.6.1", ["8.6.1", "8.6.2", "10.0.0", "10.16.1.11"], ["8.6.0", "9.3.0", "11.4.1"]),
        ("9.3.0", ["9.3.0.1"], ["8.6.1", "10.0.0", "11.0.0"]),
        ("10.3.0", ["10.3.0.26", "10.13.3.9.post1", "11.4.0.106"], ["8.6.1", "10.2.0", "12.0.0"]),
        ("11.0.0", ["11.4.1"], ["10.16.1", "12.0.0"]),
    ],
)
def test_version_compatible_engines_load_where_nvidia_says(sidecar, built, loads, refuses):
    made = replace(sidecar, version=built, options={"version_compatible": True})
    assert {here: found(made, version=here) for here in loads} == {here: [] for here in loads}
    for here in refuses:
        (line,) = found(made, version=here)
        assert f"by {built} for newer versions of {built.partition('.')[0]}" in line
        assert line.endswith(f"here is {here}")


def test_the_versions_that_take_an_engine_are_named(sidecar):
    made = replace(sidecar, version="8.6.1", options={"version_compatible": True})
    (line,) = found(made, version="11.4.1")
    assert line == (
        "tensorrt version: the engine was built by 8.6.1 for newer versions of 8 and for 10, here "
        "is 11.4.1"
    )


def test_hardware_compatible_engines_load_from_ampere_on(hardware_compatible):
    for capability in ("8.0", "8.6", "8.9", "9.0", "10.0", "12.0"):
        assert found(hardware_compatible, gpu="another", capability=capability) == []
    (line,) = found(hardware_compatible, gpu="T4", capability="7.5")
    assert line == (
        "compute capability: the engine was built for 8.0+ and no Jetson (RTX 3090 with 8 "
        "multiprocessors), here is 7.5 (T4 with 8 multiprocessors)"
    )


@pytest.mark.parametrize(("gpu", "capability"), [ORIN, ("Thor", "11.0")])
def test_a_hardware_compatible_engine_of_a_pc_is_none_for_a_jetson(
    hardware_compatible, gpu, capability
):
    platform_line, gpu_line = found(hardware_compatible, gpu=gpu, capability=capability)
    assert platform_line == "platform: the engine was built on linux-x86-64, here is jetson"
    assert f"for 8.0+ and no Jetson (RTX 3090 with 8 multiprocessors), here is {capability}" in (
        gpu_line
    )
    older = replace(hardware_compatible, platform=None)
    assert len(found(older, gpu=gpu, capability=capability)) == 1


def test_a_board_keeps_what_it_built_itself(sidecar):
    made = replace(sidecar, compute_capabilities=("8.0+",), options={"hardware_compatible": True})
    assert found(made) == []
    assert len(found(made, gpu="Orin NX")) == 1


def test_a_plan_belongs_to_its_system_and_cpu(hardware_compatible, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    (line,) = found(hardware_compatible, gpu="GH200", capability="9.0")
    assert line == "platform: the engine was built on linux-x86-64, here is linux-aarch64"


@pytest.mark.parametrize(
    ("system", "machine", "capability", "expected"),
    [
        ("Linux", "x86_64", "8.9", "linux-x86-64"),
        ("Windows", "AMD64", "8.9", "windows-x86-64"),
        ("Linux", "aarch64", "9.0", "linux-aarch64"),
        ("Linux", "aarch64", "12.1", "linux-aarch64"),
        ("Linux", "aarch64", "8.7", "jetson"),
        ("Linux", "aarch64", "11.0", "jetson"),
    ],
)
def test_platforms(monkeypatch, system, machine, capability, expected):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert platform_of(Device("GPU", capability, 2**33, 8)) == expected


@pytest.mark.parametrize("written", [("8.0+",), ("8.0", "8.6", "8.9", "12.0", "12.1+")])
def test_a_default_engine_of_rtx_is_for_the_gpus_that_rtx_has_code_for(rtx, written):
    made = replace(rtx, compute_capabilities=written)
    here = {"version": "1.7.1", "gpu": "a GPU"}
    for capability in ("8.0", "8.6", "8.9", "12.0", "12.1", "13.0"):
        assert found(made, capability=capability, **here) == []
    for capability in ("7.5", "8.7", "9.0", "10.0", "10.3", "11.0"):
        (line,) = found(made, capability=capability, **here)
        assert "for 8.0, 8.6, 8.9, 12.0" in line
        assert f"here is {capability}" in line


def test_rtx_takes_engines_of_its_own_release_alone(rtx):
    (line,) = found(rtx, version="1.7.2", gpu="RTX 4090", capability="8.9")
    assert line == "tensorrt-rtx version: the engine was built by 1.7.1, here is 1.7.2"


def test_rtx_engines_run_on_each_gpu_they_were_built_for(rtx):
    made = replace(rtx, compute_capabilities=("8.6", "8.9"))
    here = {"version": "1.7.1", "gpu": "RTX 4090", "capability": "8.9"}
    assert found(made, **here) == []
    other = replace(made, device="RTX 5090 with 8 multiprocessors")
    assert found(other, **here) == []
    (line,) = found(replace(other, driver="13.0"), **here)
    assert "CUDA 13.0" in line
    (line,) = found(other, version="1.7.1", gpu="RTX 5090", capability="12.0")
    assert "for 8.6, 8.9 (RTX 5090 with 8 multiprocessors), here is 12.0 (RTX 5090 with" in line


def test_the_gpus_of_a_default_engine():
    offered = ["12.1", "7.5", "8.0", "8.6", "8.9", "12.0"]
    assert open_ended(offered) == ("8.0", "8.6", "8.9", "12.0", "12.1+")


def test_engines_for_one_capability_load_on_all_of_its_gpus(hardware_compatible):
    made = replace(
        hardware_compatible, compute_capabilities=("8.6",), options={"same_capability": True}
    )
    assert found(made, gpu="RTX 3060", capability="8.6") == []
    (line,) = found(made, gpu="RTX 4090", capability="8.9")
    assert "for 8.6 (RTX 3090 with 8 multiprocessors), here is 8.9" in line
    (line,) = found(replace(made, options={}), gpu="RTX 3060", capability="8.6")
    assert line.startswith("GPU: the engine was built on RTX 3090")


def test_which_gpus_build_for_others():
    gpus = ("7.0", "7.5", "8.0", "8.7", "8.9", "11.0", "12.0")
    built = {option: [gpu for gpu in gpus if builds_for_others(gpu, option)] for option in OLDEST}
    assert built == {
        "hardware_compatible": ["8.0", "8.9", "12.0"],
        "same_capability": ["7.5", "8.0", "8.9", "12.0"],
    }
