"""The kernels as nvcc compiles them, run on the emulated GPU against the CPU's counts, bit for bit.

nvcc's PTX is translated to C++ (see ptx/): what it made of the sources is tested, and not only what
a C++ compiler makes of them. No GPU is needed, but nvcc.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ptx.build import CPP, PROGRAMS, Build, make_ptx, missing_tool

# Turing, Orin, Hopper and Thor.
ARCHITECTURES = (75, 87, 90, 110)
USUAL = 87
ROUNDS = {"maps": 100, "boxes": 100, "frames": 200}


class Compiler:
    """PTX and programs, each made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.build = Build(folder)
        self._ptx: dict[tuple[str, int], str] = {}

    def ptx(self, program: str, architecture: int) -> str:
        key = program, architecture
        if key not in self._ptx:
            source = CPP / "cuda" / PROGRAMS[program][0]
            output = self.folder / f"{program}-{architecture}.ptx"
            self._ptx[key] = make_ptx(source, architecture, output)
        return self._ptx[key]

    def program(self, name: str, architecture: int) -> Path:
        return self.build.program(name, self.ptx(name, architecture))


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    missing = missing_tool("nvcc", "g++", "c++filt")
    if missing:
        pytest.skip(missing)
    return Compiler(tmp_path_factory.mktemp("ptx"))


def launches_of(program: Path, *arguments: int) -> dict[str, int]:
    """Return how often a program has launched each of its kernels, if it found no fault."""
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.splitlines()
    assert first.startswith("ok ")
    launched = (line.split(maxsplit=2)[1:] for line in others)
    return {name: int(number) for number, name in launched}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_nvcc_makes_counts_as_the_cpu_does(compiler: Compiler, name: str) -> None:
    launches = launches_of(compiler.program(name, USUAL), ROUNDS[name])
    assert min(launches.values()) > 0, launches


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_does_so_for_all_architectures(compiler: Compiler, name: str, architecture: int) -> None:
    # A program is shared by the architectures whose PTX is the same.
    program = compiler.program(name, architecture)
    for seed in (architecture, 1000 + architecture):
        launches = launches_of(program, 3 * ROUNDS[name], seed)
        assert min(launches.values()) > 0, launches
