"""Pictures for engines."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def noise() -> Callable[..., NDArray[np.uint8]]:
    """Return what makes a smooth picture, so that many cells differ."""

    def make(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        small = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), np.uint8)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)

    return make
