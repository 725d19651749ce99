"""Which GPUs the code of a build is for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgecount import _ext
from edgecount.runtime.cuda import driver
from edgecount.runtime.cuda.build_check import fits_gpu, why_not_built_for
from edgecount.runtime.cuda.driver import Device, Driver, why_no_gpu

CHOICE = Path(__file__).parents[3] / "cpp_ext" / "cmake" / "Architectures.cmake"
ALL = "75-real 80-real 86-real 87-real 89-real 90-real 100-real 110-real 120-real 120-virtual"
NVCC = "".join(f"compute_{n}\n" for n in (75, 80, 86, 87, 88, 89, 90, 100, 103, 120))


@pytest.mark.parametrize(
    ("architectures", "fitting", "other"),
    [
        ("86-real", ["8.6", "8.9"], ["8.0", "8.7", "7.5", "9.0"]),
        ("87-real", ["8.7"], ["8.6", "8.9", "9.0", "11.0"]),
        ("87-virtual", ["8.7", "9.0", "12.0"], ["8.6"]),
        ("87", ["8.7", "8.9", "9.0"], ["8.6"]),
        ("90a-real", ["9.0"], ["8.9", "10.0"]),
        ("100f-virtual", ["10.0", "10.3"], ["11.0", "9.0"]),
        (ALL, ["7.5", "8.0", "8.7", "8.8", "9.0", "10.3", "12.1", "13.0"], ["7.0", "6.1"]),
        ("", ["6.1", "12.0"], []),
        ("some-word", ["6.1"], []),
    ],
)
def test_gpus_that_code_runs_on(architectures, fitting, other):
    assert [capability for capability in fitting if not fits_gpu(capability, architectures)] == []
    assert [capability for capability in other if fits_gpu(capability, architectures)] == []


def test_the_reason_names_both_sides_and_the_command():
    assert why_not_built_for("Orin", "8.7", "80-real 87-real") is None
    reason = why_not_built_for("Orin", "8.7", "75-real 89-real 89-virtual")
    assert reason is not None
    assert "capability 7.5, 8.9, and Orin has 8.7" in reason
    assert "CUDAARCHS=87 CMAKE_ARGS=-DEDGECOUNT_CUDA=ON pip install" in reason


def test_a_gpu_without_kernels_is_not_used(monkeypatch):
    gpu = Driver("13.0", [Device("RTX 4090", "8.9", 2**34, 128)])
    monkeypatch.setattr(driver, "ask_driver", lambda: gpu)
    monkeypatch.setattr(_ext, "cuda_built", True)
    monkeypatch.setattr(_ext, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(_ext, "cuda_architectures", "89-real")
    assert why_no_gpu() is None
    monkeypatch.setattr(_ext, "cuda_architectures", "90-real 90-virtual")
    assert "RTX 4090 has 8.9" in str(why_no_gpu())


def test_this_build_says_what_it_is_for():
    words = _ext.cuda_architectures.split()
    assert all(re.fullmatch(r"\d+[af]?(-real|-virtual)?", word) for word in words)
    assert _ext.cuda_built or not words


@pytest.fixture
def cmake(tmp_path):
    """Return a runner of a CMake script, which gives what it prints."""
    program = shutil.which("cmake", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("no cmake")

    def run(code):
        script = tmp_path / "script.cmake"
        script.write_text(code)
        command = [program, "-P", script]
        return subprocess.run(command, check=True, capture_output=True, text=True).stderr

    return run


@pytest.fixture
def chosen(cmake):
    """Return what CMake makes of the GPUs that it found, for the nvcc above."""

    def choose(native):
        told = cmake(
            f"include([[{CHOICE}]])\n"
            f"set(known [[{NVCC}]])\n"
            'edgecount_all_architectures("${known}" all)\n'
            f'edgecount_own_architectures("${{known}}" "{native}" own)\n'
            'message("all ${all}")\n'
            'message("own ${own}")\n'
        )
        return dict(line.split(" ", 1) for line in told.splitlines())

    return choose


def test_a_build_is_for_the_gpus_of_its_machine(chosen):
    assert chosen("86-real")["own"] == "86-real;86-virtual"
    assert chosen("86-real;89-real;86-real")["own"] == "86-real;89-real;89-virtual"


@pytest.mark.parametrize(
    "native", ["", "No CUDA Devices found.-real", "70-real", "86-real;70-real"]
)
def test_a_build_without_a_gpu_that_nvcc_knows_is_for_all(chosen, native):
    choice = chosen(native)
    assert choice["own"] == ""
    every = "75 80 86 87 89 90 100 120"
    assert choice["all"].split(";") == [*(f"{n}-real" for n in every.split()), "120-virtual"]


@pytest.mark.parametrize(
    ("trace", "found"),
    [
        (None, ""),
        ("dev/nvidiactl", "/dev/nvidiactl"),
        ("etc/nv_tegra_release", "/etc/nv_tegra_release"),
        ("usr/local/cuda/bin/nvcc", ""),  # a compiler is no GPU
    ],
)
def test_a_gpu_is_found_by_its_driver(cmake, tmp_path, trace, found):
    if trace is not None:
        (tmp_path / "root" / trace).parent.mkdir(parents=True)
        (tmp_path / "root" / trace).touch()
    told = cmake(
        f"include([[{CHOICE.with_name('Gpu.cmake')}]])\n"
        f"edgecount_find_gpu([[{tmp_path / 'root'}]] gpu)\n"
        'message("found ${gpu}")\n'
    )
    assert told == f"found {found}\n"
