"""The modules of `scripts/gpu` and `benchmarks/gpu`, and a run on a machine that has a GPU."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "scripts" / "gpu", ROOT / "benchmarks" / "gpu")
MODULES = ("machine", "run", "requirements", "suites", "steps", "goals", "report", "rows", "alone")


@pytest.fixture(scope="session")
def scripts() -> Iterator[Any]:
    """Import the modules, which lie beside the scripts and not in edgecount."""
    before = list(sys.path)
    sys.path[:0] = [str(folder) for folder in FOLDERS]
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    finally:
        sys.path[:] = before
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture
def without_gpu(scripts: Any) -> None:
    if not isinstance(scripts.machine.ask_gpu(), str):
        pytest.skip("there is a GPU")


@pytest.fixture
def machine(scripts: Any) -> Any:
    """Return this machine, with a GPU that it may not have."""
    found = scripts.machine.look_around(sys.executable, [])
    return found._replace(gpu=scripts.machine.GPU("NVIDIA Test GPU", "8.7", 2**33, "13.0"))


@pytest.fixture
def check(scripts: Any, machine: Any, tmp_path: Path) -> Any:
    return scripts.run.Check(machine, tmp_path, time.monotonic() + 100, build=False)
