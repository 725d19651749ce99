"""RAZ-Net's crosses and CFANet's attention maps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy")

from edgecount.errors import ConfigError
from edgecount.train.targets.attention import crowd_attention, density_levels, level_edges
from edgecount.train.targets.cross import cross_map
from edgecount.train.targets.density import density_map
from edgecount.train.targets.points import bin_points


def test_a_cross_is_five_pixels_and_less_at_a_border():
    points = np.array([[2.5, 1.5], [6.0, 4.0]], np.float32)  # the second on the far corner
    assert cross_map(points, 4, 6).tolist() == [
        [0, 0, 1, 0, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 0, 1, 0, 0, 1],
        [0, 0, 0, 0, 1, 1],
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_crosses_are_a_dilation_of_the_heads(number, seed):
    from scipy import ndimage

    points = np.random.default_rng(seed).uniform(0, 1, (number, 2)).astype(np.float32)
    points = np.round(points * 20) / 20 * np.float32([31, 17])
    heads = bin_points(points, 1, 17, 31) > 0
    kernel = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    drawn = cross_map(points, 17, 31)
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn, ndimage.binary_dilation(heads, kernel))


def test_crowd_is_where_the_density_reaches_the_threshold():
    density = np.array([[0.0, 9e-6, 1e-5, 0.3]], np.float32)
    assert crowd_attention(density).tolist() == [[0, 0, 1, 1]]
    assert crowd_attention(density, threshold=0.2).tolist() == [[0, 0, 0, 1]]


def test_levels_by_hand():
    density = np.array([[0.0, 1e-6, 0.05, 0.1], [0.15, 0.2, 0.3, 9.0]], np.float32)
    edges = np.array([0.1, 0.2, 0.3], np.float32)
    levels = density_levels(density, edges)
    assert levels.dtype == np.float32
    assert levels.tolist() == [[0, 0, 1, 2], [2, 3, 4, 4]]


@pytest.mark.parametrize("classes", [3, 6, 10])
def test_edges_share_the_crowd_equally_among_the_levels(classes):
    rng = np.random.default_rng(5)
    densities = [rng.exponential(0.01, (90, 70)).astype(np.float32) for _ in range(3)]
    for density in densities:
        density[:40] = 0.0
    edges = level_edges(iter(densities), classes)
    assert edges.shape == (classes - 2,)
    assert edges.dtype == np.float32
    assert (np.diff(edges) > 0).all()
    labels = np.concatenate([density_levels(d, edges)[40:].ravel() for d in densities])
    shares = np.bincount(labels.astype(int), minlength=classes)[1:] / (labels > 0).sum()
    np.testing.assert_allclose(shares, 1 / (classes - 1), atol=0.03)


def test_background_is_the_same_for_both_attention_maps():
    points = np.random.default_rng(2).uniform(0, 64, (9, 2)).astype(np.float32)
    density = density_map(points, 64, 64, sigma=3.0)
    levels = density_levels(density, level_edges([density]))
    np.testing.assert_array_equal(levels > 0, crowd_attention(density) == 1)
    assert set(np.unique(levels)) == {0, 1, 2, 3, 4, 5}


def test_edges_need_people_and_three_classes():
    with pytest.raises(ConfigError, match="no image of the training set"):
        level_edges([np.zeros((8, 8), np.float32)])
    with pytest.raises(ConfigError, match="no image of the training set"):
        level_edges([])
    with pytest.raises(ConfigError, match="3 or more, got 2"):
        level_edges([np.ones((8, 8), np.float32)], classes=2)
