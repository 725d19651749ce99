"""The blocks of docs/testing.md do what they show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import edgecount.fake

PAGE = Path(__file__).resolve().parent.parent / "docs" / "testing.md"
TEXT = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_page_is_read() -> None:
    assert len(BLOCKS) == 2


@pytest.mark.parametrize("code", BLOCKS, ids=["script", "every picture"])
def test_blocks_run(code: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_table_has_every_step() -> None:
    rows = set(re.findall(r"^\| `(\w+)\(", TEXT, re.MULTILINE))
    assert rows == set(edgecount.fake.__all__) - {"FakeCamera", "HeadBackend", "Step"}
