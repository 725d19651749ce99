"""`scripts/make_venv.py`: what it installs when, and what it refuses."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_venv", ROOT / "scripts" / "make_venv.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pip(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Collect the arguments of each pip install, which is not run."""
    calls: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        calls.append(command[4:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(script.subprocess, "run", run)
    for name in ("EDGECOUNT_CUDA", "CUDACXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(script.shutil, "which", lambda _: None)
    monkeypatch.setattr(script, "check_build_tools", lambda python: None)
    return calls


def test_installs_once(script, pip, tmp_path):
    script.install(tmp_path, "cpu")
    script.install(tmp_path, "cpu")
    (call,) = pip
    assert call[-2:] == ["--editable", f"{ROOT}[cpu]"]
    assert "--constraint" in call


def test_a_second_extra_compiles_nothing(script, pip, tmp_path):
    script.install(tmp_path, "cpu")
    script.install(tmp_path, "dev")
    assert pip[1][-1] == "edgecount[dev]"
    script.install(tmp_path, "cpu")
    assert len(pip) == 2


def test_dev_brings_cpu(script, pip, tmp_path):
    script.install(tmp_path, "dev")
    script.install(tmp_path, "cpu")
    assert len(pip) == 1


def test_developers_build_the_cuda_part_where_there_is_nvcc(script, pip, tmp_path, monkeypatch):
    monkeypatch.setattr(script.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert (script.wanted_cuda("cpu"), script.wanted_cuda("dev")) == ("AUTO", "ON")
    script.install(tmp_path, "cpu")
    script.install(tmp_path, "dev")  # compiled again, with CUDA
    script.install(tmp_path, "cpu")
    assert [call[-1] for call in pip] == [f"{ROOT}[cpu]", f"{ROOT}[dev]"]
    monkeypatch.setenv("EDGECOUNT_CUDA", "OFF")
    assert script.wanted_cuda("dev") == "OFF"


def test_a_changed_source_is_built_again(script, pip, tmp_path, monkeypatch):
    script.install(tmp_path, "dev")
    monkeypatch.setattr(script, "fingerprint", lambda: "changed")
    script.install(tmp_path, "cpu")
    assert [call[-1] for call in pip] == [f"{ROOT}[dev]", f"{ROOT}[cpu]"]


def test_fingerprint_is_stable(script):
    assert script.fingerprint() == script.fingerprint()


def test_old_python_is_refused(script):
    with pytest.raises(SystemExit, match=r"Python 3\.10 or newer.*is 3\.8"):
        script.check_version("/usr/bin/python3", (3, 8))
    script.check_version("/usr/bin/python3", (3, 10))


def test_missing_compiler_is_said(script, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(SystemExit, match=r"no C\+\+ compiler"):
        script.check_build_tools(Path(sys.executable))


def test_another_version_is_refused_if_asked_for(script, tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho 3 99\n")
    python.chmod(0o755)
    script.make_environment(tmp_path, exact=False)
    with pytest.raises(SystemExit, match=r"has Python 3\.99"):
        script.make_environment(tmp_path, exact=True)


def test_ray_comes_on_top(script, pip, tmp_path):
    script.install(tmp_path, "dev")
    script.install(tmp_path, "ray")
    script.install(tmp_path, "dev")
    assert [call[-1] for call in pip] == [f"{ROOT}[dev]", "edgecount[ray]"]
