"""The kernels under AddressSanitizer and UndefinedBehaviorSanitizer, without Python."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "cpp_ext" / "src").glob("*.cpp"))
PROGRAM = sorted((Path(__file__).parent / "sanitize").glob("*.cpp"))
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
FLAGS = ["-std=c++17", "-O1", "-g", "-ffp-contract=off", *SANITIZE]
AVX2 = ["-mavx2", "-mbmi", "-mbmi2", "-mf16c", "-mpopcnt"]


def run(*command: str | Path, **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [str(part) for part in command], capture_output=True, text=True, check=False, **kwargs
    )


@pytest.fixture(scope="module")
def compiler(tmp_path_factory):
    found = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if not found:
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("probe")
    probe = folder / "probe.cpp"
    probe.write_text("int main() {}")
    if run(found, *SANITIZE, probe, "-o", folder / "probe").returncode:
        pytest.skip("the compiler has no sanitizers")
    return found


def test_the_kernels_stay_inside_their_buffers(compiler, tmp_path):
    if not SOURCES:
        pytest.skip("the C++ sources are not at hand")
    x86 = "x86" in run(compiler, "-dumpmachine").stdout
    defines = ["-DEDGECOUNT_HAS_AVX2"] if x86 else []

    def build(source: Path) -> Path:
        level = AVX2 if source.stem.endswith("_avx2") else []
        output = tmp_path / f"{source.stem}.o"
        folders = [f"-I{ROOT / 'cpp_ext' / name}" for name in ("include", "src")]
        built = run(compiler, *FLAGS, *level, *defines, *folders, "-c", source, "-o", output)
        assert built.returncode == 0, built.stderr
        return output

    sources = [s for s in SOURCES if x86 or not s.stem.endswith("_avx2")]
    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(build, [*sources, *PROGRAM]))
    program = tmp_path / "kernels"
    linked = run(compiler, *SANITIZE, *objects, "-o", program)
    assert linked.returncode == 0, linked.stderr
    # The test's own Python may be preloaded with something that ASan dislikes.
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    done = run(program, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ok ")
