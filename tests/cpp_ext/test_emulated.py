"""The counting kernels for GPUs on an emulated one, under sanitizers, against the CPU's.

Of two programs one counts maps, the other the boxes of detectors.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from planted_box_bugs import BOX_BUGS
from planted_bugs import BUGS, plant, survivors

ROOT = Path(__file__).parents[2]
EMULATION = Path(__file__).parent / "emulate"
CUDA = ROOT / "cpp_ext" / "cuda"
REFERENCE = [
    ROOT / "cpp_ext" / "src" / f"{name}.cpp"
    for name in (
        "box_candidates",
        "box_suppression",
        "count_boxes",
        "count_maps",
        "density",
        "fusion",
        "kernels",
        "kernels_baseline",
        "key_window",
        "peak_sums",
        "peaks",
        "prominence",
    )
]
# The sources of a program: its kernels and its test.
PROGRAMS = {"maps": ("count_maps.cu", "counts.cpp"), "boxes": ("count_boxes.cu", "boxes.cpp")}
PLANTED = {"maps": BUGS, "boxes": BOX_BUGS}
DEVICE = [CUDA / f"{name}.cpp" for name in ("context", "memory", "stream")]
MEMORY = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
THREADS = ["-fsanitize=thread"]
FLAGS = ["-std=c++20", "-O1", "-g1", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]


def run(
    *command: str | Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    # The test's own Python may be preloaded with something that the sanitizers dislike.
    inherited = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env=inherited | (environment or {}),
    )


class Build:
    """Objects and programs with one set of sanitizers."""

    def __init__(self, compiler: str, sanitize: list[str], folder: Path) -> None:
        self.compiler, self.sanitize, self.folder = compiler, sanitize, folder
        # The reference has a test of its own under sanitizers.
        sources = [(s, []) for s in REFERENCE]
        sources += [(s, sanitize) for s in DEVICE]
        with ThreadPoolExecutor(2) as pool:
            self.objects = list(pool.map(lambda source: self.compile(*source), sources))

    def compile(self, source: Path, sanitize: list[str], cuda: Path = CUDA) -> Path:
        # The emulation comes first: its headers stand for CUDA's.
        folders = [EMULATION, ROOT / "cpp_ext" / "include", ROOT / "cpp_ext" / "src", cuda]
        output = self.folder / f"{source.parent.name}-{source.name}.o"
        includes = [f"-I{folder}" for folder in folders]
        # Pragmas are for nvcc.
        flags = [*FLAGS, *sanitize, "-Wno-unknown-pragmas", *includes, "-x", "c++"]
        built = run(self.compiler, *flags, "-c", source, "-o", output)
        assert built.returncode == 0, built.stderr
        return output

    def program(self, name: str, cuda: Path = CUDA) -> Path:
        """Build a program with the kernels of a folder."""
        kernels, test = PROGRAMS[name]
        own = [
            self.compile(cuda / kernels, self.sanitize, cuda),
            self.compile(EMULATION / test, self.sanitize),
        ]
        output = self.folder / f"{cuda.name}-{name}"
        objects = [*self.objects, *own]
        linked = run(self.compiler, *self.sanitize, *objects, "-ldl", "-lpthread", "-o", output)
        assert linked.returncode == 0, linked.stderr
        return output


def find_compiler(sanitize: list[str], folder: Path) -> str:
    found = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")
    if not found:
        pytest.skip("no C++ compiler")
    if not CUDA.exists():
        pytest.skip("the CUDA sources are not at hand")
    probe = folder / "probe.cpp"
    probe.write_text("#include <source_location>\nint main() {}")
    if run(found, "-std=c++20", *sanitize, probe, "-o", folder / "probe").returncode:
        pytest.skip("the compiler has no C++20 or no sanitizers")
    if run(folder / "probe").returncode:
        pytest.skip("programs with sanitizers do not run here")
    return found


@pytest.fixture(scope="module")
def memory_build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory")
    return Build(find_compiler(MEMORY, folder), MEMORY, folder)


@pytest.fixture(scope="module")
def thread_build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("threads")
    return Build(find_compiler(THREADS, folder), THREADS, folder)


@pytest.fixture(scope="module")
def planted_sources(tmp_path_factory):
    """Return the folders of sources with bugs, by the programs that find them."""
    folder = tmp_path_factory.mktemp("planted")
    for name, bugs in PLANTED.items():
        plant(CUDA, folder / name, bugs)
    return folder


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_gpu_counts_what_the_cpu_counts(memory_build, name):
    done = run(memory_build.program(name), "150")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ok ")


@pytest.mark.parametrize("name", ["maps", pytest.param("boxes", marks=pytest.mark.slow)])
def test_planted_bugs_are_found(memory_build, planted_sources, name):
    program = memory_build.program(name, planted_sources / name)
    done = run(program, "20")
    assert done.returncode == 0, f"without a bug: {done.stderr}"
    assert survivors(program, PLANTED[name], rounds=150, race=False) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_blocks_and_threads_do_not_race(thread_build, name):
    done = run(thread_build.program(name), "60")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_planted_races_are_found(thread_build, planted_sources, name):
    program = thread_build.program(name, planted_sources / name)
    assert survivors(program, PLANTED[name], rounds=10, race=True) == []
