"""Squared errors of density maps, and Scale Consistency."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.losses.cells import density_mse  # noqa: E402
from edgecount.train.losses.scale_consistency import (  # noqa: E402
    ScaleConsistency,
    seen_at,
)


def test_density_mse_is_half_the_squared_distance_of_each_image():
    density = torch.tensor([[[[1.0, 2.0]]], [[[0.0, 0.0]]]])
    target = torch.tensor([[[[0.0, 4.0]]], [[[3.0, 0.0]]]])
    assert density_mse(density, target).item() == pytest.approx((5.0 / 2 + 9.0 / 2) / 2)


def test_density_mse_per_pixel_is_that_over_the_cells():
    rng = np.random.default_rng(0)
    density, target = rng.random((2, 3, 1, 8, 8))
    by_hand = np.square(density - target).sum() / (2 * 3 * 64)
    given = torch.from_numpy(density), torch.from_numpy(target)
    assert density_mse(*given, per="pixels").item() == pytest.approx(by_hand, rel=1e-12)
    assert density_mse(*given).item() == pytest.approx(64 * by_hand, rel=1e-12)


def test_scale_consistency_per_pixel_has_its_floor_per_pixel():
    rng = np.random.default_rng(1)
    target = torch.from_numpy(rng.random((2, 1, 16, 16)))
    maps = [torch.from_numpy(rng.random((2, 1, 16, 16))) for _ in range(5)]
    per_image, per_pixel = ScaleConsistency(), ScaleConsistency(per="pixels")
    assert per_pixel(maps, target).item() == pytest.approx(
        per_image(maps, target).item() / 256, rel=1e-6
    )


def test_density_mse_of_half_precision_does_not_overflow():
    density = torch.full((1, 1, 1, 2), 300.0, dtype=torch.float16)
    assert density_mse(density, torch.zeros(1, 1, 1, 2)).item() == 90000.0


def _bilinear(pooled, scale, height, width):
    """Half-pixel bilinear values of the windows' centres, the border held."""

    def weights(length, cells):
        matrix = np.zeros((length, cells))
        for i in range(length):
            at = min(max((i + 0.5) / scale - 0.5, 0.0), cells - 1.0)
            low = min(int(at), cells - 1)
            high = min(low + 1, cells - 1)
            matrix[i, low] += 1 - (at - low)
            matrix[i, high] += at - low
        return matrix

    rows, columns = pooled.shape
    return weights(height, rows) @ pooled @ weights(width, columns).T


@pytest.mark.parametrize("scale", [1, 2, 4, 8, 16])
@pytest.mark.parametrize(("height", "width"), [(32, 16), (19, 23), (5, 40)])
def test_the_target_at_a_scale_is_its_windows_means_between_their_centres(scale, height, width):
    density = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(0)).double()
    values = density[0, 0].numpy()
    rows, columns = -(-height // scale), -(-width // scale)
    pooled = np.array(
        [
            [
                values[i * scale : (i + 1) * scale, j * scale : (j + 1) * scale].mean()
                for j in range(columns)
            ]
            for i in range(rows)
        ]
    )
    expected = _bilinear(pooled, scale, height, width)
    np.testing.assert_allclose(seen_at(density, scale)[0, 0].numpy(), expected, atol=1e-12)


def test_scale_consistency_adds_up_each_map_against_its_scale():
    generator = torch.Generator().manual_seed(2)
    target = torch.rand(2, 1, 20, 12, generator=generator)
    maps = [torch.rand(2, 1, 20, 12, generator=generator) for _ in range(5)]
    loss = ScaleConsistency()
    with torch.no_grad():
        loss.log_variances.copy_(torch.tensor([0.0, 1.0, -1.0, 0.5, 2.0]))
    expected = sum(
        math.exp(-s) * (density_mse(m, seen_at(target, 2**i)).item() + loss.floor) + s
        for i, (m, s) in enumerate(zip(maps, [0.0, 1.0, -1.0, 0.5, 2.0], strict=True))
    )
    assert loss(maps, target).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("error", [0.0, 0.3, 50.0])
def test_a_learned_weight_settles_at_the_inverse_of_its_loss(error):
    loss = ScaleConsistency(levels=1)
    side = math.sqrt(2 * error / 16)
    maps, target = [torch.full((1, 1, 4, 4), side)], torch.zeros(1, 1, 4, 4)
    optimiser = torch.optim.Adam(loss.parameters(), lr=0.2)
    for _ in range(400):
        optimiser.zero_grad()
        loss(maps, target).backward()
        optimiser.step()
    weight = torch.exp(-loss.log_variances).item()
    assert weight == pytest.approx(1 / (error + 0.01), rel=0.02)


def test_any_number_of_levels_is_taken_and_another_number_of_maps_refused():
    target = torch.zeros(1, 1, 6, 6)
    assert torch.isfinite(ScaleConsistency(levels=3)([target] * 3, target))
    with pytest.raises(ConfigError, match="scale maps: expected 4, got 3"):
        ScaleConsistency(levels=4)([target] * 3, target)
