"""Rendered sets stand in for GTA_Head: readers give their truth, presets nearly their boxes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from edgecount.scenes import render_clip
from edgecount.scenes.sequences import SetOptions, plan_sequences, write_set
from edgecount.train.data.boxes import with_boxes
from edgecount.train.data.readers import read_samples

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = SetOptions(train=2, test=1, frames=2, fps=5, people=25, size=(320, 240), seed=9)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("box_labels", ROOT / "benchmarks/box_labels.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("layout", ["mot", "csv"])
def test_readers_give_the_scenes_truth(tmp_path, layout):
    write_set(tmp_path, OPTIONS, layout)
    for part in ("train", "test"):
        samples = read_samples(layout, tmp_path / part)
        scenes = [
            scene
            for plan in plan_sequences(OPTIONS)
            if plan.part == part
            for scene in render_clip(
                plan.people,
                frames=OPTIONS.frames,
                fps=OPTIONS.fps,
                size=OPTIONS.size,
                seed=plan.seed,
                place=plan.place,
                light=plan.light,
            )
        ]
        assert [len(s.points) for s in samples] == [len(s.points) for s in scenes]
        for sample, scene in zip(samples, scenes, strict=True):
            np.testing.assert_allclose(sample.boxes, scene.boxes[np.argsort(scene.ids)], atol=0.011)
    if layout == "mot":  # the set's own folder is that of its training images, as GTA_Head's is
        names = [sample.name for sample in read_samples("gta_head", tmp_path)]
        assert names == [f"scene-0{n}_00000{frame}" for n in (1, 2) for frame in (1, 2)]


def test_frames_without_people_are_read(tmp_path):
    write_set(tmp_path, SetOptions(train=1, test=0, frames=2, people=0, size=(320, 240)), "mot")
    (one, two) = read_samples("mot", tmp_path / "train")
    assert len(one.points) == len(two.points) == 0


def test_presets_give_nearly_the_true_boxes(tmp_path, script):
    """Three presets do it, far better than the distance to the neighbours."""
    options = SetOptions(train=2, test=0, frames=2, people=120, size=(640, 480), seed=1)
    write_set(tmp_path, options, "mot")
    samples = read_samples("mot", tmp_path / "train")
    errors = {}
    for name, number in (("presets", 3), ("neighbours", 0)):
        overlaps, ratios = [], []
        for first, second in (samples[:2], samples[2:]):
            presets = {"*": script.choose_presets(first, number)} if number else None
            boxed = with_boxes([first, second], presets)
            for sample, other in zip((first, second), boxed, strict=True):
                overlap, ratio = script.compare(sample.boxes, other.boxes)
                overlaps.append(overlap.mean())
                ratios.append(np.abs(ratio - 1).mean())
        errors[name] = np.mean(overlaps), np.mean(ratios)
    assert errors["presets"][0] > 0.65
    assert errors["presets"][1] < 0.3
    assert errors["neighbours"][1] > 1.5 * errors["presets"][1]


def test_overlaps_and_sizes_by_hand(script):
    truth = np.array([[0, 0, 4, 4], [10, 10, 20, 20]], np.float32)
    boxes = np.array([[2, 0, 6, 4], [10, 10, 15, 30]], np.float32)
    overlap, ratio = script.compare(truth, boxes)
    assert overlap.tolist() == pytest.approx([8 / 24, 50 / 150])
    assert ratio.tolist() == pytest.approx([1.0, 1.0])
