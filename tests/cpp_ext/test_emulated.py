"""The counting kernels for GPUs on an emulated one, under sanitizers, against the CPU's."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from planted_bugs import BUGS, plant

ROOT = Path(__file__).parents[2]
EMULATION = Path(__file__).parent / "emulate"
CUDA = ROOT / "cpp_ext" / "cuda"
REFERENCE = [
    ROOT / "cpp_ext" / "src" / f"{name}.cpp"
    for name in (
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
        sources += [(s, sanitize) for s in [*DEVICE, EMULATION / "counts.cpp"]]
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

    def program(self, cuda: Path) -> Path:
        """Build the test with the kernels of a folder."""
        kernels = self.compile(cuda / "count_maps.cu", self.sanitize, cuda)
        output = self.folder / f"{cuda.name}-counts"
        linked = run(
            self.compiler, *self.sanitize, *self.objects, kernels, "-ldl", "-lpthread", "-o", output
        )
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
    folder = tmp_path_factory.mktemp("planted") / "planted"
    plant(CUDA, folder)
    return folder


def survivors(program: Path, bugs: list[int], rounds: int) -> list[str]:
    """Return the names of bugs with which the program does not fail."""

    def survives(number: int) -> bool:
        return run(program, str(rounds), environment={"PLANTED": str(number)}).returncode == 0

    with ThreadPoolExecutor(2) as pool:
        alive = list(pool.map(survives, bugs))
    return [BUGS[bug - 1].name for bug, lives in zip(bugs, alive, strict=True) if lives]


def test_the_gpu_counts_what_the_cpu_counts(memory_build):
    done = run(memory_build.program(CUDA), "150")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ok ")


def test_planted_bugs_are_found(memory_build, planted_sources):
    program = memory_build.program(planted_sources)
    done = run(program, "20")
    assert done.returncode == 0, f"without a bug: {done.stderr}"
    bugs = [number for number, bug in enumerate(BUGS, start=1) if not bug.race]
    assert survivors(program, bugs, rounds=150) == []


@pytest.mark.slow
def test_blocks_and_threads_do_not_race(thread_build):
    done = run(thread_build.program(CUDA), "60")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_planted_races_are_found(thread_build, planted_sources):
    bugs = [number for number, bug in enumerate(BUGS, start=1) if bug.race]
    assert survivors(thread_build.program(planted_sources), bugs, rounds=10) == []
