"""Models whose counts a report is made of, and what is written from them."""

import dataclasses
from types import SimpleNamespace

import cv2
import numpy as np

from edgecount import CountResult
from edgecount.runtime.pipeline.job import Outcome
from edgecount.train.data.sample import Sample
from edgecount.train.evaluate.evaluation import evaluate_counter
from edgecount.train.report import write_report

LOG = [
    {"step": 10, "density": 4.0, "heatmap": 0.2, "seconds_per_step": 0.5},
    {"step": 20, "density": 3.0, "heatmap": float("nan"), "seconds_per_step": 0.5},
    {"step": 20, "validation": "a/b <set>", "mae": 12.0, "rmse": 20.0},
]

# Of sets: signs of TeX, of matplotlib, no UTF-8, wide ones, and more than a file's name can have.
NAMES = ["a$x_{$b", "_hidden", "n\udcffm", "\u7fa4\u4f17 \U0001f600", "n" * 245, "\u7fa4" * 80]


class Counter:
    """One person at the centre of any image, by the maps asked for."""

    manifest = SimpleNamespace(name="one & only", training={}, output=lambda _: None)
    backend = SimpleNamespace(name="none")

    def __init__(self, *, density=True, points=True, interval=None):
        self.density, self.points, self.interval = density, points, interval

    def count(self, image):
        height, width = image.shape[:2]
        density = np.zeros((height // 8, width // 8), np.float32)
        density[height // 16, width // 16] = 1.0
        return CountResult(
            count=1.0,
            density_count=1.0 if self.density else None,
            peak_count=1 if self.points else None,
            points=np.array([[width / 2, height / 2, 0.9]], np.float32)[: int(self.points)],
            density=density if self.density else density[:0, :0],
            density_stride_xy=(8.0, 8.0) if self.density else (0.0, 0.0),
            regions={},
            overflow=False,
            size=(width, height),
            model="one",
            backend="none",
            interval=self.interval,
        )

    def count_each(self, images):
        return (Outcome(self.count(image())) for image in images)


class Detector(Counter):
    """Two boxes of 8 x 8 px in any image: one at its centre, one in a corner."""

    manifest = SimpleNamespace(
        name="boxes", training={}, output=lambda role: role == "boxes" or None
    )
    boxes = ((28, 28, 36, 36), (50, 4, 58, 12))

    def __init__(self):
        super().__init__(density=False)

    def count(self, image):
        boxes = np.array(self.boxes, np.float32)
        points = np.full((2, 3), 0.9, np.float32)
        points[:, :2] = (boxes[:, :2] + boxes[:, 2:]) / 2
        result = super().count(image)
        return dataclasses.replace(result, count=2.0, peak_count=2, points=points, boxes=boxes)


def annotated(folder, name, points):
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), np.full((64, 64, 3), 120, np.uint8))
    points = np.array(points, np.float32).reshape(-1, 2)
    return Sample(path, points, np.full(len(points), 6, np.float32))


def report(tmp_path, counter, sets, log=None):
    evaluations = {name: evaluate_counter(counter, samples) for name, samples in sets.items()}
    page = write_report(
        tmp_path / "out", evaluations, counter=counter, samples=sets, log=log, title="A <run>"
    )
    return page, page.read_text(encoding="utf-8")
