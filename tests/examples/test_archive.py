"""The examples of archives run: the scripts of schedulers, and the reader of tables."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parent.parent.parent / "examples" / "archive"
SHARDS = 16


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Make a folder with a space in its name, of 12 pictures and one that is none."""
    folder = tmp_path / "the photos"
    folder.mkdir()
    for i in range(12):
        assert cv2.imwrite(str(folder / f"{i}.png"), np.zeros((64, 64, 3), np.uint8))
    (folder / "bad.png").write_text("no picture")
    return folder


@pytest.fixture
def path(tiny_model: Path, tmp_path: Path) -> str:
    """Return a PATH by which `edgecount` is this one, with the tiny model."""
    program = tmp_path / "bin" / "edgecount"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m edgecount "$@" --model {tiny_model}\n'
    )
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


def run(command: list[Any], path: str, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        env=os.environ | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def summary(results: Path) -> str:
    command = [sys.executable, "-W", "error", FOLDER / "read_table.py", results]
    return run(command, os.environ["PATH"])


@pytest.mark.parametrize("name", ["slurm.sh", "parallel.sh"])
def test_scripts_have_no_mistakes_in_them(name: str) -> None:
    assert run(["bash", "-n", FOLDER / name], os.environ["PATH"]) == ""
    assert (FOLDER / name).stat().st_mode & 0o111


def test_slurm(photos: Path, path: str, tmp_path: Path) -> None:
    text = (FOLDER / "slurm.sh").read_text()
    assert f"--array=1-{SHARDS}\n" in text
    assert f"shards={SHARDS} " in text
    task = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_CPUS_PER_TASK": "2"}
    printed = run([FOLDER / "slurm.sh", photos, tmp_path / "out"], path, **task)
    assert printed.startswith(f"shard 3/{SHARDS}: ")


@pytest.mark.skipif(not shutil.which("parallel"), reason="GNU parallel is not installed")
def test_gnu_parallel(photos: Path, path: str, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    script = (FOLDER / "parallel.sh").read_text().replace("shards=16", "shards=2")
    (tmp_path / "parallel.sh").write_text(script)
    printed = run(["bash", tmp_path / "parallel.sh", photos, tmp_path / "out"], path)
    assert sorted(re.findall(r"shard (\d/2):", printed)) == ["1/2", "2/2"]
    assert summary(tmp_path / "out").startswith("12 images counted, 1 failed, mean 0.0\n")


def test_kubernetes(photos: Path, path: str, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((FOLDER / "job.yaml").read_text())
    spec = job["spec"]
    assert (job["kind"], spec["completionMode"]) == ("Job", "Indexed")
    assert spec["completions"] == SHARDS
    (container,) = spec["template"]["spec"]["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in spec["template"]["spec"]["volumes"]}
    *shell, command = container["command"]
    assert f'/{SHARDS}"' in command
    command = command.replace(mounts["photos"], f"'{photos}'")
    command = command.replace(mounts["results"], f"'{tmp_path / 'out'}'")
    printed = run([*shell, command], path, JOB_COMPLETION_INDEX=str(SHARDS - 1))
    assert printed.startswith(f"shard {SHARDS}/{SHARDS}: ")


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_reading_a_table(kind: str, photos: Path, path: str, tmp_path: Path) -> None:
    for name in ("pandas", "pyarrow"):
        pytest.importorskip(name)
    run(["edgecount", "count", photos, "--out", tmp_path / "out", "--format", kind], path)
    printed = summary(tmp_path / "out").splitlines()
    assert printed[0] == "12 images counted, 1 failed, mean 0.0"
    assert len(printed) == 7
    assert printed[-1] == "1 x SourceError"
