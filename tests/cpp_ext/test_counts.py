"""Sums, regions and fusion against the plain reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from edgecount import _ext

FIELDS = ["count", "density_sum", "region_count", "region_density", "region_peaks"]


def assert_same_counts(got, expected):
    for field in FIELDS:
        value = getattr(got, field)
        assert value.dtype == np.float64
        np.testing.assert_allclose(value, getattr(expected, field), rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(got.peak_count, expected.peak_count)


@st.composite
def scenes(draw):
    """Draw maps of one scene with heatmap cells a power of two finer than density cells."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ratio = draw(st.sampled_from([1, 2, 4]))
    batch, regions = draw(st.integers(1, 3)), draw(st.integers(0, 3))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    fine = (batch, height, width)
    coarse = (-(-height // ratio), -(-width // ratio))
    dtype = draw(st.sampled_from([np.float32, np.float16]))
    scene = {
        "heatmap": rng.random(fine).astype(dtype),
        "density": (rng.random((batch, *coarse)) ** 6).astype(dtype),
        "masks": np.clip(rng.normal(0.5, 1, (regions, *coarse)), 0, 1).astype(np.float32),
    }
    return scene, ratio


@given(
    scene=scenes(),
    fuse_cell=st.sampled_from([0, 1, 3, 8, 100]),
    fuse_width=st.sampled_from([0, 1, 2, 8, 70]),
    fuse=st.tuples(st.floats(0, 4), st.floats(0, 4)),
    unit=st.sampled_from([1.0, 100.0]),
)
def test_whole_scenes(scene, fuse_cell, fuse_width, fuse, unit):
    maps, ratio = scene
    options = {
        "threshold": 0.6,
        "unit": unit,
        "fuse_cell": fuse_cell,
        "fuse_width": fuse_width,
        "fuse_low": fuse[0],
        "fuse_high": fuse[1],
        "capacity": 2,
    }
    got = _ext.count_maps(**maps, **options)
    expected = reference.count_maps(**maps, **options, ratio=ratio)
    if fuse[1] - fuse[0] > 1e-3 or fuse_cell == 0:
        assert_same_counts(got, expected)
    else:
        # At a step the last bit of a sum decides a whole cell.
        np.testing.assert_allclose(got.region_density, expected.region_density, rtol=1e-5)


@given(scene=scenes(), drop=st.sampled_from(["heatmap", "density"]))
def test_one_map_alone(scene, drop):
    maps, _ = scene
    maps.pop(drop)
    if drop == "density":
        rng = np.random.default_rng(0)
        maps["masks"] = rng.random((2, *maps["heatmap"].shape[1:]), dtype=np.float32)
    options = {"threshold": 0.6, "fuse_cell": 4}
    got = _ext.count_maps(**maps, **options)
    assert_same_counts(got, reference.count_maps(**maps, **options))
    if drop == "heatmap":
        assert [len(peaks) for peaks in got.peaks] == [0] * len(got.peaks)
        np.testing.assert_array_equal(got.count, got.density_sum)
    else:
        np.testing.assert_array_equal(got.count, got.peak_count)


@pytest.mark.parametrize("fuse_cell", [0, 7])
def test_regions_of_a_partition_sum_to_the_whole(rng, fuse_cell):
    heatmap = rng.random((2, 60, 90), dtype=np.float32)
    density = rng.random((2, 30, 45), dtype=np.float32) * 0.1
    left = np.clip(np.linspace(1.5, -0.5, 45), 0, 1).astype(np.float32)
    masks = np.stack([np.tile(left, (30, 1)), np.tile(1 - left, (30, 1))])
    counts = _ext.count_maps(
        heatmap, density=density, masks=masks, fuse_cell=fuse_cell, fuse_low=1, fuse_high=5
    )
    np.testing.assert_allclose(counts.region_count.sum(axis=1), counts.count, rtol=1e-5)
    np.testing.assert_allclose(counts.region_density.sum(axis=1), counts.density_sum, rtol=1e-5)
    np.testing.assert_allclose(counts.region_peaks.sum(axis=1), counts.peak_count, rtol=1e-5)


def test_fusion_trusts_peaks_when_sparse_and_density_when_dense():
    heatmap = np.zeros((1, 16, 16), np.float32)
    heatmap[0, [2, 4], [2, 5]] = 0.9
    density = np.zeros((1, 8, 8), np.float32)
    density[0, 1, 1] = 1.2  # left half: few people, two peaks
    density[0, :, 4:] = 0.5  # right half: 8 people a cell of 4 x 4, no peaks
    counts = _ext.count_maps(heatmap, density=density, fuse_cell=4, fuse_low=2, fuse_high=6)
    np.testing.assert_allclose(counts.count, [2 + 16])


def test_small_fusion_cells_at_the_border_are_scaled_up():
    density = np.full((1, 5, 5), 0.5, np.float32)
    heatmap = np.zeros((1, 5, 5), np.float32)
    # 8 people a full cell of 4 x 4 everywhere, so the cut cells must trust the density as well.
    counts = _ext.count_maps(heatmap, density=density, fuse_cell=4, fuse_low=6, fuse_high=7)
    np.testing.assert_allclose(counts.count, [12.5])


def test_fusion_cells_may_be_larger_than_any_map():
    density = np.full((1, 5, 5), 0.1, np.float32)
    heatmap = np.zeros((1, 5, 5), np.float32)
    for side in (1000, 2**40, 2**62):
        counts = _ext.count_maps(heatmap, density=density, fuse_cell=side, fuse_low=5, fuse_high=9)
        np.testing.assert_allclose(counts.count, [2.5], rtol=1e-6)


def test_fusion_cells_may_be_rectangles():
    heatmap = np.zeros((1, 8, 24), np.float32)
    heatmap[0, [2, 2], [2, 15]] = 0.9
    density = np.zeros((1, 4, 12), np.float32)
    density[0, 0, 0] = 3.0  # 3 people in the upper left cell of 2 x 8, 2 in the right one's 2 x 4
    density[0, 1, 8] = 2.0
    options = {"fuse_cell": 2, "fuse_width": 8, "fuse_low": 3.5, "fuse_high": 4.0}
    counts = _ext.count_maps(heatmap, density=density, **options)
    # 3 people are too few, so that both points count; 2 in half a cell are 4 in a whole one.
    np.testing.assert_allclose(counts.count, [2 + 2])
    squares = _ext.count_maps(heatmap, density=density, **{**options, "fuse_width": 2})
    np.testing.assert_allclose(squares.count, [2])


def test_fusion_cells_of_no_width_are_refused():
    maps = np.zeros((1, 2, 2), np.float32)
    with pytest.raises(ValueError, match="fuse_width: expected"):
        _ext.count_maps(maps, density=maps, fuse_cell=1, fuse_width=-1)


def test_equal_bounds_are_a_step():
    heatmap = np.zeros((1, 1, 2), np.float32)
    density = np.array([[[1.0, 2.0]]], np.float32)
    counts = _ext.count_maps(heatmap, density=density, fuse_cell=1, fuse_low=1, fuse_high=1)
    assert counts.count.tolist() == [2.0]


@pytest.mark.parametrize(
    ("fine", "coarse", "ratio"),
    [
        ((5, 9), (3, 5), 2),  # rounded up
        ((5, 9), (2, 4), 2),  # rounded down
        ((9, 17), (3, 5), 4),
        ((9, 12), (3, 4), 3),  # no power of two
        ((1, 9), (1, 5), 2),
        ((4, 4), (4, 4), 1),
    ],
)
def test_rounded_sizes_fit(rng, fine, coarse, ratio):
    heatmap = rng.random((1, *fine), dtype=np.float32)
    masks = rng.random((1, *coarse), dtype=np.float32)
    density = np.zeros((1, *coarse), np.float32)
    got = _ext.count_maps(heatmap, density=density, masks=masks)
    expected = reference.count_maps(heatmap, density=density, masks=masks, ratio=ratio)
    np.testing.assert_allclose(got.region_peaks, expected.region_peaks)


def test_sums_hold_their_precision_on_large_maps(rng):
    density = (rng.random((1, 1100, 2051)) ** 8).astype(np.float32)
    masks = rng.random((1, 1100, 2051), dtype=np.float32)
    counts = _ext.count_maps(density=density, masks=masks)
    exact = density.astype(np.float64)
    np.testing.assert_allclose(counts.density_sum[0], exact.sum(), rtol=1e-6)
    np.testing.assert_allclose(counts.region_density[0, 0], (exact * masks[0]).sum(), rtol=1e-6)


def test_huge_densities_do_not_overflow():
    density = np.full((1, 8, 4), 3e38, np.float32)
    masks = np.full((1, 8, 4), 0.5, np.float32)
    counts = _ext.count_maps(density=density, masks=masks)
    np.testing.assert_allclose(counts.density_sum[0], 32 * 3e38, rtol=1e-6)
    np.testing.assert_allclose(counts.region_density[0, 0], 16 * 3e38, rtol=1e-6)


def test_a_mask_may_leave_sums_that_overflow():
    # Plain, each huge value is followed by its opposite; the mask takes those away.
    density = np.tile(np.float32([3e38, -3e38]), 4).reshape(1, 8, 1)
    masks = np.tile(np.float32([1, 0]), 4).reshape(1, 8, 1)
    counts = _ext.count_maps(density=density, masks=masks)
    assert counts.density_sum[0] == 0
    np.testing.assert_allclose(counts.region_density[0, 0], 4 * 3e38, rtol=1e-6)


def test_images_of_a_batch_do_not_mix(rng):
    maps = {
        "heatmap": rng.random((3, 20, 20), dtype=np.float32),
        "density": rng.random((3, 10, 10), dtype=np.float32),
        "masks": rng.random((2, 10, 10), dtype=np.float32),
    }
    together = _ext.count_maps(**maps, fuse_cell=4, fuse_high=9)
    for i in range(3):
        alone = {name: m if name == "masks" else m[i : i + 1] for name, m in maps.items()}
        single = _ext.count_maps(**alone, fuse_cell=4, fuse_high=9)
        np.testing.assert_array_equal(single.peaks[0], together.peaks[i])
        for field in FIELDS:
            np.testing.assert_array_equal(getattr(single, field)[0], getattr(together, field)[i])


def test_every_run_gives_the_same_bits(rng):
    maps = {
        "heatmap": rng.random((1, 131, 257), dtype=np.float32),
        "density": rng.random((1, 131, 257), dtype=np.float32),
        "masks": rng.random((2, 131, 257), dtype=np.float32),
    }
    first = _ext.count_maps(**maps, fuse_cell=8, fuse_high=30)
    shifted = np.empty(maps["density"].size + 3, np.float32)[3:].reshape(maps["density"].shape)
    shifted[...] = maps["density"]
    again = _ext.count_maps(**{**maps, "density": shifted}, fuse_cell=8, fuse_high=30)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
