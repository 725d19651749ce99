"""Points on a grid, block sums, and sizes guessed from neighbours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy")

from edgecount.train.targets.points import bin_points, sizes_from_neighbours


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 80), st.sampled_from([1, 4, 8]), st.integers(0, 2**32 - 1))
def test_counts_of_all_cells_sum_to_the_points(number, stride, seed):
    points = np.random.default_rng(seed).uniform(0, 64, (number, 2)).astype(np.float32)
    counts = bin_points(points, stride, 64, 64)
    assert counts.dtype == np.float32
    assert counts.sum() == number


def test_a_point_on_the_far_edge_is_inside():
    edge = np.array([[64.0, 32.0]], np.float32)
    counts = bin_points(edge, 8, 32, 64)
    assert counts.shape == (4, 8)
    assert counts[3, 7] == 1


def test_two_points_of_one_cell_count_twice():
    counts = bin_points(np.array([[9.0, 1.0], [15.9, 7.9]], np.float32), 8, 16, 16)
    assert counts.tolist() == [[0, 2], [0, 0]]


def test_sizes_follow_the_neighbours_and_stay_in_range():
    line = np.stack([np.arange(10) * 20.0, np.zeros(10)], axis=1).astype(np.float32)
    sizes = sizes_from_neighbours(line)
    assert sizes.dtype == np.float32
    assert sizes[5] == pytest.approx(0.6 * (20 + 20 + 40) / 3)
    assert sizes_from_neighbours(line[:2]).tolist() == [12.0, 12.0]
    assert sizes_from_neighbours(line[:1]) == [40.0]
    assert len(sizes_from_neighbours(line[:0])) == 0
    assert sizes_from_neighbours(line / 100).min() == 6.0
    assert sizes_from_neighbours(line * 100, largest=30.0).max() == 30.0
