"""The density that comes back with the counts: each cell in people, bit for bit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from gpu_maps import EMULATED, Case, assert_same, assert_same_density, count

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("fuse_cell", [0, 8, 5])
@pytest.mark.parametrize("unit", [1.0, 64.0, 0.125, 100.0, 2.0**-120])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_density_that_is_kept(fuse_cell: int, unit: float, dtype: type) -> None:
    # Heights and widths that leave rows, columns and parts of squares over, or fit vectors.
    sizes = [(9, 132), (70, 37), (64, 128), (21, 64)]
    for height, width in sizes if EMULATED else [*sizes, (270, 480), (271, 481), (1, 4), (8, 8)]:
        rng = np.random.default_rng(height)
        shape = (2, height, width)
        maps = {
            "heatmap": rng.random(shape).astype(dtype),
            "density": (rng.random(shape) - 0.3).astype(dtype),
        }
        maps["density"][0, : height // 2] *= 0
        # The smallest there are, which a division has to round, and zeros of either sign.
        maps["density"][1, -1] = np.finfo(dtype).smallest_subnormal * rng.integers(1, 99, width)
        options = {"unit": unit, "fuse_cell": fuse_cell, "fuse_low": 1.0, "fuse_high": 9.0}
        for listed, given in itertools.product((1, 6), (None, rng)):
            case = Case(maps, options, {"keep_density": True, "listed": listed})
            found, kept = count(case, given)
            assert_same(found, case.on_cpu(), f"({height} x {width})")
            assert_same_density(kept, case, f"({height} x {width})")


@pytest.mark.parametrize("fuse_cell", [0, 8])
def test_a_density_of_more_than_a_mebibyte(fuse_cell: int) -> None:
    rng = np.random.default_rng(3)
    case = Case({"density": rng.random((1, 300, 900)).astype(np.float16)}, {"fuse_cell": fuse_cell})
    case.more["keep_density"] = True
    found, kept = count(case, rng)
    assert_same(found, case.on_cpu())
    assert_same_density(kept, case)


@pytest.mark.parametrize("fuse_cell", [0, 8])
def test_peaks_over_a_density_without_cells(fuse_cell: int) -> None:
    """They count for the whole, and have no place in a region or a grid cell."""
    heatmap = np.zeros((2, 3, 5), np.float32)
    heatmap[:, 1, ::2] = 0.9
    maps = {"heatmap": heatmap, "density": np.zeros((2, 0, 1), np.float32)}
    maps["masks"] = np.ones((3, 0, 1), np.float32)
    case = Case(maps, {"fuse_cell": fuse_cell, "fuse_high": 1.0}, {"keep_density": True})
    found, _ = count(case, None)
    expected = case.on_cpu()
    assert expected.peak_count.tolist() == [3, 3]
    assert not expected.region_peaks.any()
    assert_same(found, expected)
