"""Kernels as options: each reaches the drawn map, and what makes no sense is refused."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from edgecount.errors import ConfigError
from edgecount.train.targets.density import density_map
from edgecount.train.targets.kernels import Kernels

HEIGHT, WIDTH = 60, 240
# Heads 90 px apart, and one 30 px from the last.
POINTS = np.array([[20, 30], [110, 30], [200, 30], [230, 30]], np.float32)


def test_the_defaults_are_those_of_hsrnet_with_limits():
    assert (Kernels().density(POINTS, HEIGHT, WIDTH) == density_map(POINTS, HEIGHT, WIDTH)).all()


def test_cfanets_spread_is_the_mean_distance_itself():
    # Two heads 12 px apart in a wide image: both spreads are 12 px.
    pair = np.array([[194.0, 30.0], [206.0, 30.0]], np.float32)
    drawn = Kernels(beta=1.0, max_sigma=0.0).density(pair, HEIGHT, 400)
    fixed = Kernels(sigma=12.0).density(pair, HEIGHT, 400)
    np.testing.assert_allclose(drawn, fixed, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("kernels", "sigma"),
    [
        (Kernels(beta=1.0, neighbours=1, max_sigma=0.0), 90.0),
        (Kernels(beta=1.0, neighbours=2, max_sigma=0.0), (90.0 + 180.0) / 2),
        (Kernels(beta=0.5, neighbours=3, max_sigma=0.0), (90.0 + 180.0 + 210.0) / 6),
        (Kernels(beta=1.0, neighbours=1), 25.0),
        (Kernels(beta=1.0, neighbours=1, max_sigma=40.0), 40.0),
        (Kernels(sigma=7.0), 7.0),
    ],
)
def test_the_first_head_has_the_spread_that_the_options_give(kernels, sigma):
    drawn = kernels.density(POINTS, HEIGHT, WIDTH)
    others = [
        Kernels(sigma=kernels.sigma or spread).density(POINTS[i : i + 1], HEIGHT, WIDTH)
        for i, spread in enumerate(_spreads(kernels))
    ]
    np.testing.assert_allclose(drawn, sum(others), atol=1e-6)
    assert (kernels.sigma or _spreads(kernels)[0]) == pytest.approx(sigma)


def _spreads(kernels):
    distances = np.abs(POINTS[:, None, 0] - POINTS[None, :, 0])
    nearest = np.sort(distances, axis=1)[:, 1 : kernels.neighbours + 1]
    return np.clip(kernels.beta * nearest.mean(1), 1, kernels.max_sigma or np.inf).tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": -1.0}, "sigma: expected 0 px or more, got -1"),
        ({"max_sigma": float("inf")}, "max_sigma: expected 0 px or more, got inf"),
        ({"beta": 0.0}, "beta: expected a number above 0, got 0"),
        ({"neighbours": 0}, "neighbours: expected 1 or more, got 0"),
    ],
)
def test_kernels_that_cannot_be_drawn(options, message):
    with pytest.raises(ConfigError, match=message):
        Kernels(**options)
