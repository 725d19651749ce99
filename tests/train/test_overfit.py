"""Every network learns: it overfits four windows of real streets."""

import csv

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
cv2 = pytest.importorskip("cv2")

from edgecount.train import loop  # noqa: E402
from edgecount.train.checkpoint import load_network  # noqa: E402
from edgecount.train.config import config_from_dict  # noqa: E402
from edgecount.train.data.readers import read_samples  # noqa: E402
from edgecount.train.engine import evaluate  # noqa: E402

SIDE = 96

CASES = {
    "edgecount-s": ({}, "edge", 1e-3, 400),
    "edgecount-n": ({}, "edge", 2e-3, 500),
    "mcnn": ({}, {"name": "density", "sigma": 4.0}, 1e-3, 400),
    "csrnet": ({}, {"name": "density", "sigma": 4.0}, 1e-4, 150),
    "hsrnet": ({}, {"name": "density", "sigma": 4.0, "scale_consistency": 1.0}, 1e-4, 150),
    "centernet": ({}, "centernet", 5e-4, 120),
    "cfanet": ({}, "cfanet", 1e-4, 150),
    "raznet": ({}, {"name": "raznet", "sigma": 4.0}, 1e-4, 150),
}


@pytest.fixture(scope="module")
def windows(tmp_path_factory, data_folder):
    """Four windows around the middle of a crowd, as images and a table of points."""
    folder = tmp_path_factory.mktemp("windows")
    samples = read_samples("shanghaitech", data_folder / "shanghaitech/part_B/train")
    with (folder / "points.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "x", "y"])
        for sample in samples[:80:20]:
            image = sample.image()
            centre = np.median(sample.points, axis=0)
            last = np.array(image.shape[1::-1]) - SIDE
            left, top = np.clip(centre - SIDE / 2, 0, last).astype(int)
            inside = sample.points - (left, top)
            inside = inside[((inside >= 0) & (inside < SIDE)).all(1)]
            assert len(inside) > 2
            name = f"{sample.name}.png"
            cv2.imwrite(str(folder / name), image[top : top + SIDE, left : left + SIDE])
            table.writerows([name, x, y] for x, y in inside.tolist())
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_network_overfits_four_windows(name, windows, tmp_path):
    options, objective, rate, steps = CASES[name]
    config = config_from_dict(
        {
            "model": {"name": name, **options},
            "objective": objective,
            "data_root": str(windows.parent),
            "data": [{"reader": "csv", "path": windows.name, "scale": [1.0, 1.0]}],
            "crop": SIDE,
            "batch_size": 4,
            "steps": steps,
            "optimiser": "adam",
            "learning_rate": rate,
            "weight_decay": 0.0,
            "warmup": 10,
            "ema": 0.9,
            "looks": {"probability": 0.0},
            "tensorboard": False,
            "report": False,
        }
    )
    network, _ = load_network(loop.train(config, tmp_path / name, device="cpu"))
    samples = read_samples("csv", windows)
    people = sum(len(sample.points) for sample in samples) / len(samples)
    assert evaluate(network, samples)["mae"] / people < 0.05
