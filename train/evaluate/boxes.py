"""Head boxes of a detector's deployed levels: decoded, and suppressed where they overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgecount.manifest import OutputSpec, PostprocessSpec

Array = NDArray[np.float32]

# Where a detector's count is read at its best threshold. From low ones on: FCOS's scores are
# products, and a loss without alpha leaves rare heads below a half.
BOX_THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8)
NMS_IOU = PostprocessSpec().nms_iou


def find_boxes(
    maps: Mapping[str, Array],
    outputs: Sequence[OutputSpec],
    *,
    threshold: float = min(BOX_THRESHOLDS),
    iou: float = NMS_IOU,
) -> tuple[Array, Array]:
    """Return the boxes of one image that score above a threshold, the best of those that overlap.

    Whether a box is kept depends on better ones alone, so that those above a higher threshold are
    what a search with it would give.

    Args:
        maps: the outputs by name: scores (A, h, w) and boxes (4A, h, w), see
            :class:`edgecount.manifest.OutputSpec`; cut to the cells that the image covers.
        outputs: the network's, level by level.
        threshold: boxes score above it.
        iou: a box is dropped where a better one overlaps it by more.

    Returns:
        (N,) scores, descending, and (N, 4) left, top, right, bottom, px.
    """
    scores, boxes = [], []
    for output in outputs:
        if output.role != "scores":
            continue
        level = maps[output.name]
        distances = maps[f"boxes_{output.stride}"].reshape(len(level), 4, *level.shape[1:])
        row, column, anchor = np.nonzero(level.transpose(1, 2, 0) > np.float32(threshold))
        left, top, right, bottom = distances[anchor, :, row, column].T
        stride = np.float32(output.stride)
        x, y = (column + 0.5).astype(np.float32), (row + 0.5).astype(np.float32)
        sides = [(x - left) * stride, (y - top) * stride, (x + right) * stride]
        boxes.append(np.stack([*sides, (y + bottom) * stride], 1))
        scores.append(level[anchor, row, column])
    return _suppressed(np.concatenate(scores), np.concatenate(boxes), iou)


def _suppressed(scores: Array, boxes: Array, iou: float) -> tuple[Array, Array]:
    whole = (boxes[:, 2:] > boxes[:, :2]).all(1)
    order = np.argsort(-scores[whole], kind="stable")
    scores, boxes = scores[whole][order], boxes[whole][order]
    exact = boxes.astype(np.float64)
    areas = (exact[:, 2:] - exact[:, :2]).prod(1)
    left = np.ones(len(boxes), bool)
    kept = []
    for best in range(len(boxes)):
        if not left[best]:
            continue
        kept.append(best)
        start = np.maximum(exact[best, :2], exact[best + 1 :, :2])
        end = np.minimum(exact[best, 2:], exact[best + 1 :, 2:])
        shared = np.clip(end - start, 0.0, None).prod(1)
        left[best + 1 :] &= shared <= iou * (areas[best] + areas[best + 1 :] - shared)
    return scores[kept], boxes[kept]
