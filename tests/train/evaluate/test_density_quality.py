"""SSIM, PSNR and false recognition of density maps."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from edgecount.errors import ModelError
from edgecount.manifest import InputSpec, Manifest, OutputSpec
from edgecount.train.evaluate.density_quality import (
    background_people,
    kernels_of,
    map_quality,
    true_density,
)
from edgecount.train.targets.density import density_map
from edgecount.train.targets.kernels import Kernels

POINTS = np.array([[20.0, 30.0], [40.0, 36.0], [90.0, 50.0]], np.float32)


def drawn(shape, stride, width=128, height=64, points=POINTS, kernels=None):
    stride_xy = (float(stride), float(stride))
    kernels = kernels or Kernels()
    return true_density(points, shape, stride_xy, width, height, stride=stride, kernels=kernels)


def test_the_true_density_sums_to_the_heads_on_whole_strides():
    target = drawn((8, 16), 8)
    assert target == pytest.approx(density_map(POINTS, 64, 128, stride=8).astype(float))
    assert target.sum() == pytest.approx(3, abs=1e-4)


def test_the_true_density_lies_on_the_grid_where_strides_are_fractions():
    # An image of 100 x 51 px on cells of 10.4 x 10.2 px, 10 cells across and 6 down, the last of
    # which pads the input.
    points = np.array([[52.0, 25.5]], np.float32)
    target = true_density(
        points, (6, 10), (10.4, 10.2), 100, 51, stride=8, kernels=Kernels(sigma=4.0)
    )
    assert target.sum() == pytest.approx(1, abs=1e-4)
    assert not target[5].any()
    centre = (target.sum(0) * (np.arange(10) + 0.5) * 10.4).sum()
    assert centre == pytest.approx(52, abs=1)


def test_the_true_density_ends_with_the_annotated_region():
    # A head on the border of a region that is the left half, in the middle of a side of cells of
    # 8 px: of two spreads 0.4772 lie on either side, and of the next four 0.0227.
    point, kernels = np.array([[32.0, 32.0]], np.float32), Kernels(sigma=4.0)
    left = np.zeros((64, 64), bool)
    left[:, :32] = True
    near, far = 0.47725 / 0.99994, 0.02272 / 0.99994
    rows = np.array([0, 0, far, near, near, far, 0, 0])
    for mask, columns in ((left, [0, 0, 2 * far, 2 * near, 0, 0, 0, 0]), (None, rows)):
        target = true_density(
            point, (8, 8), (8.0, 8.0), 64, 64, stride=8, kernels=kernels, region=mask
        )
        np.testing.assert_allclose(target, np.outer(rows, columns), atol=2e-5)
        assert target.sum() == pytest.approx(1, abs=1e-5)


def test_the_region_of_a_shrunk_image_lies_where_it_was():
    # 128 x 128 px seen at half the size: the left 64 px are 4 of 8 cells of 8 px of the network.
    point, kernels = np.array([[64.0, 64.0]], np.float32), Kernels(sigma=4.0)
    left = np.zeros((128, 128), bool)
    left[:, :64] = True
    target = true_density(
        point, (8, 8), (16.0, 16.0), 128, 128, stride=8, kernels=kernels, region=left
    )
    assert not target[:, 4:].any()
    assert target[3, 3] == pytest.approx(2 * 0.47725**2, abs=1e-3)


def test_equal_maps_are_as_good_as_can_be():
    target = drawn((16, 32), 4)
    quality = map_quality(target.astype(np.float32), target)
    assert quality["ssim"] == pytest.approx(1, abs=1e-6)
    assert quality["psnr"] == 100


def test_psnr_is_relative_to_the_peak_of_the_target():
    # A peak of 4 and an error of 0.4 everywhere: a tenth of the peak, 20 dB.
    target = np.zeros((12, 12))
    target[5, 5] = 4.0
    assert map_quality(target + 0.4, target)["psnr"] == pytest.approx(20)
    assert map_quality(10 * (target + 0.4), 10 * target)["psnr"] == pytest.approx(20)


def plain_ssim(x, y):
    """Wang et al. 2004, cell by cell."""
    offsets = np.arange(-5, 6)
    profile = np.exp(-(offsets**2) / (2 * 1.5**2))
    weights = np.outer(profile, profile) / profile.sum() ** 2
    x, y = (np.pad(values, 5, mode="symmetric") for values in (x, y))
    values = []
    for row in range(x.shape[0] - 10):
        for column in range(x.shape[1] - 10):
            a = x[row : row + 11, column : column + 11]
            b = y[row : row + 11, column : column + 11]
            mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
            variance_a = (weights * (a - mean_a) ** 2).sum()
            variance_b = (weights * (b - mean_b) ** 2).sum()
            covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
            values.append(
                (2 * mean_a * mean_b + 1e-4)
                * (2 * covariance + 9e-4)
                / ((mean_a**2 + mean_b**2 + 1e-4) * (variance_a + variance_b + 9e-4))
            )
    return np.mean(values)


def test_ssim_agrees_with_its_definition():
    rng = np.random.default_rng(0)
    target = rng.uniform(0, 1, (14, 18))
    target /= target.max()
    density = target + rng.normal(0, 0.2, target.shape)
    assert map_quality(density, target)["ssim"] == pytest.approx(plain_ssim(density, target))


def test_a_likeness_falls_with_the_noise_and_maps_smaller_than_the_window_have_one():
    target = drawn((8, 16), 8)
    rng = np.random.default_rng(1)
    noise = rng.normal(0, target.max(), target.shape)
    scores = [map_quality(target + level * noise, target) for level in (0.05, 0.2, 0.8)]
    assert scores[0]["ssim"] > scores[1]["ssim"] > scores[2]["ssim"]
    assert scores[0]["psnr"] > scores[1]["psnr"] > scores[2]["psnr"]
    assert map_quality(target[:2, :3], target[:2, :3] + 1.0)["ssim"] < 1


def test_a_map_of_nobody_has_no_scale():
    assert map_quality(np.ones((4, 4)), np.zeros((4, 4))) == {}


def test_false_recognition_is_what_lies_where_the_truth_has_nobody():
    target = np.array([[0.5, 0.0], [6.3e-4, 6.5e-4]])
    density = np.array([[2.0, 1.0], [0.25, 4.0]])
    # 1e-5 people per px are 6.4e-4 in a cell of 8 x 8 px.
    assert background_people(density, target, 8) == (1.25, 7.25)
    assert background_people(-density, target, 8) == (0.0, 0.0)


def test_a_shrunk_image_is_drawn_in_the_pixels_of_the_network():
    # 256 x 128 px seen at half the size, at stride 4: cells of 8 px of the image.
    kernels = Kernels(sigma=3.0)
    target = true_density(2 * POINTS, (16, 32), (8.0, 8.0), 256, 128, stride=4, kernels=kernels)
    np.testing.assert_allclose(target, density_map(POINTS, 64, 128, sigma=3.0, stride=4), atol=1e-7)


@pytest.mark.parametrize("stride", [1, 4])
def test_the_map_that_cfanet_is_trained_on_is_right_in_every_measure(stride):
    rng = np.random.default_rng(0)
    points = rng.uniform(0, [128, 64], (60, 2)).astype(np.float32)
    kernels = Kernels(beta=1.0, max_sigma=0.0)
    right = density_map(points, 64, 128, beta=1.0, largest=np.inf, stride=stride)
    target = drawn((64 // stride, 128 // stride), stride, points=points, kernels=kernels)
    assert map_quality(right, target) == {"ssim": pytest.approx(1), "psnr": 100}
    background, estimated = background_people(right, target, stride)
    assert background / estimated < 1e-6
    # Against the narrower kernels of HSRNet the same map is wrong, and none is better.
    narrow = drawn((64 // stride, 128 // stride), stride, points=points)
    assert map_quality(right, narrow)["ssim"] < 0.9
    background, estimated = background_people(right, narrow, stride)
    assert background / estimated > 0.001


def test_a_lone_head_of_a_wide_kernel_lies_in_the_background_with_all_its_tails():
    # Of a Gaussian of spread s, the share beyond the radius where it is 1e-5 per px is
    # 2 pi s^2 1e-5 (its height there over its peak): 0.0251 at 20 px. Cut at 3 spreads a side.
    target = drawn((256, 256), 1, 256, 256, np.array([[128, 128]], np.float32), Kernels(sigma=20))
    background, estimated = background_people(target, target, 1)
    cut = 1 - np.square(0.9973)
    assert background / estimated == pytest.approx(2 * np.pi * 400 * 1e-5 - cut, abs=1e-3)


def described(training):
    return Manifest("m", "1", "", InputSpec(), (OutputSpec("d", "density", 4),), training=training)


def test_a_manifest_gives_the_kernels_of_its_training():
    assert kernels_of(described({})) == Kernels(0.0, 0.3, 3, 25.0)
    given = {"sigma": 0.0, "beta": 1.0, "neighbours": 3, "max_sigma": 0.0}
    assert kernels_of(described({"kernels": given})) == Kernels(0.0, 1.0, 3, 0.0)
    with pytest.raises(
        ModelError, match=r"manifest field training\.kernels\.beta: expected a number"
    ):
        kernels_of(described({"kernels": {"beta": "1"}}))
