"""Compare boxes made from points and a few presets with the true boxes of sequences.

    edgecount scenes write scenes --people 200 --frames 8 --size 768x1024
    python benchmarks/box_labels.py scenes/train

FOLDER has sequences in MOTChallenge's layout, rendered or real (CroHD, GTA_Head). Of each sequence
the presets are heads of its first picture, as `edgecount data boxes --presets` takes them for all
pictures of a camera: at even heights from the farthest to the nearest, each as close to the middle
column as there is one. The columns are the mean IoU with the true boxes, the mean error of the
size (square root of the area), and that of all sizes together (above 0: too large).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecount.train.data.boxes import ALL, with_boxes
from edgecount.train.data.readers import Sample, read_samples

Array = NDArray[np.float32]
NUMBERS = (1, 2, 3, 4, 5, 8)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    sequences: dict[Path, list[Sample]] = {}
    for sample in read_samples("mot", folder):
        if len(sample.points):
            sequences.setdefault(sample.path.parent, []).append(sample)
    print("| presets a camera | IoU | size error | size bias |\n|---|---|---|---|")
    for number in NUMBERS:
        boxed = [_labelled(samples, number) for samples in sequences.values()]
        print(_row(str(number), list(sequences.values()), boxed))
    boxed = [with_boxes(samples) for samples in sequences.values()]
    print(_row("none: distance to the neighbours", list(sequences.values()), boxed))


def _labelled(samples: list[Sample], number: int) -> list[Sample]:
    return with_boxes(samples, {ALL: choose_presets(samples[0], number)})


def choose_presets(sample: Sample, number: int) -> Array:
    """Return the boxes of heads at even heights of the picture, near its middle column."""
    x, y = sample.points.T
    assert sample.boxes is not None
    middle = (x.min() + x.max()) / 2
    heights = np.linspace(y.min(), y.max(), number)
    if number < 3:
        heights = np.linspace(y.min(), y.max(), 2 * number + 1)[1::2]
    off = np.abs(y[None] - heights[:, None]) + 0.25 * np.abs(x - middle)[None]
    return np.asarray(sample.boxes[off.argmin(axis=1)], np.float32)


def compare(truth: Array, boxes: Array) -> tuple[Array, Array]:
    """Return the IoU of each pair of boxes (N,), and the ratio of their sizes (N,)."""
    overlap = np.minimum(truth[:, 2:], boxes[:, 2:]) - np.maximum(truth[:, :2], boxes[:, :2])
    both = overlap.clip(0).prod(1)
    areas = [(one[:, 2:] - one[:, :2]).prod(1) for one in (truth, boxes)]
    return both / (areas[0] + areas[1] - both), np.sqrt(areas[1] / areas[0])


def _row(name: str, truth: list[list[Sample]], boxed: list[list[Sample]]) -> str:
    found = []
    for sequence, labelled in zip(truth, boxed, strict=True):
        pairs = [
            compare(sample.boxes, other.boxes)
            for sample, other in zip(sequence, labelled, strict=True)
            if sample.boxes is not None and other.boxes is not None
        ]
        overlaps, ratios = (np.concatenate(part) for part in zip(*pairs, strict=True))
        found.append((overlaps.mean(), np.abs(ratios - 1).mean(), (ratios - 1).mean()))
    overlap, error, bias = np.mean(found, axis=0)
    return f"| {name} | {overlap:.2f} | {100 * error:.0f}% | {100 * bias:+.0f}% |"


if __name__ == "__main__":
    main()
