"""Distances of points from heads, by hand and against a slow search."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from edgecount.train.evaluate.localisation import localisation_metrics, pair_distances


def test_the_nearest_pair_is_the_first_and_nobody_is_paired_twice():
    points = np.array([[0.0, 0.0, 0.9], [3.0, 0.0, 0.8]])
    heads = np.array([[1.0, 0.0], [0.5, 0.0], [200.0, 0.0]])
    assert pair_distances(points, heads).tolist() == [0.5, 2.0]
    assert pair_distances(points, heads, 1.0).tolist() == [0.5]


def test_a_point_on_its_head_is_at_distance_0():
    heads = np.array([[5.0, 5.0], [90.0, 5.0]])
    assert pair_distances(heads, heads).tolist() == [0.0, 0.0]


def test_distances_against_a_slow_search():
    rng = np.random.default_rng(1)
    points, heads = rng.uniform(0, 50, (25, 2)), rng.uniform(0, 50, (20, 2))
    apart = np.hypot(*(heads[:, None] - points[None]).transpose(2, 0, 1))
    expected = []
    while len(expected) < 20:
        head, point = np.unravel_index(apart.argmin(), apart.shape)
        expected.append(apart[head, point])
        apart[head], apart[:, point] = np.inf, np.inf
    np.testing.assert_allclose(pair_distances(points, heads), expected)


def test_precision_and_recall_are_means_over_1_to_100_px():
    # one pair counts from 3 px on, one from 51 px on: 98 and 50 of the 100 thresholds
    found = localisation_metrics([np.array([2.5]), np.array([51.0])], found=4, true=5)
    assert found["precision"] == pytest.approx((98 + 50) / 4 / 100)
    assert found["recall"] == pytest.approx((98 + 50) / 5 / 100)
    assert found["error"] == 2.5  # the other is no error of place


def test_without_pairs_there_is_no_error_of_place():
    assert pair_distances(np.zeros((0, 3)), np.ones((2, 2))).tolist() == []
    assert localisation_metrics([], found=0, true=3) == {"precision": 0.0, "recall": 0.0}
