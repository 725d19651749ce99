"""Registers and memory of the kernels, as ptxas tells them, and the table that they are held to.

Registers decide how many blocks a multiprocessor has room for. Run as a program, this writes the
table anew, with the nvcc of this machine: `python tests/cpp_ext/ptx/resources.py` (minutes).
"""

from __future__ import annotations

import csv
import re
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from ptx.build import CPP, HERE, NVCC_FLAGS, PROGRAMS, run
from ptx.translate import source_names

TABLE = HERE.parent / "kernel_resources.csv"
ENTRY = re.compile(r"Compiling entry function '(\S+)' for 'sm_(\d+)'")
MEMORY = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?, (\d+) bytes smem)?")


@dataclass(frozen=True, order=True)
class Resources:
    """What a kernel needs on one architecture.

    Attributes:
        architecture: such as 87.
        kernel: its name in the source.
        registers: of a thread.
        shared: bytes of a block.
        stack: bytes of a thread, outside its registers; 0 unless registers are spilt, arrays have
            an index that is known as it runs, or calls have too many arguments.
        spilled: bytes that its instructions write there and read back for want of registers, also
            in the functions that it calls.
    """

    architecture: int
    kernel: str
    registers: int
    shared: int
    stack: int
    spilled: int


def nvcc_version() -> str:
    """Return nvcc's version, such as 13.0."""
    found = re.search(r"release (\d+\.\d+)", run("nvcc", "--version"))
    if found is None:
        raise ValueError("expected nvcc --version to name a release, got none")
    return found[1]


def architectures() -> list[int]:
    """Return the architectures of CMake's list that this nvcc knows."""
    text = (CPP / "cmake" / "Architectures.cmake").read_text()
    listed = re.search(r"foreach\(architecture ([\d ]+)\)", text)
    if listed is None:
        raise ValueError("expected a list of architectures in Architectures.cmake, got none")
    known = run("nvcc", "--list-gpu-arch").split()
    return [int(number) for number in listed[1].split() if f"compute_{number}" in known]


def compile_for(source: Path, numbers: Iterable[int], output: Path) -> str:
    """Compile a .cu file to machine code, and return what ptxas says."""
    codes = [f"-gencode=arch=compute_{number},code=sm_{number}" for number in numbers]
    folders = [f"-I{CPP / name}" for name in ("include", "src")]
    flags = [flag for flag in NVCC_FLAGS if flag != "--ptx"]
    return run("nvcc", *flags, *folders, *codes, "-Xptxas=-v", "-c", source, "-o", output)


def resources_in(said: str) -> list[Resources]:
    """Return what ptxas says of each kernel, with the functions that it calls."""
    found: list[tuple[str, int, int, int, int, int]] = []
    parts = ENTRY.split(said)[1:]
    for name, architecture, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        used, memory = USED.search(text), MEMORY.findall(text)
        if used is None or not memory:
            raise ValueError(f"expected registers and memory of {name} from ptxas, got {text!r}")
        # Functions that are called spill to the stack of the kernel: their own may be empty.
        stack = sum(int(frame) for frame, _, _ in memory)
        spilled = sum(int(stores) + int(loads) for _, stores, loads in memory)
        found.append((name, int(architecture), int(used[1]), int(used[2] or 0), stack, spilled))
    names = source_names([name for name, *_ in found])
    return sorted(
        Resources(architecture, name.removeprefix("edgecount::cuda::"), *rest)
        for name, (_, architecture, *rest) in zip(names, found, strict=True)
    )


def read_table() -> tuple[str, list[Resources]]:
    """Return the version of nvcc that the table was made with, and its rows."""
    first, *lines = TABLE.read_text().splitlines()
    rows = [
        Resources(int(row[0]), row[1], *(int(number) for number in row[2:]))
        for row in csv.reader(lines[1:])
    ]
    return first.removeprefix("# nvcc "), rows


def write_table(rows: Iterable[Resources]) -> None:
    with TABLE.open("w", newline="") as file:
        file.write(f"# nvcc {nvcc_version()}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Resources))
        writer.writerows(astuple(row) for row in sorted(rows))


def main() -> None:
    rows: list[Resources] = []
    with tempfile.TemporaryDirectory() as folder:
        for kernels, _ in PROGRAMS.values():
            source = CPP / "cuda" / kernels
            rows += resources_in(compile_for(source, architectures(), Path(folder) / "kernels.o"))
    write_table(rows)


if __name__ == "__main__":
    main()
