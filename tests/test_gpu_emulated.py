"""The tests of the CUDA part without a GPU: its sources built by a C++ compiler, and emulated."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

TESTS = Path(__file__).parent
EMULATION = TESTS / "cpp_ext" / "emulate"
# Their tests need no other library, so all of them have some that pass here.
FILES = {
    "test_count_boxes",
    "test_count_maps",
    "test_interop",
    "test_kept_density",
    "test_map_arguments",
    "test_objects",
    "test_preprocess",
    "test_streams",
}


def tool(name: str) -> str:
    """Find a program of this Python's environment or, if it has none, of the system's."""
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(name, path=folders)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str | Path, **options: object) -> None:
    done = subprocess.run(  # type: ignore[call-overload]
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout[-20_000:]


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the module, with every kernel and object of the CUDA part."""
    nanobind = pytest.importorskip("nanobind", reason="nanobind is not installed")
    if not (TESTS.parent / "cpp_ext").is_dir():
        pytest.skip("the C++ sources are not at hand")
    folder = tmp_path_factory.mktemp("emulated")
    run(
        *(tool("cmake"), "-S", TESTS.parent, "-B", folder, "-G", "Ninja"),
        f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-Dnanobind_DIR={nanobind.cmake_dir()}",
        *("-DEDGECOUNT_CUDA=EMULATED", f"-DEDGECOUNT_EMULATION={EMULATION}"),
    )
    run(tool("cmake"), "--build", folder)
    (built,) = (folder / "cpp_ext").glob("_ext.*")
    return built


def test_the_gpu_s_tests_pass(extension: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    # Run from here: beside the sources, Python would take those for the installed package.
    run(
        *(sys.executable, "-m", "pytest", "gpu", "-q", "-p", "no:cacheprovider"),
        f"--junitxml={report}",
        cwd=TESTS,
        env=os.environ | {"EDGECOUNT_EXT": str(extension)},
    )
    passed: Counter[str] = Counter()
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314
        if not list(case):
            passed[case.get("classname", "").rpartition(".")[2]] += 1
    assert set(passed) >= FILES
    assert min(passed[name] for name in FILES) >= 10
