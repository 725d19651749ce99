"""`demo`: what it says, and what it writes."""

from __future__ import annotations

import json

import cv2
import pytest


@pytest.fixture
def short(monkeypatch):
    from edgecount.cli import demo

    monkeypatch.setattr(demo, "_CLIP_FRAMES", 3)


def test_writes_and_says(run, tmp_path, read_video, short):
    out = tmp_path / "out"
    result = run("demo", "--out", out, "--people", 12)
    assert result.exit_code == 0
    # The model of the tests takes 512 pixels, half of what the demo draws.
    told = [line for line in result.stderr.splitlines() if "are counted at 512 x" not in line]
    assert told == []
    names = sorted(path.name for path in out.iterdir())
    assert names == ["clip.overlay.mp4", "scene.overlay.png", "scene.png"]
    assert cv2.imread(str(out / "scene.overlay.png")).shape == (768, 1024, 3)
    assert read_video(out / "clip.overlay.mp4")[0] == 3
    assert "truth   12.0" in result.stdout
    assert str(out / "scene.overlay.png") in result.stdout


def test_json(run, tmp_path, short):
    result = run("demo", "--out", tmp_path, "--people", 12, "--json")
    facts = json.loads(result.stdout)
    assert facts["picture"]["truth"] == 12
    assert facts["clip"]["frames"] == 3


def test_same_seed_same_scene(run, tmp_path, short):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run("demo", "--out", tmp_path / name, "--people", 5, "--seed", seed)
    first, again, other = ((tmp_path / name / "scene.png").read_bytes() for name in "abc")
    assert first == again
    assert first != other


def test_empty_scene(run, tmp_path, short):
    result = run("demo", "--out", tmp_path, "--people", 0)
    assert result.exit_code == 0
    assert "%" not in result.stdout
