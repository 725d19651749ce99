"""Zooming: heads which merge at first are told apart, and each is found once."""

import numpy as np
import pytest

from edgecount.runtime.zoom import search
from edgecount.runtime.zoom.proposals import Prediction, propose_regions
from edgecount.runtime.zoom.search import Zoom, largest_views

STRIDE = 4


class Look:
    """Maps whose heatmap is the brightest pixel of each 4 x 4 px of the enlarged picture."""

    def __init__(self, image, scale=1.0):
        self.image, self.scale = image, scale
        self.windows = []

    @property
    def size(self):
        return self.image.shape[1], self.image.shape[0]

    def __call__(self, window, factor):
        self.windows.append((window, factor))
        left, top, right, bottom = window
        part = self.image[top:bottom, left:right]
        width, height = (max(round(n * self.scale * factor), 1) for n in part.shape[1::-1])
        heatmap = np.zeros((-(-height // STRIDE), -(-width // STRIDE)), np.float32)
        rows, columns = np.nonzero(part)
        # Bilinear enlarging spreads a pixel, and the cell of its centre has most of it.
        y = (rows + 0.5) * height / part.shape[0] // STRIDE
        x = (columns + 0.5) * width / part.shape[1] // STRIDE
        np.maximum.at(heatmap, (y.astype(int), x.astype(int)), part[rows, columns] / 255)
        return Prediction((width, height), heatmap, STRIDE)

    def find(self, zoom, threshold=0.3, align=1, **proposing):
        return Zoom(zoom, threshold, align=align, proposing=proposing).find(self, self.size)


def dots(points, size=(96, 96)):
    image = np.zeros((size[1], size[0]), np.uint8)
    for x, y in points:
        image[y, x] = 255
    return image


def crowd(spacing):
    """Place a square crowd of 4 x 4 heads."""
    return [(42 + spacing * i, 42 + spacing * j) for i in range(4) for j in range(4)]


def matched(found, heads, reach=3.0):
    """Every head has exactly one point, and no point is left over."""
    distances = np.abs(found[:, None, :2] - (np.array(heads)[None] + 0.5)).max(2)
    return bool((distances <= reach).sum(0).min() >= 1) and len(found) == len(heads)


def test_heads_that_merge_at_first_are_told_apart_at_twice_the_size():
    heads = crowd(5)
    look = Look(dots(heads))
    assert len(look.find(0)) < len(heads)
    assert matched(look.find(1), heads)


def test_zooming_recurs():
    heads = [(45, 45), (47, 45), (45, 47), (47, 47)]
    # two px: adjacent cells even at twice the size, told apart at four times
    look = Look(dots(heads))
    once = look.find(1, score=0.001)
    twice = look.find(2, score=0.001)
    assert len(once) < len(twice)
    assert matched(twice, heads, reach=2.0)
    assert {factor for _, factor in look.windows} == {1, 2, 4}


def test_heads_outside_the_regions_stay_and_those_in_overlaps_count_once():
    heads = [(5, 90), (90, 5), *crowd(5)]
    look = Look(dots(heads))
    assert matched(look.find(1, score=0.02), heads)
    # every region here overlaps others: all of them hold the one crowd
    assert len(propose_regions(look((0, 0, 96, 96), 1), score=0.02)) > 1


@pytest.mark.parametrize("seed", range(5))
def test_heads_everywhere_are_found_once_whatever_the_seams(seed):
    heads = [(3 + 10 * i, 3 + 10 * j) for i in range(12) for j in range(10)]
    look = Look(dots(heads, (128, 112)))
    assert matched(look.find(1, seed=seed), heads, reach=4.0)


def test_a_shrunk_frame_is_cut_from_its_own_pixels():
    """The first pass sees half the frame's pixels, the second all of them."""
    heads = crowd(10)
    look = Look(dots(heads, (192, 192)), scale=0.5)
    assert len(look.find(0)) < len(heads)
    assert matched(look.find(1), heads)
    windows = [window for window, factor in look.windows if factor == 2]
    assert all(right - left > 64 for left, _, right, _ in windows)  # px of the frame


def test_points_are_float32_inside_the_frame_and_from_top_to_bottom():
    found = Look(dots([(0, 0), (95, 95), *crowd(6)])).find(2)
    assert found.dtype == np.float32
    assert found[:, :2].min() >= 0
    assert found[:, :2].max() <= 96
    assert ((found[:, 2] > 0.3) & (found[:, 2] <= 1)).all()
    places = [(y, x) for x, y, _ in found.tolist()]
    assert places == sorted(places)


def test_an_image_without_people_is_looked_at_once():
    look = Look(dots([]))
    assert look.find(2).shape == (0, 3)
    assert look.windows == [((0, 0, 96, 96), 1)]


def test_a_region_is_seen_at_twice_its_size_with_16_px_around_it():
    look = Look(dots(crowd(5)))
    (left, top, right, bottom) = propose_regions(look((0, 0, 96, 96), 1), keep=1)[0]
    look.find(1, keep=1)
    around = max(left - 16, 0), max(top - 16, 0), min(right + 16, 96), min(bottom + 16, 96)
    assert look.windows[2:] == [(around, 2)]


def test_windows_of_nv12_have_even_sides():
    look = Look(dots(crowd(5), (98, 94)))
    look.find(2, align=2, score=0.001)
    assert len(look.windows) > 3
    assert all(side % 2 == 0 for window, _ in look.windows for side in window)


def test_the_same_seed_gives_the_same_points():
    look = Look(dots(np.random.default_rng(0).integers(0, 96, (60, 2))))
    np.testing.assert_array_equal(look.find(1, seed=7), look.find(1, seed=7))


def test_a_value_that_is_no_number_is_refused_in_a_region_too():
    look = Look(dots(crowd(5)))

    def spoilt(window, factor):
        seen = look(window, factor)
        if factor == 2:
            seen.heatmap[0, 0] = np.nan
        return seen

    with pytest.raises(ValueError, match="heatmap"):
        Zoom(1, 0.3).find(spoilt, look.size)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (2, 40)])
def test_frames_smaller_than_a_cell_or_an_anchor(size):
    assert len(Look(np.full(size[::-1], 255, np.uint8)).find(1)) >= 1


@pytest.mark.parametrize(
    ("size", "scale", "align"), [((96, 96), 1.0, 1), ((250, 130), 0.4, 2), ((61, 300), 0.77, 1)]
)
def test_no_region_is_larger_than_was_promised(size, scale, align):
    image = np.random.default_rng(2).integers(0, 256, size[::-1], dtype=np.uint8)
    look = Look(image, scale)
    resized = round(size[1] * scale), round(size[0] * scale)
    look.find(2, align=align, score=0.0)
    for levels, factors in ((1, (2,)), (2, (2, 4))):
        most = largest_views(size, resized, levels)
        for (left, top, right, bottom), factor in look.windows:
            if factor in factors:
                assert round((bottom - top) * scale * factor) <= most[0]
                assert round((right - left) * scale * factor) <= most[1]
    assert most[0] <= 4 * resized[0] + 4
    assert most[1] <= 4 * resized[1] + 4


class Shifted(Look):
    """Maps in which heads are half a pixel elsewhere in enlarged pictures."""

    def __init__(self, image, place):
        super().__init__(image)
        self.place = place

    def __call__(self, window, factor):
        seen = super().__call__(window, factor)
        moved = 0.5 if factor == 1 else -0.5
        offset = np.zeros((2, *seen.heatmap.shape), np.float32)
        rows, columns = np.nonzero(seen.heatmap)
        offset[0, rows, columns] = (self.place + moved - window[0]) * factor / STRIDE - columns
        return Prediction(seen.size, seen.heatmap, STRIDE, offset=offset)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_head_on_a_border_is_not_lost(monkeypatch, side):
    # Found on either side of the border: inside at first and outside when enlarged, or the reverse.
    head, edge = (48, 50), 48.5
    box = [edge - 30, 20, edge, 80] if side == "right" else [edge, 20, edge + 30, 80]
    monkeypatch.setattr(search, "propose_regions", lambda seen, **_: np.array([box], np.float32))
    look = Shifted(dots([head]), place=edge)
    (found,) = look.find(1)
    assert abs(found[0] - edge) <= 0.5
