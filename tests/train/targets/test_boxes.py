"""Boxes guessed from presets and from neighbours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy")

from edgecount.errors import ConfigError
from edgecount.train.targets.boxes import boxes_from_neighbours, boxes_from_presets

# 10 x 20 around (0, 0), 40 x 50 around (30, 0), and one that is always too far
PRESETS = np.array([[-5, -10, 5, 10], [10, -25, 50, 25], [500, 500, 900, 900]], np.float32)


def test_sizes_are_interpolated_between_the_two_closest_presets():
    # 10 px from the first and 20 from the second: two thirds and one third
    boxes = boxes_from_presets(np.array([[10.0, 0.0]], np.float32), PRESETS)
    np.testing.assert_allclose(boxes, [[0.0, -15.0, 20.0, 15.0]], atol=1e-5)
    assert boxes.dtype == np.float32


def test_a_head_at_a_preset_has_its_size():
    boxes = boxes_from_presets(np.array([[0.0, 0.0], [30.0, 0.0]], np.float32), PRESETS)
    np.testing.assert_allclose(boxes, PRESETS[:2], atol=1e-5)


def test_a_head_halfway_has_the_mean_size():
    boxes = boxes_from_presets(np.array([[15.0, 40.0]], np.float32), PRESETS)
    np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], [[25.0, 35.0]], atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_sizes_stay_between_those_of_the_presets_and_centres_on_the_points(presets, seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 200, (12, 2)).astype(np.float32)
    corners = rng.uniform(0, 200, (presets, 2))
    given_ = np.concatenate([corners, corners + rng.uniform(2, 60, (presets, 2))], axis=1)
    boxes = boxes_from_presets(points, given_.astype(np.float32))
    np.testing.assert_allclose((boxes[:, :2] + boxes[:, 2:]) / 2, points, atol=1e-3)
    sides, known = boxes[:, 2:] - boxes[:, :2], given_[:, 2:] - given_[:, :2]
    assert (sides >= known.min(axis=0) - 1e-3).all()
    assert (sides <= known.max(axis=0) + 1e-3).all()


def test_one_preset_sizes_all_heads():
    points = np.array([[0.0, 0.0], [90.0, 7.0]], np.float32)
    boxes = boxes_from_presets(points, PRESETS[:1])
    assert (boxes[:, 2:] - boxes[:, :2]).tolist() == [[10.0, 20.0]] * 2


def test_two_presets_on_the_head_itself_weigh_the_same():
    presets = np.array([[-5, -5, 5, 5], [-10, -10, 10, 10]], np.float32)
    boxes = boxes_from_presets(np.zeros((1, 2), np.float32), presets)
    assert boxes.tolist() == [[-7.5, -7.5, 7.5, 7.5]]


def test_presets_are_needed_but_points_are_not():
    with pytest.raises(ConfigError, match="presets: expected"):
        boxes_from_presets(np.zeros((1, 2), np.float32), np.zeros((0, 4), np.float32))
    assert boxes_from_presets(np.zeros((0, 2), np.float32), PRESETS).shape == (0, 4)


def test_boxes_of_neighbours_are_squares_around_the_points():
    points = np.array([[0.0, 0.0], [20.0, 0.0]], np.float32)  # 0.6 x 20 px
    assert boxes_from_neighbours(points).tolist() == [[-6, -6, 6, 6], [14, -6, 26, 6]]
    assert boxes_from_neighbours(points[:1], largest=8.0).tolist() == [[-4, -4, 4, 4]]
    assert boxes_from_neighbours(points[:0]).shape == (0, 4)
