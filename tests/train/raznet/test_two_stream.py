"""Two-stream fusion on a grid, against hand-worked sums."""

import numpy as np
import pytest

pytest.importorskip("torch")

from edgecount.errors import ConfigError
from edgecount.train.raznet.two_stream import fuse_counts, observe_grid

NOBODY = np.zeros((0, 3), np.float32)


def test_sparse_cells_count_points_and_dense_ones_density():
    # 256 x 256 px, so that a cell of the grid is 64 x 64 px and 8 x 8 cells of the density
    density = np.zeros((32, 32), np.float32)
    density[:8, :8] = 40 / 64  # 40 people in the first cell
    density[:8, 8:16] = 1 / 64  # 1 in the second
    points = np.array([[10, 10], [70, 20], [80, 30], [200, 200]], np.float32)
    count = fuse_counts(density, points, (256, 256), low=4, high=12)
    assert count == pytest.approx(40 + 2 + 1)


def test_between_the_ends_the_blend_is_a_smoothstep_of_the_local_density():
    density = np.zeros((32, 32), np.float32)
    density[:8, :8] = 6 / 64
    points = np.array([[10, 10], [20, 20]], np.float32)
    weight = 3 * 0.25**2 - 2 * 0.25**3  # a quarter of the way from 4 to 12
    count = fuse_counts(density, points, (256, 256), low=4, high=12)
    assert count == pytest.approx(weight * 6 + (1 - weight) * 2)


def test_local_density_is_per_64_by_64_px_whatever_the_grid():
    density = np.full((64, 64), 6 / 64, np.float32)
    seen = observe_grid(density, NOBODY, (512, 512))
    np.testing.assert_allclose(seen.density, 24.0)
    np.testing.assert_allclose(seen.crowding, 6.0)


@pytest.mark.parametrize("size", [(100, 60), (257, 129), (7, 5), (640, 480)])
def test_nobody_is_lost_where_cells_do_not_meet_the_grid(size):
    width, height = size
    rng = np.random.default_rng(0)
    density = rng.random((-(-height // 8), -(-width // 8))).astype(np.float32)
    points = (rng.random((50, 2)) * size).astype(np.float32)
    points[0] = size  # on the far corner
    seen = observe_grid(density, points, size)
    assert seen.density.sum() == pytest.approx(density.sum(), rel=1e-6)
    (counts,) = seen.peaks.values()
    assert counts.sum() == 50


def test_a_density_cell_is_shared_by_the_area_on_each_side():
    # 12 px wide in a grid of 2: the first cell (0-8) lies with 6 of its 8 px in the left half,
    # and the second (8-16) inside the image only with 8-12, in the right half.
    density = np.array([[8.0, 3.0]], np.float32)
    seen = observe_grid(density, NOBODY, (12, 8), levels=1)
    np.testing.assert_allclose(seen.density, [[3.0, 2.5], [3.0, 2.5]])


def test_ends_in_the_wrong_order():
    with pytest.raises(ConfigError, match="low below high, got 3 and 3"):
        fuse_counts(np.zeros((4, 4), np.float32), NOBODY, (32, 32), low=3, high=3)
