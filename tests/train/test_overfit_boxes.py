"""Every detector learns: it overfits four windows of real rooms, or of rendered crowds."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
cv2 = pytest.importorskip("cv2")
pytest.importorskip("scipy")

from edgecount.train import loop  # noqa: E402
from edgecount.train.checkpoint import load_network  # noqa: E402
from edgecount.train.config import config_from_dict  # noqa: E402
from edgecount.train.data.readers import read_samples  # noqa: E402
from edgecount.train.data.scenes import render_samples  # noqa: E402
from edgecount.train.engine import evaluate, predict  # noqa: E402
from edgecount.train.evaluate.boxes import find_boxes  # noqa: E402
from edgecount.train.evaluate.metrics import match_points  # noqa: E402
from edgecount.train.targets.boxes import boxes_around  # noqa: E402

SIDE = 96
LIGHT = {
    "backbone": "mobilenet_v2",
    "width": 0.5,
    "channels": 48,
    "depth": 2,
    "norm": "batch",
    "levels": [4, 8, 16, 32],
}
CASES = {
    "retinanet": (LIGHT | {"anchor_size": 3.0, "ratios": [1.0]}, {}, 250),
    "fcos": (LIGHT, {"classification": "L_f"}, 300),
    "foveabox": (LIGHT | {"base_size": 3.0}, {"target": "gaussian"}, 250),
    "yolov5": ({"size": "n", "anchors": "heads", "levels": [4, 8, 16, 32]}, {}, 350),
}


def candidates(folder):
    """Return images with heads: of SCUT-HEAD where it is, else rendered scenes."""
    real = Path(os.environ.get("EDGECOUNT_DATA", "")) / "scut_head"
    return read_samples("voc", real) if real.is_dir() else render_samples(folder, 16, 0)


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """Four windows around the middle of a crowd, as images and a table of boxes."""
    folder = tmp_path_factory.mktemp("boxes")
    rows = [["image", "x", "y", "w", "h"]]
    written = 0
    for sample in candidates(folder / "scenes"):
        image = sample.image()
        last = np.array(image.shape[1::-1]) - SIDE
        if (last < 0).any() or len(sample.points) < 4:
            continue
        corner = np.clip(np.median(sample.points, axis=0) - SIDE / 2, 0, last).astype(int)
        inside = ((sample.points >= corner) & (sample.points < corner + SIDE)).all(1)
        if not 4 <= inside.sum() <= 20 or not sample.sizes[inside].min() > 8:
            continue
        if sample.sizes[inside].max() > 48:
            continue
        left, top = corner
        name = f"{written}.png"
        cv2.imwrite(str(folder / name), image[top : top + SIDE, left : left + SIDE])
        boxes = sample.boxes
        if boxes is None:
            boxes = boxes_around(sample.points, sample.sizes[:, None])
        boxes = boxes[inside]
        points = sample.points[inside] - corner
        sides = boxes[:, 2:] - boxes[:, :2]
        rows += [[name, *row] for row in np.concatenate([points, sides], 1).tolist()]
        written += 1
        if written == 4:
            break
    assert written == 4
    with (folder / "boxes.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_detector_overfits_four_windows(name, windows, tmp_path):
    options, objective, steps = CASES[name]
    config = config_from_dict(
        {
            "model": {"name": name, **options},
            "objective": {"name": "detection", **objective},
            "data_root": str(windows.parent),
            "data": [{"reader": "csv", "path": windows.name, "scale": [1.0, 1.0]}],
            "crop": SIDE,
            "batch_size": 4,
            "steps": steps,
            "optimiser": "adam",
            "learning_rate": 1e-3,
            "weight_decay": 0.0,
            "warmup": 10,
            "ema": 0.9,
            "photometric": {"probability": 0.0},
            "tensorboard": False,
            "report": False,
        }
    )
    network, _ = load_network(loop.train(config, tmp_path / name, device="cpu"))
    samples = read_samples("csv", windows)
    people = sum(len(sample.points) for sample in samples)
    metrics = evaluate(network, samples)
    assert metrics["mae"] * len(samples) / people < 0.1
    matched = found = 0
    for sample in samples:
        maps = predict(network, sample.image())
        _, boxes = find_boxes(maps, network.outputs, (SIDE, SIDE), threshold=metrics["threshold"])
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        matched += match_points(centres, sample.points, sample.sizes / 4)
        found += len(boxes)
    # found where they are: within a quarter of the head's size
    assert 2 * matched / (found + people) > 0.9
