"""Time the counting of a detector's boxes: threshold, decoding and suppression.

Frames of 1088 x 608 pixels with 3,000 heads of 8 to 60 px, each of which about ten cells see, and
frames without anybody. OpenCV's NMSBoxes is given the candidates that are decoded already, and all
of them: it does the suppression alone. The two take turns.

    python benchmarks/boxes.py [--rounds 20]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount import _ext

Level = tuple[NDArray[np.float32], NDArray[np.float32], int]

WIDTH, HEIGHT = 1088, 608
THRESHOLD, IOU = 0.4, 0.5


def empty_level(stride: int, anchors: int) -> Level:
    """Return the maps of a stride in which nobody is: low scores, boxes of two cells."""
    rows, columns = HEIGHT // stride, WIDTH // stride
    scores = np.full((1, anchors, rows, columns), 0.01, np.float32)
    return scores, np.ones((1, 4 * anchors, rows, columns), np.float32), stride


def crowd(heads: int, strides: tuple[int, ...], anchors: int) -> list[Level]:
    """Return the maps of a frame: cells in the middle half of a head see it, each a bit off."""
    rng = np.random.default_rng(7)
    levels = [empty_level(stride, anchors) for stride in strides]
    for x, y, side in zip(
        rng.uniform(0, WIDTH, heads), rng.uniform(0, HEIGHT, heads), rng.uniform(8, 60, heads),
        strict=True,
    ):  # fmt: skip
        for scores, boxes, stride in levels:
            if not stride <= side <= 8 * stride:
                continue
            reach = max(side / 4, 0.75 * stride)
            for row in range(*_cells(y, reach, stride, scores.shape[2])):
                for column in range(*_cells(x, reach, stride, scores.shape[3])):
                    at = np.array([column + 0.5, row + 0.5]) * stride
                    corners = np.array([at[0] - x, at[1] - y, x - at[0], y - at[1]]) + side / 2
                    for anchor in range(anchors):
                        off = rng.normal(0, 0.05 * side, 4)
                        scores[0, anchor, row, column] = rng.uniform(0.5, 0.95)
                        boxes[0, 4 * anchor : 4 * anchor + 4, row, column] = (
                            corners + off
                        ) / stride
    return levels


def _cells(middle: float, reach: float, stride: int, cells: int) -> tuple[int, int]:
    return max(int((middle - reach) / stride), 0), min(int((middle + reach) / stride) + 1, cells)


def by_edgecount(levels: list[Level]) -> _ext.MapCounts:
    """Return the heads by one call."""
    return _ext.count_boxes(levels, threshold=THRESHOLD, iou=IOU)


def decoded(levels: list[Level]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return all candidates, (N, 4) left, top, width and height, and their scores (N,)."""
    found = _ext.count_boxes(levels, threshold=THRESHOLD, iou=1.0)  # nothing is suppressed
    boxes = found.boxes[0].copy()
    boxes[:, 2:] -= boxes[:, :2]
    return boxes, found.peaks[0][:, 2].copy()


def milliseconds(call: Callable[[], object]) -> float:
    """Return the time of one call."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def measure(heads: int, strides: tuple[int, ...], anchors: int, rounds: int) -> str:
    """Return a row of the table."""
    levels = crowd(heads, strides, anchors)
    boxes, scores = decoded(levels)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(milliseconds(lambda: by_edgecount(levels)))
        if len(boxes):
            nms = lambda: cv2.dnn.NMSBoxes(boxes, scores, THRESHOLD, IOU)  # noqa: E731
            theirs.append(milliseconds(nms))
    kept = by_edgecount(levels).peak_count[0]
    opencv = f"{statistics.median(theirs):.1f}" if theirs else ""
    texts = (
        "/".join(map(str, strides)), anchors, f"{len(boxes):,}", f"{kept:,}",
        f"{statistics.median(ours):.3f}", f"{min(ours):.3f}", opencv,
    )  # fmt: skip
    return "| " + " | ".join(map(str, texts)) + " |"


def main() -> None:
    """Time all cases, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=20, help="turns of each library")
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    print("| strides | boxes of a cell | candidates | kept | median ms | least ms | OpenCV's NMS |")
    print("|---|---|---|---|---|---|---|")
    for strides, anchors in (((4, 8, 16, 32), 1), ((8, 16, 32, 64), 1), ((8, 16, 32), 3)):
        print(measure(3000, strides, anchors, rounds))
    print(measure(0, (8, 16, 32, 64, 128), 9, rounds))


if __name__ == "__main__":
    main()
