"""The check whether the compiled CUDA part has code for a GPU."""

from __future__ import annotations

import re

# Machine code of a board's GPU runs on that very kind, and theirs is the only one to run there:
# NVIDIA's promise of binary compatibility leaves Tegra out (CUDA C++ Programming Guide).
_TEGRA = (53, 62, 72, 87, 101, 110)


def fits_gpu(capability: str, architectures: str) -> bool:
    """Return whether kernels run on a GPU.

    Args:
        capability: compute capability of the GPU, such as "8.7".
        architectures: architectures that the kernels were compiled for, in CMake's words: "87-real"
            is machine code, "87-virtual" PTX, "87" both. A list that is empty or not understood
            fits.
    """
    gpu = int(capability.replace(".", ""))
    words = architectures.split()
    codes = [re.fullmatch(r"(\d+)([af]?)(-real|-virtual)?", word) for word in words]
    known = [(int(code[1]), code[2], code[3] != "-real") for code in codes if code]
    return len(known) < len(words) or not words or any(_runs(gpu, *code) for code in known)


def _runs(gpu: int, number: int, limit: str, ptx: bool) -> bool:
    """Return whether code for an architecture runs on a GPU.

    Args:
        gpu: ten times the compute capability of the GPU, such as 87.
        number: that of the architecture.
        limit: "a" if the code runs on GPUs of this very capability only, "f" if only on those of
            its major number; else empty.
        ptx: whether the driver can compile it for newer GPUs; machine code runs on those of the
            same major number.
    """
    if limit == "a":
        return gpu == number
    if gpu == number or (ptx and not limit):
        return gpu >= number
    board = gpu in _TEGRA or number in _TEGRA
    return gpu // 10 == number // 10 and gpu > number and not board


def why_not_built_for(name: str, capability: str, architectures: str) -> str | None:
    """Return why a GPU cannot run kernels (see `fits_gpu`), and what to do; None if it can."""
    if fits_gpu(capability, architectures):
        return None
    built = sorted({int(number) for number in re.findall(r"\d+", architectures)})
    capabilities = ", ".join(f"{number // 10}.{number % 10}" for number in built)
    number = capability.replace(".", "")
    return (
        f"this edgecount was built for GPUs of compute capability {capabilities}, and {name} has "
        f"{capability}: in its sources run  CUDAARCHS={number} CMAKE_ARGS=-DEDGECOUNT_CUDA=ON pip "
        "install --force-reinstall --no-deps .  (the toolkit must know this GPU: nvcc "
        "--list-gpu-arch)"
    )
