"""Head boxes of a detector's deployed levels, as the runtime finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgecount import _ext
from edgecount.manifest import OutputSpec, PostprocessSpec

Array = NDArray[np.float32]

# Where a detector's count is read at its best threshold. From low ones on: FCOS's scores are
# products, and focal losses leave rare heads below a half.
BOX_THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8)
NMS_IOU = PostprocessSpec().nms_iou


def find_boxes(
    maps: Mapping[str, Array],
    outputs: Sequence[OutputSpec],
    size: tuple[int, int],
    *,
    threshold: float = min(BOX_THRESHOLDS),
    iou: float = NMS_IOU,
    region: NDArray[np.bool_] | None = None,
) -> tuple[Array, Array]:
    """Return the boxes of one image that score above a threshold, the best of those that overlap.

    Whether a box is kept depends on better ones alone, so that those above a higher threshold are
    what a search with it would give.

    Args:
        maps: the outputs by name: scores (A, h, w) and boxes (4A, h, w), see
            :class:`edgecount.manifest.OutputSpec`; cut to the cells that the image covers.
        outputs: the network's, level by level.
        size: width and height of the image in px: coarse cells reach into the padding, where
            nobody is counted.
        threshold: boxes score above it.
        iou: a box is dropped where a better one overlaps it by more.
        region: (H, W) the annotated pixels, which a box's centre has to lie in; None: all.

    Returns:
        (N,) scores, descending, and (N, 4) left, top, right, bottom, px.
    """
    names = {(output.role, output.stride): output.name for output in outputs}
    levels = [
        (maps[name][None], maps[names["boxes", stride]][None], stride)
        for (role, stride), name in names.items()
        if role == "scores"
    ]
    found = _ext.count_boxes(levels, threshold=threshold, iou=iou, size=size)
    peaks, boxes = found.peaks[0], found.boxes[0]
    if region is not None:
        height, width = region.shape
        columns, rows = np.floor(peaks[:, :2]).astype(np.int64).T
        inside = region[rows.clip(0, height - 1), columns.clip(0, width - 1)]
        peaks, boxes = peaks[inside], boxes[inside]
    return peaks[:, 2], boxes
