"""OpenCV that does not load, as in a slim container, is told of on every path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PATHS = {
    "count": "from edgecount.cli import main; main(['count', 'a.png'])",
    "count --save": "from edgecount.cli import main; main(['count', 'a.png', '--save', 'out'])",
    "demo": "from edgecount.cli import main; main(['demo', '--out', 'demo'])",
    "data": "from edgecount.cli import main; main(['data', 'check', '.', '--reader', 'csv'])",
    "eval": "from edgecount.cli import main; main(['eval', 'edgecount-n', '.', '--reader', 'csv'])",
    "drawing": "import edgecount; edgecount.draw_overlay",
    "scenes": "import edgecount.scenes",
    "a path": "from edgecount import *; EdgeCounter(backend=FakeBackend([])).count('a.png')",
}


@pytest.mark.parametrize("path", PATHS)
def test_every_path_says_what_to_install(tmp_path: Path, path: str) -> None:
    reason = "libGL.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "cv2.py").write_text(f"raise ImportError({reason!r})\n")
    (tmp_path / "a.png").write_bytes(b"x")
    done = subprocess.run(
        [sys.executable, "-c", PATHS[path]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert reason in last
    assert "apt install libgl1" in last
    assert "opencv-python-headless" in last
    if "main(" in PATHS[path]:
        assert len(done.stderr.splitlines()) == 1
