"""The comparison of counts on two processors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ARM = Path(__file__).resolve().parents[2] / "scripts" / "arm"


def write(path: Path, counts: dict[str, float], precision: str) -> Path:
    rows = [
        {
            "model": "edgecount-s",
            "backend": "openvino",
            "precision": precision,
            "picture": f"/somewhere/{picture}.png",
            "count": count,
            "heads": round(count),
        }
        for picture, count in counts.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("precision", "there", "code", "word"),
    [
        ("float32", {"empty": 0.001, "crowd": 133.86}, 0, "agrees"),
        ("float32", {"empty": 0.0, "crowd": 134.94}, 1, "differs"),
        ("float32", {"empty": 1.9, "crowd": 133.86}, 1, "differs"),
        ("float32", {"crowd": 133.86}, 1, "missing"),
        ("int8", {"empty": 0.1, "crowd": 134.94}, 0, "agrees"),
    ],
)
def test_comparison(
    precision: str, there: dict[str, float], code: int, word: str, tmp_path: Path
) -> None:
    host = write(tmp_path / "host.jsonl", {"empty": 0.0, "crowd": 133.86}, precision)
    arm = write(tmp_path / "arm.jsonl", there, precision)
    command = [sys.executable, str(ARM / "compare.py"), str(host), str(arm)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert word in done.stdout
    lines = done.stdout.splitlines()
    assert len({line.count("|") for line in lines}) == 1, lines
