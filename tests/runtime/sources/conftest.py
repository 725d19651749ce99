"""Clips as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clips import encode, picture


@pytest.fixture(scope="session")
def h264() -> bytes:
    """25 frames with B frames, a key frame every 6."""
    return encode("libx264", "mp4", [picture(i) for i in range(25)], options={"preset": "fast"})


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Return a writer of a file of this test."""

    def to_file(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return to_file
