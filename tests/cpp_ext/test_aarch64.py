"""The kernels for Arm boards: cross-compiled, run under qemu, compared with this machine's bits.

On Debian and Ubuntu  apt install g++-aarch64-linux-gnu qemu-user  brings the tools; another
compiler can be named in AARCH64_CXX, such as "python -m ziglang c++ -target aarch64-linux-musl".
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "cpp_ext" / "src").glob("*.cpp"))
HERE = Path(__file__).parent
PLAIN = HERE / "sanitize" / "plain_kernels.cpp"
INSTALL = "apt install g++-aarch64-linux-gnu qemu-user"
# As in cpp_ext/cmake/KernelOptions.cmake.
FLAGS = ["-std=c++17", "-O3", "-Wall", "-Wextra", "-Wshadow", "-Werror"]
EXACT = "-ffp-contract=off"
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1", "-g"]
AVX2 = ["-mavx2", "-mbmi", "-mbmi2", "-mf16c", "-mpopcnt"]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    # The test's own Python may be preloaded with something that ASan dislikes; and leaks are looked
    # for by stopping threads, which qemu does not do.
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    environment["ASAN_OPTIONS"] = "detect_leaks=0"
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


class Machine(NamedTuple):
    """A compiler, and what its programs are run with."""

    compiler: list[str]
    runner: list[str]

    @property
    def x86(self) -> bool:
        return "x86" in run(*self.compiler, "-dumpmachine").stdout

    def compile(self, source: Path, output: Path, flags: Sequence[str]) -> Path:
        level = AVX2 if source.stem.endswith("_avx2") else []
        level += ["-DEDGECOUNT_HAS_AVX2"] if self.x86 else []
        folders = [f"-I{ROOT / 'cpp_ext' / name}" for name in ("include", "src")]
        built = run(*self.compiler, *FLAGS, *flags, *level, *folders, "-c", source, "-o", output)
        assert built.returncode == 0, built.stderr
        return output

    def build(self, folder: Path, *programs: Path, flags: Sequence[str] = (EXACT,)) -> Path:
        """Compile the kernels and a program; returns the program."""
        folder.mkdir()
        sources = [s for s in SOURCES if self.x86 or not s.stem.endswith("_avx2")]
        objects = [
            self.compile(source, folder / f"{source.stem}.o", flags)
            for source in [*sources, *programs]
        ]
        # Without libraries to load, qemu needs none for the other processor; ASan has to be loaded.
        link = [flag for flag in flags if "sanitize" in flag] or ["-static"]
        linked = run(*self.compiler, *link, *objects, "-o", folder / "program")
        assert linked.returncode == 0, linked.stderr
        return folder / "program"

    def output(self, program: Path) -> str:
        done = run(*self.runner, program)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def host():
    if platform.machine() in ("aarch64", "arm64"):
        pytest.skip("this machine is aarch64: the other tests run there")
    if not SOURCES:
        pytest.skip("the C++ sources are not at hand")
    found = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if not found:
        pytest.skip("no C++ compiler")
    return Machine([found], [])


@pytest.fixture(scope="module")
def arm(host):
    named = os.environ.get("AARCH64_CXX")
    compiler = shlex.split(named) if named else ["aarch64-linux-gnu-g++"]
    if not shutil.which(compiler[0]):
        pytest.skip(f"no {compiler[0]}: run  {INSTALL}")
    qemu = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if not qemu:
        pytest.skip(f"no qemu-aarch64: run  {INSTALL}")
    library = Path(run(*compiler, "-print-file-name=libc.so.6").stdout.strip())
    libraries = ["-L", str(library.resolve().parents[1])] if library.is_file() else []
    return Machine(compiler, [qemu, *libraries])


@pytest.fixture(scope="module")
def expected(host, tmp_path_factory):
    """Return the digest of this machine's own build."""
    folder = tmp_path_factory.mktemp("host") / "build"
    return host.output(host.build(folder, HERE / "aarch64" / "digest.cpp", PLAIN))


def test_counts_and_pixels_have_the_bits_of_this_machine(arm, expected, tmp_path):
    program = arm.build(tmp_path / "build", HERE / "aarch64" / "digest.cpp", PLAIN)
    assert len(expected.splitlines()) == 5
    assert arm.output(program) == expected


def test_the_digest_notices_one_rounding_less(arm, expected, tmp_path):
    """Fused multiply-adds, which Arm compilers make unless they are told not to."""
    fused = ["-ffp-contract=fast"]
    program = arm.build(tmp_path / "build", HERE / "aarch64" / "digest.cpp", PLAIN, flags=fused)
    assert arm.output(program) != expected


def test_the_kernels_stay_inside_their_buffers(arm, tmp_path):
    probe = tmp_path / "probe.cpp"
    probe.write_text("int main() {}")
    built = run(*arm.compiler, *SANITIZE, probe, "-o", tmp_path / "probe")
    if built.returncode or run(*arm.runner, tmp_path / "probe").returncode:
        pytest.skip("the cross compiler has no sanitizers")
    flags = [EXACT, *SANITIZE]
    program = arm.build(tmp_path / "build", HERE / "sanitize" / "main.cpp", PLAIN, flags=flags)
    assert arm.output(program).startswith("ok ")


def test_the_kernels_are_neon(arm, tmp_path):
    """The loops become vector instructions, by intrinsics or by the compiler."""
    source = ROOT / "cpp_ext" / "src" / "kernels_baseline.cpp"
    include = f"-I{ROOT / 'cpp_ext' / 'include'}"
    output = tmp_path / "kernels.s"
    built = run(*arm.compiler, *FLAGS[:2], EXACT, include, "-S", source, "-o", output)
    assert built.returncode == 0, built.stderr
    text = output.read_text()
    for instruction in (
        r"smax\s+v\d+\.8h",  # the largest key of a window
        r"cmeq\s+v\d+\.8h",  # which cells are it
        r"addp\s+v\d+\.16b",  # as bits
        r"fcvtl2?\s+v\d+\.4s",  # halves to floats
        r"fmul\s+v\d+\.4s",  # normalised pixels
        r"fadd\s+v\d+\.2d",  # sums of densities
    ):
        assert re.search(instruction, text), f"no {instruction} in the kernels"
