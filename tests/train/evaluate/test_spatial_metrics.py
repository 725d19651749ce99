"""GAME against sums over finely divided cells, and on examples worked by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecount.train.evaluate.spatial_metrics import density_by_region, game, points_by_region

SIZES = st.integers(1, 40)


def test_people_in_the_wrong_place_cost_twice_from_the_first_level_on():
    # Of three people, two are found where they are, and one on the other side of the image.
    true = points_by_region(np.array([[60.0, 10.0], [10.0, 60.0], [12.0, 60.0]]), 64, 64)
    estimated = points_by_region(np.array([[4.0, 10.0], [10.0, 60.0], [12.0, 60.0]]), 64, 64)
    assert game(estimated, true) == [0, 2, 2, 2]


def test_finer_grids_see_smaller_shifts():
    # Regions of 8 px: 7 and 9 differ at the finest level alone, 15 and 17 from 16 px on.
    by_region = [points_by_region(np.array([[x, 1.0]]), 64, 64) for x in (7.0, 9.0, 15.0, 17.0)]
    assert game(by_region[0], by_region[1]) == [0, 0, 0, 2]
    assert game(by_region[2], by_region[3]) == [0, 0, 2, 2]


def test_a_point_on_a_border_belongs_to_the_right_and_on_the_far_edge_to_the_last():
    counts = points_by_region(np.array([[8.0, 16.0], [64.0, 32.0]]), 64, 32)
    assert counts[4, 1] == 1
    assert counts[7, 7] == 1


def test_a_cell_across_a_border_is_split_by_area():
    # Cells of 12 px in an image of 32 px, whose halves end at 16: a third of the second is left.
    density = np.array([[3.0, 6.0, 4.0]])
    regions = density_by_region(density, (12.0, 8.0), 32, 8, levels=1)
    assert regions == pytest.approx(np.array([[2.5, 4.0], [2.5, 4.0]]))


def test_cells_past_the_image_count_to_the_last_region():
    # 20 px: the third cell of 8 px has 4 px inside; the fourth none, and stays in the total.
    density = np.array([[1.0, 2.0, 3.0, 5.0]])
    regions = density_by_region(density, (8.0, 4.0), 20, 4, levels=1).sum(0)
    assert regions == pytest.approx([1.5, 9.5])


def brute_force(density, stride_xy, width, height, level):
    """Every cell cut into many equal pieces, each added to the region its centre lies in."""
    pieces, side = 60, 2**level
    regions = np.zeros((side, side))
    for (row, column), people in np.ndenumerate(density):
        left, top = column * stride_xy[0], row * stride_xy[1]
        right = min(left + stride_xy[0], width)
        bottom = min(top + stride_xy[1], height)
        middle = (np.arange(pieces) + 0.5) / pieces
        x = ((left + middle * (right - left)) * side / width).astype(int)
        y = ((top + middle * (bottom - top)) * side / height).astype(int)
        np.add.at(regions, (y[:, None], x[None, :]), people / pieces**2)
    return regions


@pytest.mark.parametrize(
    ("stride_xy", "width", "height"),
    [((8.0, 8.0), 48, 32), ((10.0, 7.5), 57, 29), ((10.7, 9.3), 60, 33)],
)
def test_game_agrees_with_a_sum_over_pieces_of_cells(stride_xy, width, height):
    rng = np.random.default_rng(3)
    shape = (int(np.ceil(height / stride_xy[1])), int(np.ceil(width / stride_xy[0])))
    density = rng.uniform(0, 2, shape)
    points = rng.uniform(0, 1, (30, 2)) * (width, height)
    true = points_by_region(points, width, height)
    values = game(density_by_region(density, stride_xy, width, height), true)
    for level, value in enumerate(values):
        side = 2**level
        edges_x, edges_y = (np.linspace(0, length, side + 1) for length in (width, height))
        counted = np.histogram2d(points[:, 1], points[:, 0], (edges_y, edges_x))[0]
        expected = np.abs(brute_force(density, stride_xy, width, height, level) - counted).sum()
        # A piece on a border goes to one side whole: an error of a piece's width at each border.
        assert value == pytest.approx(expected, abs=0.04 * density.sum())


@settings(deadline=None, max_examples=60)
@given(
    rows=SIZES,
    columns=SIZES,
    stride=st.floats(0.7, 20),
    cut=st.floats(0.3, 1.0),
    heads=st.integers(0, 30),
    seed=st.integers(0, 10**6),
)
def test_game_never_falls_with_the_level_and_starts_at_the_error_of_the_count(
    rows, columns, stride, cut, heads, seed
):
    rng = np.random.default_rng(seed)
    density = rng.uniform(0, 2, (rows, columns))
    width, height = (max(1, int(cells * stride * cut)) for cells in (columns, rows))
    regions = density_by_region(density, (stride, stride), width, height)
    true = points_by_region(rng.uniform(0, 1, (heads, 2)) * (width, height), width, height)
    assert true.sum() == heads
    assert regions.sum() == pytest.approx(density.sum())
    values = game(regions, true)
    assert len(values) == 4
    assert values[0] == pytest.approx(abs(density.sum() - heads), abs=1e-6)
    assert all(coarse <= fine + 1e-9 for coarse, fine in itertools.pairwise(values))
