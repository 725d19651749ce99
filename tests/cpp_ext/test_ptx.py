"""The kernels as nvcc compiles them, run on the emulated GPU against the CPU's counts, bit for bit.

nvcc's PTX is translated to C++ (see ptx/): what it made of the sources is tested, and not only what
a C++ compiler makes of them. No GPU is needed, but nvcc.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from planted_box_bugs import BOX_BUGS
from planted_bugs import BUGS, plant, survivors
from ptx.build import CPP, PROGRAMS, Compiler, make_ptx

# Turing, Orin, Hopper and Thor.
ARCHITECTURES = (75, 87, 90, 110)
USUAL = 87
ROUNDS = {"maps": 150, "boxes": 200, "frames": 500}
PLANTED = {"maps": BUGS, "boxes": BOX_BUGS}


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


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_planted_bugs_are_found(compiler: Compiler, name: str, tmp_path: Path) -> None:
    sources = tmp_path / "cuda"
    plant(CPP / "cuda", sources, PLANTED[name])
    text = make_ptx(sources / PROGRAMS[name][0], USUAL, tmp_path / "planted.ptx")
    program = compiler.build.program(name, text, sources)
    assert min(launches_of(program, 150).values()) > 0
    # Races are ThreadSanitizer's to find, see test_emulated.py.
    missed = survivors(program, PLANTED[name], rounds=150, race=False)
    assert set(missed) <= {bug.name for bug in PLANTED[name] if bug.inside}
