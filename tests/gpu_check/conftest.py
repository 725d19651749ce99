"""The modules of `scripts/gpu_check`, and a run of it on a machine like this one with a GPU."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
MODULES = ("gpu_machine", "gpu_run", "gpu_tests", "gpu_steps", "gpu_goals", "gpu_report")


@pytest.fixture(scope="session")
def scripts() -> Any:
    """The script's modules; they lie beside it and not in the package."""
    before = list(sys.path)
    sys.path.insert(0, str(SCRIPTS))
    try:
        yield SimpleNamespace(**{name: __import__(name) for name in MODULES})
    finally:
        sys.path[:] = before
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture
def without_gpu(scripts: Any) -> None:
    if not isinstance(scripts.gpu_machine.ask_gpu(), str):
        pytest.skip("there is a GPU")


@pytest.fixture
def machine(scripts: Any) -> Any:
    """This one, with a GPU that it may not have."""
    found = scripts.gpu_machine.look_around(sys.executable, [])
    return found._replace(gpu=scripts.gpu_machine.GPU("NVIDIA Test GPU", "8.7", 2**33, "13.0"))


@pytest.fixture
def check(scripts: Any, machine: Any, tmp_path: Path) -> Any:
    return scripts.gpu_run.Check(machine, tmp_path, time.monotonic() + 100, build=False)
