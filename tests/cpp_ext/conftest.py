"""Seeded random numbers, nvcc's PTX, and quiet, bounded Hypothesis runs for the kernel tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from ptx.build import Compiler, missing_tool

# No deadline: the first example pays for imports, and a loaded machine is no failure.
settings.register_profile("kernels", deadline=None, max_examples=100)
settings.load_profile("kernels")


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator that gives the same numbers on every run."""
    return np.random.default_rng(20260)


@pytest.fixture(scope="session")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    """Return what makes PTX of the kernels, and programs that run it; it takes nvcc, but no GPU."""
    missing = missing_tool("nvcc", "g++", "c++filt")
    if missing:
        pytest.skip(missing)
    return Compiler(tmp_path_factory.mktemp("ptx"))
