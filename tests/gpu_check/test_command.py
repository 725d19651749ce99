"""`scripts/gpu_check` as a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "scripts" / "gpu_check"), *arguments]
    environment = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize(("arguments", "code"), [([], 1), (["--allow-none"], 0)])
def test_one_line_without_a_gpu(arguments: list[str], code: int, tmp_path: Path) -> None:
    done = run_check(*arguments, "--out", str(tmp_path))
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith("gpu_check: nothing to check: ")
    assert len(done.stdout.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--wheels", "no/such/folder"], "--wheels: expected a folder, got no/such/folder"),
        (["--limit", "0"], "--limit: expected a number of seconds above 0, got 0"),
        (["--only", "gpu,ncu"], "--only: expected some of imports, engine, gpu, "),
        (["--only", "gpu", "--only", ""], "initcheck, got nothing"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str) -> None:
    done = run_check(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_python_that_cannot_be_used() -> None:
    done = run_check("--python", sys.executable + "-of-another-kind")
    assert done.returncode == 1
    assert done.stderr.startswith("gpu_check: ")
    assert "Traceback" not in done.stderr
