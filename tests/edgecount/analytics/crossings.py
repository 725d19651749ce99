"""Results whose heads are known, and a line across the middle of their frame."""

import numpy as np

from edgecount.analytics import Line
from edgecount.result import CountResult

SIZE = (640, 480)
MIDDLE = Line("door", (320, 0), (320, 480))  # downwards: to the left of the picture is in


def result_of(points, density=None, *, stride=8.0):
    """Return the result of a frame with these heads, (N, 2), and this density."""
    listed = np.column_stack([points, np.full(len(points), 0.9)]).astype(np.float32)
    grid = np.zeros((0, 0), np.float32) if density is None else density
    return CountResult(
        count=float(len(points)),
        density_count=float(grid.sum()),
        peak_count=len(points),
        points=listed.reshape(-1, 3),
        density=grid,
        density_stride_xy=(stride, stride) if grid.size else (0.0, 0.0),
        regions={},
        overflow=False,
        size=SIZE,
        model="tiny",
        backend="fake",
    )
