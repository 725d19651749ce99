"""Density maps against numeric integration, and their spreads against all pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy")

from edgecount.errors import ConfigError
from edgecount.train.targets.density import adaptive_sigmas, density_map

HEIGHT, WIDTH = 45, 61

# corners, borders, and what rounding puts just outside
coordinate = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, -1e-6, 1 + 1e-6, 0.5]))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(coordinate, coordinate), max_size=30),
    st.sampled_from([1, 2, 8, 64]),
    st.sampled_from([None, 1e-4, 0.3, 2.0, 40.0]),
)
def test_the_sum_is_the_number_of_heads_wherever_they_are(shares, stride, sigma):
    points = np.array(shares, np.float32).reshape(-1, 2) * np.float32([WIDTH, HEIGHT])
    density = density_map(points, HEIGHT, WIDTH, sigma=sigma, stride=stride)
    assert density.shape == (-(-HEIGHT // stride), -(-WIDTH // stride))
    assert density.dtype == np.float32
    assert density.min() >= 0
    assert density.sum(dtype=np.float64) == pytest.approx(len(points), abs=1e-4)


def cell_integrals(centre, sigma, length, stride):
    """Adaptive quadrature of a bell over each cell of one axis."""
    from scipy.integrate import quad

    def bell(x):
        return np.exp(-((x - centre) ** 2) / (2 * sigma**2))

    starts = range(0, length, stride)
    return np.array([quad(bell, x, min(x + stride, length), epsabs=1e-12)[0] for x in starts])


@pytest.mark.parametrize("head", [(30.3, 20.8), (0.0, 45.0), (59.5, 3.25)])
@pytest.mark.parametrize(("sigma", "stride"), [(0.7, 1), (3.0, 1), (3.0, 4), (9.0, 8)])
def test_cells_are_integrals_of_the_gaussian_inside_the_image(head, sigma, stride):
    columns = cell_integrals(head[0], sigma, WIDTH, stride)
    rows = cell_integrals(head[1], sigma, HEIGHT, stride)
    expected = np.outer(rows, columns) / (rows.sum() * columns.sum())
    density = density_map(
        np.array([head], np.float32), HEIGHT, WIDTH, sigma=sigma, stride=stride, truncate=30.0
    )
    np.testing.assert_allclose(density, expected, atol=1e-6)


def test_a_coarse_map_is_the_fine_map_summed():
    points = np.random.default_rng(3).uniform(0, 45, (12, 2)).astype(np.float32)
    fine = density_map(points, HEIGHT, WIDTH, truncate=60.0)
    coarse = density_map(points, HEIGHT, WIDTH, truncate=60.0, stride=8)
    rows = np.add.reduceat(fine, range(0, HEIGHT, 8), axis=0)
    blocks = np.add.reduceat(rows, range(0, WIDTH, 8), axis=1)
    np.testing.assert_allclose(coarse, blocks, atol=1e-5)


def test_a_map_of_several_heads_is_the_sum_of_their_own_kernels():
    points = np.array([[5, 5], [15, 5], [40, 40], [5, 5]], np.float32)
    alone = [
        density_map(point[None], HEIGHT, WIDTH, sigma=float(sigma))
        for point, sigma in zip(points, adaptive_sigmas(points), strict=True)
    ]
    np.testing.assert_allclose(density_map(points, HEIGHT, WIDTH), sum(alone), atol=1e-6)


def test_kernels_end_with_the_cell_that_the_reach_lies_in():
    density = density_map(np.array([[30.5, 20.5]], np.float32), HEIGHT, WIDTH, sigma=2.0)
    rows, columns = np.nonzero(density)
    assert (columns.min(), columns.max()) == (24, 36)
    assert (rows.min(), rows.max()) == (14, 26)


def test_a_map_is_not_turned_or_mirrored():
    density = density_map(np.array([[50.5, 10.5]], np.float32), HEIGHT, WIDTH, sigma=1.0)
    assert np.unravel_index(density.argmax(), density.shape) == (10, 50)


@pytest.mark.parametrize("stride", [1, 8])
def test_a_narrow_kernel_just_outside_the_corner_falls_in_the_corner_cell(stride):
    outside = np.array([[WIDTH + 0.001, -0.001], [20.0, 20.0]], np.float32)
    density = density_map(outside, HEIGHT, WIDTH, sigma=1e-5, stride=stride)
    assert density[0, -1] == 1
    assert density.sum() == pytest.approx(2)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_a_spread_that_is_not_above_0_is_refused(sigma):
    with pytest.raises(ConfigError, match="above 0 px"):
        density_map(np.zeros((1, 2), np.float32), 8, 8, sigma=sigma)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(1, 6), st.booleans(), st.integers(0, 2**32 - 1))
def test_spreads_follow_the_distances_of_all_pairs(number, neighbours, twins, seed):
    points = np.random.default_rng(seed).uniform(0, 90, (number, 2)).astype(np.float32)
    if twins:
        points = np.concatenate([points, points])
    wide = points.astype(np.float64)
    distances = np.linalg.norm(wide[:, None] - wide[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.sort(distances, axis=1)[:, : min(neighbours, len(points) - 1)]
    expected = np.clip(0.3 * nearest.mean(axis=1), 1.0, 20.0)
    given_ = adaptive_sigmas(points, neighbours=neighbours, largest=20.0)
    assert given_.dtype == np.float32
    np.testing.assert_allclose(given_, expected, rtol=1e-5)


def test_a_lone_head_and_twins_have_the_stated_spreads():
    head = np.array([[20.0, 20.0]], np.float32)
    assert adaptive_sigmas(head).tolist() == [15.0]
    assert adaptive_sigmas(head, largest=6.0).tolist() == [6.0]
    assert adaptive_sigmas(np.repeat(head, 5, axis=0)).tolist() == [1.0] * 5
    assert adaptive_sigmas(head[:0]).shape == (0,)
    assert adaptive_sigmas(np.array([[0, 0], [30, 40]], np.float32)).tolist() == [15.0, 15.0]


def test_the_largest_spread_and_the_factor_reach_the_map():
    points = np.array([[10, 10], [40, 10]], np.float32)  # 30 px apart
    by_factor = density_map(points, HEIGHT, WIDTH, beta=0.1)
    by_limit = density_map(points, HEIGHT, WIDTH, largest=3.0)
    fixed = density_map(points, HEIGHT, WIDTH, sigma=3.0)
    np.testing.assert_allclose(by_factor, fixed, atol=1e-6)
    np.testing.assert_allclose(by_limit, fixed, atol=1e-6)
