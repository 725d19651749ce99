"""Proposed regions: their shapes, their order and what draws them."""

import numpy as np
import pytest

from edgecount.runtime.zoom.proposals import Prediction, attention, propose_regions

STRIDE = 4


def seen(heatmap, size=None, stride=STRIDE, **density):
    rows, columns = heatmap.shape
    return Prediction(size or (columns * stride, rows * stride), heatmap, stride, **density)


def overlap(a, b):
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = sides.clip(0).prod()
    return common / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common)


def test_regions_are_crowded_distinct_and_in_order():
    rng = np.random.default_rng(1)
    heatmap = (rng.random((30, 40)) ** 30).astype(np.float32)
    heatmap[:, 25:] = 0
    regions = propose_regions(seen(heatmap))
    means = [
        heatmap[top // 4 : -(-bottom // 4), left // 4 : -(-right // 4)].mean()
        for left, top, right, bottom in regions
    ]
    assert 1 < len(regions) <= 10
    assert min(means) >= 0.01
    assert means == sorted(means, reverse=True)
    pairs = [(a, b) for index, a in enumerate(regions) for b in regions[:index]]
    assert max(overlap(a, b) for a, b in pairs) <= 0.5
    assert (regions[:, :2] >= 0).all()
    assert (regions[:, 2:] <= (160, 120)).all()


def test_regions_have_three_ratios_at_two_scales():
    heatmap = np.full((60, 90), 0.5, np.float32)
    regions = propose_regions(seen(heatmap), keep=1000)
    sides = {(int(right - left), int(bottom - top)) for left, top, right, bottom in regions}
    small, large = 80, 160  # a third of the short side, and twice that
    root = 2**0.5
    expected = {
        (round(side * ratio), round(side / ratio))
        for side in (small, large)
        for ratio in (1.0, root, 1 / root)
    }
    assert sides == expected


def test_sparse_heads_are_not_worth_a_region():
    heatmap = np.zeros((64, 64), np.float32)
    heatmap[10, 10] = heatmap[50, 40] = 0.9
    assert propose_regions(seen(heatmap, stride=1), score=0.01).shape == (0, 4)
    assert len(propose_regions(seen(heatmap, stride=1), score=0.0001)) > 0


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (2, 40)])
def test_images_smaller_than_a_cell_or_an_anchor(size):
    rows, columns = (-(-side // STRIDE) for side in size[::-1])
    regions = propose_regions(seen(np.ones((rows, columns), np.float32), size))
    assert len(regions) >= 1
    assert ((regions[:, 2:] > regions[:, :2]) & (regions[:, 2:] <= size)).all()


def test_the_same_seed_gives_the_same_regions():
    prediction = seen(np.random.default_rng(0).random((24, 24), np.float32))
    regions = [propose_regions(prediction, seed=seed) for seed in (7, 7, 8)]
    np.testing.assert_array_equal(regions[0], regions[1])
    assert not np.array_equal(regions[0], regions[2])


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_attention_is_the_mean_of_the_heatmap_and_what_the_density_expects_of_it(dtype):
    heatmap = np.array([[0.4, 0.0, 0.2], [0.0, 0.0, -0.1]], dtype)
    density = np.array([[0.8, 1.6]], np.float32)  # people per 2 x 2 cells of the heatmap
    found = attention(seen(heatmap, stride=1, density=density, density_stride=2))
    expected = [[0.2 + 0.5, 0.5, 0.1 + 1.0], [0.5, 0.5, 1.0]]
    np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == np.float32 else 1e-3)
    assert found.dtype == np.float32


@pytest.mark.parametrize(("stride", "share"), [(1, 1.0), (2, 1.0), (4, 5 / 16), (8, 5 / 64)])
def test_attention_is_a_share_of_pixels_whatever_the_stride(stride, share):
    """One head in 40 x 40 px, where its peak and its density lie: 5 of 1,600 px, by each."""
    cells = 40 // stride
    heatmap = np.zeros((cells, cells), np.float32)
    heatmap[0, 0] = 1.0
    found = attention(seen(heatmap, stride=stride))
    np.testing.assert_allclose(found, heatmap * share, rtol=1e-6)
    if stride > 2:
        assert found.mean() == pytest.approx(5 / 1600)
    density = np.zeros((5, 5), np.float32)
    density[0, 0] = 1.0
    both = attention(seen(heatmap, stride=stride, density=density, density_stride=8))
    assert 2 * both.mean() - found.mean() == pytest.approx(5 / 1600)


def test_the_density_draws_regions_to_where_the_heatmap_is_silent():
    density = np.zeros((12, 12), np.float32)
    density[2:4, 2:4] = 2.0
    prediction = seen(np.zeros((24, 24), np.float32), density=density, density_stride=8)
    regions = propose_regions(prediction)
    assert len(regions)
    for left, top, right, bottom in regions:
        assert left < 32
        assert top < 32
        assert right > 16
        assert bottom > 16
