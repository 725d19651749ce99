"""A config that people wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from written import WRITTEN


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PASSWORD", "hunter2")
    path = tmp_path / "cameras.yaml"
    path.write_text(WRITTEN.replace(": |\n            The hall", ": The hall"))
    return path
