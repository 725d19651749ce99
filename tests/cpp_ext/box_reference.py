"""Counting by boxes the slow and obvious way: every pair of boxes, one after the other."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

F = np.float32


def candidates(levels, image, threshold, size):
    """Return (score, level, row, column, anchor, box) of each box above the threshold, sorted."""
    found = []
    for level, (scores, boxes, stride) in enumerate(levels):
        if not np.isfinite(scores[image].astype(F)).all():
            raise ValueError(f"levels[{level}].scores")
        above = scores[image].astype(F) > F(threshold)
        for anchor, row, column in zip(*np.nonzero(above), strict=True):
            distances = boxes[image, 4 * anchor : 4 * anchor + 4, row, column].astype(F)
            with np.errstate(over="ignore", invalid="ignore"):
                x, y, step = F(column) + F(0.5), F(row) + F(0.5), F(stride)
                left, top = (x - distances[0]) * step, (y - distances[1]) * step
                right, bottom = (x + distances[2]) * step, (y + distances[3]) * step
            box = (left, top, right, bottom)
            score = scores[image, anchor, row, column].astype(F)
            found.append((score, level, row, column, anchor, box))
    bad = [level for _, level, *_, box in found if not np.isfinite(box).all()]
    if bad:
        raise ValueError(f"levels[{min(bad)}].boxes")
    found.sort(key=lambda item: (-item[0], *item[1:5]))
    limits = [F(side) for side in size or (np.inf, np.inf)] * 2
    return [item for item in found if has_area(np.clip(item[5], F(0), limits))]


def has_area(box):
    """Return whether a box is wider and higher than 0."""
    return box[2] > box[0] and box[3] > box[1]


def overlap(a, b, iou):
    """Return whether two boxes overlap by more than an IoU, in double."""
    a, b = [float(side) for side in a], [float(side) for side in b]
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return False
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    both = width * height
    return both > iou * (areas[0] + areas[1] - both)


def count_boxes(levels, masks=None, *, threshold=0.4, iou=0.5, capacity=0, size=None):
    """Return what `_ext.count_boxes` returns, or raise ValueError that names the map."""
    batch = levels[0][0].shape[0]
    results = SimpleNamespace(peaks=[], boxes=[], peak_count=[], overflow=[], region_count=[])
    for image in range(batch):
        kept = []
        for item in candidates(levels, image, threshold, size):
            if not any(overlap(item[5], other[5], iou) for other in kept):
                kept.append(item)
        boxes = np.array([item[5] for item in kept], F).reshape(-1, 4)
        wide = boxes.astype(np.float64)
        centres = ((wide[:, :2] + wide[:, 2:]) * 0.5).astype(F)
        scores = np.array([item[0] for item in kept], F)
        listed = len(kept) if capacity == 0 else min(capacity, len(kept))
        results.peaks.append(np.column_stack([centres, scores])[:listed].reshape(-1, 3))
        results.boxes.append(boxes[:listed])
        results.peak_count.append(len(kept))
        results.overflow.append(listed < len(kept))
        if masks is not None:
            rows, columns = masks.shape[1:]
            at = centres.astype(np.float64) / levels[0][2]
            column = np.clip(np.floor(at[:, 0]), 0, columns - 1).astype(int)
            row = np.clip(np.floor(at[:, 1]), 0, rows - 1).astype(int)
            results.region_count.append(masks[:, row, column].astype(np.float64).sum(1))
    return results
