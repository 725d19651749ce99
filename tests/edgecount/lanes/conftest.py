"""A counter with lanes, pictures for it, and a watch for lanes that are left."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from lanes_engine import Engine, lanes, picture

from edgecount import EdgeCounter


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def counter(tiny_model: Path, engine: Engine) -> Iterator[EdgeCounter]:
    with EdgeCounter(tiny_model, backend=engine) as one:
        yield one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures, of 0 to 7 people."""
    path = tmp_path / "photos"
    path.mkdir()
    for value in range(8):
        cv2.imwrite(str(path / f"{value}.png"), picture(value))
    return path


@pytest.fixture(autouse=True)
def _no_lane_is_left() -> Iterator[None]:
    yield
    gc.collect()
    assert not lanes()
