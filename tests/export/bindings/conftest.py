"""TensorRT's real Python bindings, of several versions, without TensorRT.

The bindings are small wheels of their own. What they need of the libraries, which need a GPU, are
a few functions: an empty library gives them, and the classes, enumerations and docstrings are all
there. Each version is loaded in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser", "nvparsers")
MAJORS = (8, 10, 11)
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgecount-tests"


@pytest.fixture(scope="session")
def stub_libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small library under the names of all of TensorRT's."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for the stub libraries")
    folder = tmp_path_factory.mktemp("stubs")
    library = folder / "stub.so"
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(HERE / "stub.c")]
    subprocess.run(command, check=True)
    for name in LIBRARIES:
        for major in MAJORS:
            (folder / f"lib{name}.so.{major}").symlink_to(library)
    return folder


def fetch(requirement: str, into: Path) -> Path:
    """The unpacked wheel of a requirement, kept between runs; skips where there is none."""
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    folder = CACHE / f"{requirement}-{tag}"
    if folder.is_dir():
        return folder
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--retries=1", "--timeout=15", "--dest", str(into)]
    done = subprocess.run([*command, requirement], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"{requirement} cannot be fetched for {tag}: {reason}")
    (wheel,) = into.glob("*.whl")
    partial = into / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(partial)
    # As NVIDIA's own meta-package does it
    shim = "from tensorrt_bindings import *\nfrom tensorrt_bindings import __version__\n"
    (partial / "tensorrt.py").write_text(shim)
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        shutil.move(partial, folder)
    except OSError as error:
        if not folder.is_dir():  # else another run was faster
            pytest.skip(f"cannot write into {CACHE}: {error}")
    return folder


def environment_for(wheel: Path, stub_libraries: Path) -> dict[str, str]:
    """Environment variables of a process that imports the bindings of a wheel."""
    paths = [str(wheel), os.environ.get("PYTHONPATH", "")]
    found = os.pathsep.join(path for path in paths if path)
    return os.environ | {"PYTHONPATH": found, "LD_LIBRARY_PATH": str(stub_libraries)}


@pytest.fixture(scope="session")
def record_calls(
    stub_libraries: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], list[tuple[str, str, list[Any]]]]:
    """Run calls.py on a version of the bindings, given by its requirement."""

    def run(requirement: str) -> list[tuple[str, str, list[Any]]]:
        wheel = fetch(requirement, tmp_path_factory.mktemp("wheel"))
        command = [sys.executable, str(HERE / "calls.py"), str(stub_libraries / "stub.so")]
        done = subprocess.run(
            command,
            env=environment_for(wheel, stub_libraries),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [(name, function, given) for name, function, given in json.loads(done.stdout)]

    return run


@pytest.fixture(scope="session")
def ask(
    stub_libraries: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, list[str]], dict[str, Any]]:
    """Run surface.py on a version of the bindings: (requirement or "tensorrt-rtx", names)."""
    answers: dict[str, dict[str, Any]] = {}

    def run(requirement: str, names: list[str]) -> dict[str, Any]:
        if requirement in answers:
            return answers[requirement]
        environment, target = dict(os.environ), "tensorrt-rtx"
        if requirement != "tensorrt-rtx":
            target = "tensorrt"
            wheel = fetch(requirement, tmp_path_factory.mktemp("wheel"))
            environment = environment_for(wheel, stub_libraries)
        command = [sys.executable, str(HERE / "surface.py"), target]
        done = subprocess.run(
            command,
            input=json.dumps(names),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers[requirement] = json.loads(done.stdout)
        return answers[requirement]

    return run
