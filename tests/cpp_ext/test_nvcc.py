"""The machine code that nvcc makes of the kernels: no GPU is needed, only the compiler."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CPP = ROOT / "cpp_ext"
KERNELS = ("count_boxes", "preprocess", "count_maps")
SLOW_LAST = [*KERNELS[:2], pytest.param(KERNELS[2], marks=pytest.mark.slow)]  # half a minute
FLAGS = ["-std=c++17", "--fmad=false", f"-I{CPP / 'include'}", f"-I{CPP / 'src'}"]
# What ptxas says of each function that it compiles.
MEMORY = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
# Bytes a thread: the few peaks on plateaus are settled in functions that are called.
STACK = {"count_maps": 32}
ARITHMETIC = re.compile(r"\s(?:add|sub|mul|div|mad|fma|sqrt)\.[\w.]*f(?:32|64)\s")


@pytest.fixture(scope="module")
def nvcc() -> str:
    found = shutil.which("nvcc")
    if found is None:
        pytest.skip("nvcc is not installed")
    if not CPP.is_dir():
        pytest.skip("the C++ sources are not at hand")
    return found


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def assert_all_in_registers(kernel: str, said: str) -> None:
    found = MEMORY.findall(said)
    assert found
    assert max(int(stack) for stack, _, _ in found) <= STACK.get(kernel, 0), said
    assert {spilt for _, *both in found for spilt in both} == {"0"}, said


@pytest.mark.parametrize("kernel", SLOW_LAST)
def test_kernels_round_each_step_and_keep_all_in_registers(
    nvcc: str, kernel: str, tmp_path: Path
) -> None:
    ptx, machine_code = tmp_path / "kernel.ptx", tmp_path / "kernel.cubin"
    run(nvcc, *FLAGS, "--ptx", "-arch=compute_87", CPP / "cuda" / f"{kernel}.cu", "-o", ptx)
    steps = ARITHMETIC.findall(ptx.read_text())
    assert steps
    # Without .rn the next compiler may fuse a product and a sum, and the CPU's bits are lost.
    assert [step for step in steps if ".rn" not in step] == []
    beside = Path(nvcc).resolve().with_name("ptxas")
    ptxas = beside if beside.exists() else shutil.which("ptxas") or pytest.skip("no ptxas")
    assert_all_in_registers(kernel, run(ptxas, "-v", "-arch=sm_87", ptx, "-o", machine_code))


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_architecture_has_registers_enough(nvcc: str, kernel: str, tmp_path: Path) -> None:
    text = (CPP / "cmake" / "Architectures.cmake").read_text()
    listed = re.search(r"foreach\(architecture ([\d ]+)\)", text)
    assert listed is not None
    known = run(nvcc, "--list-gpu-arch").split()
    codes = [
        f"-gencode=arch=compute_{number},code=sm_{number}"
        for number in listed[1].split()
        if f"compute_{number}" in known
    ]
    source = CPP / "cuda" / f"{kernel}.cu"
    said = run(nvcc, *FLAGS, *codes, "-Xptxas=-v", "-c", source, "-o", tmp_path / "kernel.o")
    assert len(MEMORY.findall(said)) >= len(codes)
    assert_all_in_registers(kernel, said)
