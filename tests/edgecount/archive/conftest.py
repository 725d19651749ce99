"""Archives of small pictures of white squares, which the tiny model counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecount import EdgeCounter


def picture(people: int, size: tuple[int, int] = (320, 64)) -> np.ndarray:
    frame = np.zeros((size[1], size[0], 3), np.uint8)
    for i in range(people):
        frame[16:24, 16 + 48 * i : 24 + 48 * i] = 255
    return frame


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder of pictures by their names, of so many people each."""

    def make(people: dict[str, int], folder: str = "photos") -> Path:
        for name, number in people.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = cv2.imencode(".png", picture(number))[1].tobytes()
            path.write_bytes(data)
        return tmp_path / folder

    return make


@pytest.fixture
def counter(tiny_model: Path):
    with EdgeCounter(tiny_model, threads=1) as one:
        yield one
