"""Heatmaps peak at the heads, spread as Eq. 10 says, and agree with their masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecount.train.targets.heatmap import box_sigma, heatmap_targets, size_sigma


def square(points, side):
    points = np.asarray(points, np.float32)
    return np.concatenate([points - side / 2, points + side / 2], axis=1)


def random_heads(number, seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 64, (number, 2)).astype(np.float32)
    half = rng.choice([0.0, 0.5, 3.0, 9.0, 200.0], (number, 2)).astype(np.float32)
    return points, np.concatenate([points - half, points + half], axis=1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 80), st.sampled_from(["box", "size"]), st.integers(0, 2**32 - 1))
def test_heads_are_exactly_1_and_offsets_lead_back_to_them(number, rule, seed):
    points, boxes = random_heads(number, seed)
    targets = heatmap_targets(points, boxes, 64, 64, rule=rule)
    assert targets.heatmap.max(initial=0) <= 1
    rows, columns = np.nonzero(targets.heads)
    assert (targets.heatmap[rows, columns] == 1).all()
    assert not targets.offset[:, targets.heads == 0].any()
    assert not targets.size[:, targets.heads == 0].any()
    decoded = (np.stack([columns, rows]) + targets.offset[:, rows, columns]).T * 4
    nearest = np.abs(decoded[:, None] - points[None]).sum(-1).min(1, initial=np.inf)
    assert (nearest < 1e-3).all()
    assert len(rows) == len({tuple(cell) for cell in (points // 4).clip(max=15).tolist()})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.sampled_from(["box", "size"]), st.integers(0, 2**32 - 1))
def test_a_clipped_heatmap_is_above_0_exactly_inside_the_mask(number, rule, seed):
    points, boxes = random_heads(number, seed)
    targets = heatmap_targets(points, boxes, 64, 64, rule=rule, clip_to_boxes=True)
    np.testing.assert_array_equal(targets.heatmap > 0, targets.mask == 1)
    assert set(np.unique(targets.mask)) <= {0.0, 1.0}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 20), st.booleans(), st.integers(0, 2**32 - 1))
def test_the_mask_has_the_rows_and_columns_centred_in_a_box_and_the_heads_own(number, clip, seed):
    points, boxes = random_heads(number, seed)
    targets = heatmap_targets(points, boxes, 64, 64, clip_to_boxes=clip)
    centres = np.arange(16) * 4.0 + 2.0
    cells = (points // 4).clip(max=15)
    covered = [
        ((boxes[:, None, axis] <= centres) & (centres <= boxes[:, None, axis + 2]))
        | (np.arange(16) == cells[:, None, axis])
        for axis in (0, 1)
    ]
    expected = (covered[1][:, :, None] & covered[0][:, None]).any(axis=0)
    np.testing.assert_array_equal(targets.mask, expected)


def test_equation_10_by_hand():
    # e^-7 = 0.000911882, e^-3 = 0.0497871
    assert box_sigma(np.array([3.0, 5.0])) == pytest.approx(7 * 1.000911882 / 6, rel=1e-6)
    assert box_sigma(np.array([9.0, 1.0])) == pytest.approx(3 * 1.0497871 / 6, rel=1e-6)


def test_the_size_rule_is_a_fifth_within_its_limits():
    assert size_sigma(np.array([20.0, 20.0])) == pytest.approx(4.0)
    assert size_sigma(np.array([10.0, 40.0])) == pytest.approx(4.0)
    assert size_sigma(np.array([2.0, 2.0])) == 2.4
    assert size_sigma(np.array([400.0, 400.0])) == 10.0


@pytest.mark.parametrize(("rule", "sigma"), [("box", 21 * (1 + np.exp(-21)) / 6), ("size", 2.0)])
def test_gaussians_have_the_spread_of_their_rule_in_cells(rule, sigma):
    targets = heatmap_targets(
        np.array([[34.0, 34.0]], np.float32), square([[34, 34]], 40), 64, 64, rule=rule
    )
    assert targets.heatmap[8, 10] == pytest.approx(np.exp(-4 / (2 * sigma**2)), rel=1e-5)
    assert targets.heatmap[5, 9] == pytest.approx(np.exp(-10 / (2 * sigma**2)), rel=1e-5)


def test_clipping_leaves_the_values_inside_the_box_alone():
    point = np.array([[34.0, 34.0]], np.float32)
    boxes = np.array([[28.0, 32.0, 40.0, 40.0]], np.float32)
    whole = heatmap_targets(point, boxes, 64, 64)
    clipped = heatmap_targets(point, boxes, 64, 64, clip_to_boxes=True)
    inside = np.zeros((16, 16), bool)
    inside[8:10, 7:10] = True
    np.testing.assert_array_equal(clipped.heatmap[inside], whole.heatmap[inside])
    assert not clipped.heatmap[~inside].any()
    assert whole.heatmap[~inside].any()


def test_where_heads_overlap_the_larger_value_holds():
    points = np.array([[20.0, 20.0], [36.0, 20.0]], np.float32)
    boxes = square(points, 16)
    both = heatmap_targets(points, boxes, 64, 64).heatmap
    alone = [heatmap_targets(points[[i]], boxes[[i]], 64, 64).heatmap for i in range(2)]
    np.testing.assert_array_equal(both, np.maximum(*alone))


def test_the_later_of_two_heads_in_a_cell_gives_offset_and_size():
    points = np.array([[21.0, 22.0], [23.0, 21.0]], np.float32)
    boxes = np.concatenate([square(points[:1], 8), square(points[1:], 12)])
    targets = heatmap_targets(points, boxes, 64, 64)
    assert targets.heads.sum() == 1
    assert targets.offset[:, 5, 5].tolist() == [0.75, 0.25]
    assert targets.size[:, 5, 5].tolist() == [12.0, 12.0]


def test_size_is_width_then_height_and_at_least_a_pixel():
    points = np.array([[10.0, 10.0], [40.0, 40.0]], np.float32)
    boxes = np.array([[-10.0, 0.0, 30.0, 20.0], [40.0, 40.0, 40.0, 40.0]], np.float32)
    targets = heatmap_targets(points, boxes, 64, 64)
    assert targets.size[:, 2, 2].tolist() == [40.0, 20.0]
    assert targets.size[:, 10, 10].tolist() == [1.0, 1.0]


def test_heads_on_the_edges_stay_inside_an_oblong_image():
    points = np.array([[0.0, 0.0], [64.0, 32.0]], np.float32)
    targets = heatmap_targets(points, square(points, 6), 32, 64)
    assert targets.heatmap.shape == targets.mask.shape == (8, 16)
    assert targets.offset.shape == targets.size.shape == (2, 8, 16)
    assert np.argwhere(targets.heads).tolist() == [[0, 0], [7, 15]]
    assert targets.offset[:, 7, 15].tolist() == [1.0, 1.0]
