"""Seeded random numbers and quiet, bounded Hypothesis runs for the kernel tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings

# No deadline: the first example pays for imports, and a loaded machine is no failure.
settings.register_profile("kernels", deadline=None, max_examples=100)
settings.load_profile("kernels")


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator that gives the same numbers on every run."""
    return np.random.default_rng(20260)
