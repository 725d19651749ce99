"""Targets sum to the count and mark the heads' cells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy")

from edgecount.train.targets import (
    bin_points,
    heatmap_sigma,
    make_targets,
    sizes_from_neighbours,
)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 80), st.integers(0, 2**32 - 1))
def test_counts_sum_to_the_points_and_offsets_lead_back_to_them(number, seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 64, (number, 2)).astype(np.float32)
    targets = make_targets(points, np.full(number, 12.0, np.float32), 64, 64)
    assert targets.counts.sum() == number
    assert targets.heatmap.max(initial=0) <= 1
    rows, columns = np.nonzero(targets.heads)
    assert (targets.heatmap[rows, columns] == 1).all()
    decoded = (np.stack([columns, rows]) + targets.offset[:, rows, columns]).T * 4
    nearest = np.abs(decoded[:, None] - points[None]).sum(-1).min(1, initial=np.inf)
    assert (nearest < 1e-3).all()


def test_a_point_on_the_far_edge_is_inside():
    edge = np.array([[64.0, 32.0]], np.float32)
    counts = bin_points(edge, 8, 32, 64)
    assert counts.shape == (4, 8)
    assert counts[3, 7] == 1


def test_gaussian_has_the_stated_spread():
    targets = make_targets(np.array([[34.0, 34.0]], np.float32), np.array([40.0]), 64, 64)
    sigma = heatmap_sigma(40.0) / 4
    assert targets.heatmap[8, 10] == pytest.approx(np.exp(-4 / (2 * sigma**2)), rel=1e-5)


def test_sizes_follow_the_neighbours_and_stay_in_range():
    line = np.stack([np.arange(10) * 20.0, np.zeros(10)], axis=1).astype(np.float32)
    sizes = sizes_from_neighbours(line)
    assert sizes[5] == pytest.approx(0.6 * (20 + 20 + 40) / 3)
    assert sizes_from_neighbours(line[:1]) == [40.0]
    assert len(sizes_from_neighbours(line[:0])) == 0
    assert sizes_from_neighbours(line / 100).min() == 6.0
