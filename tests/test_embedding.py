"""The blocks of docs/embedding.md do what they show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

import edgecount
from edgecount.scenes import render_scene

PAGE = Path(__file__).resolve().parent.parent / "docs" / "embedding.md"
TEXT = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
NAMES = [
    *("backend", "many", "processes", "source", "cameras", "asyncio", "callbacks", "conversions"),
    *("drawing", "refine"),
]
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_page_has_an_example_of_each_seam() -> None:
    assert len(BLOCKS) == len(NAMES)


@pytest.mark.parametrize("code", BLOCKS, ids=NAMES)
def test_blocks_run(code: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    picture = render_scene(20, size=(640, 480), seed=1).image
    for name in ("street.jpg", "photos/one.jpg"):
        cv2.imwrite(str(tmp_path / name), picture)
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_table_names_what_is_public() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", TEXT, re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert names
    assert names <= set(edgecount.__all__)
