"""The program of docs/analytics.md runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from edgecount.scenes import render_clip

PAGE = Path(__file__).resolve().parent.parent / "docs" / "analytics.md"
BLOCKS = re.findall(
    r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("analytics") / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (320, 240))
    for scene in render_clip(12, frames=8, fps=10, size=(320, 240), seed=3):
        writer.write(scene.image)
    writer.release()
    return path


def test_the_page_is_one_program(clip: Path) -> None:
    code = "\n".join(BLOCKS)
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(
        command, cwd=clip.parent, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    count, regions, view, crossed, stay, queue, density = done.stdout.splitlines()[:7]
    assert re.fullmatch(r"\d+\.\d in hall, \d+\.\d in stage", regions)
    assert re.fullmatch(r"entrance \d+ people", view)
    assert re.fullmatch(r"mean stay None s; longest \d\.\d+", stay)
    assert re.fullmatch(r"0 wait, 0\.0 px; None", queue)
    assert re.fullmatch(r"\d+ people, likely \d+ to \d+", count)
    assert re.fullmatch(r"\d+\.\d in, \d+\.\d out, \d+ there", crossed)
    assert re.fullmatch(r"0\.\d\d people per square metre, level of service A", density)
