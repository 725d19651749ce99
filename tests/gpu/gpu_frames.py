"""Frames for a GPU, and results that are to be the same as on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount import _ext
from edgecount.result import CountResult

HALF = [(0, 0), (60, 0), (60, 96), (0, 96)]
CORNERS = [(16, 16), (80, 48), (40, 72)]


def assert_same(found: CountResult, expected: CountResult) -> None:
    assert found.count == expected.count
    assert found.density_count == expected.density_count
    assert found.peak_count == expected.peak_count
    assert found.regions == expected.regions
    assert found.overflow == expected.overflow
    assert found.size == expected.size
    assert found.density_stride_xy == expected.density_stride_xy
    np.testing.assert_array_equal(found.points, expected.points)
    np.testing.assert_array_equal(found.density, expected.density)
    assert (found.boxes is None) == (expected.boxes is None)
    if found.boxes is not None:
        np.testing.assert_array_equal(found.boxes, expected.boxes)  # type: ignore[arg-type]


def on_device(array: NDArray[Any]) -> _ext.DeviceArray:
    buffer = _ext.DeviceBuffer(array.nbytes).array(array.shape, "uint8")
    stream = _ext.Stream()
    stream.upload(buffer, np.ascontiguousarray(array))
    stream.synchronize()
    return buffer
