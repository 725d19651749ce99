"""The check whether an engine works at all, after a frame at which it failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def engine_works(count: Callable[[Any], object]) -> bool:
    """Return whether a small blank frame can be counted.

    An engine that fails at one frame's size or content is no reason to leave out the others.

    Args:
        count: counts a frame, such as `EdgeCounter.count`.
    """
    try:
        count(np.zeros((64, 64, 3), np.uint8))
    except Exception:  # noqa: BLE001 (the first error is the one to tell)
        return False
    return True
