"""Every network learns: it overfits four windows of real streets."""

import csv

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
cv2 = pytest.importorskip("cv2")
pytest.importorskip("scipy")

from scipy.spatial.distance import pdist  # noqa: E402

from edgecount.train import loop  # noqa: E402
from edgecount.train.checkpoint import load_network  # noqa: E402
from edgecount.train.config import config_from_dict  # noqa: E402
from edgecount.train.data.readers import read_samples  # noqa: E402
from edgecount.train.engine import evaluate  # noqa: E402

SIDE = 96
APART = 10.0  # px between heads: closer ones share the 3x3 cells in which a heatmap has one peak

CASES = {
    "edgecount-s": ({}, "edge", 1e-3, 400),
    "edgecount-n": ({}, "edge", 2e-3, 500),
    "mcnn": ({}, {"name": "density", "sigma": 4.0}, 1e-3, 1000),
    "csrnet": ({}, {"name": "density", "sigma": 4.0}, 5e-4, 300),
    "cannet": ({}, {"name": "density", "sigma": 4.0}, 5e-4, 300),
    "hsrnet": ({}, {"name": "density", "sigma": 4.0, "scale_consistency": 1.0}, 5e-4, 300),
    "centernet": ({}, "centernet", 5e-4, 250),
    "centernet-light": ({}, "centernet", 1e-3, 400),
    "cfanet": ({}, "cfanet", 5e-4, 200),
    "raznet": ({}, {"name": "raznet", "sigma": 4.0}, 5e-4, 300),
}


# A heatmap has one peak in 3x3 cells; a squared error of full-size maps sees crowds best.
CROWDED = ("csrnet", "hsrnet", "raznet")


@pytest.fixture(scope="module")
def make_windows(tmp_path_factory, data_folder):
    """Four windows around the middle of a crowd, as images and a table of points."""
    samples = read_samples("shanghaitech", data_folder / "shanghaitech/part_B/train")

    def make(crowded):
        folder = tmp_path_factory.mktemp("windows")
        rows = [["image", "x", "y"]]
        written = 0
        for sample in samples[:80:20] if crowded else samples:
            image = sample.image()
            centre = np.median(sample.points, axis=0)
            last = np.array(image.shape[1::-1]) - SIDE
            left, top = np.clip(centre - SIDE / 2, 0, last).astype(int)
            inside = sample.points - (left, top)
            inside = inside[((inside >= 0) & (inside < SIDE)).all(1)]
            if not crowded and (len(inside) < 4 or pdist(inside).min() < APART):
                continue
            name = f"{sample.name}.png"
            cv2.imwrite(str(folder / name), image[top : top + SIDE, left : left + SIDE])
            rows += [[name, x, y] for x, y in inside.tolist()]
            written += 1
            if written == 4:
                break
        with (folder / "points.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        return folder

    return make


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_network_overfits_four_windows(name, make_windows, tmp_path):
    windows = make_windows(name in CROWDED)
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
            "photometric": {"probability": 0.0},
            "tensorboard": False,
            "report": False,
        }
    )
    network, _ = load_network(loop.train(config, tmp_path / name, device="cpu"))
    samples = read_samples("csv", windows)
    people = sum(len(sample.points) for sample in samples) / len(samples)
    assert evaluate(network, samples)["mae"] / people < 0.05
