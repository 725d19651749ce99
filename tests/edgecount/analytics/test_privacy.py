"""Nothing of a head is left that could be recognised, and nothing else is touched."""

import dataclasses

import numpy as np
import pytest

from edgecount.analytics import pixelate
from edgecount.errors import ConfigError, InputError
from edgecount.result import CountResult

SIZE = (320, 240)


def result_of(points, density=None):
    grid = np.zeros((0, 0), np.float32) if density is None else density
    listed = np.array([(x, y, 0.9) for x, y in points], np.float32).reshape(-1, 3)
    return CountResult(
        count=float(len(listed)),
        density_count=float(grid.sum()),
        peak_count=len(listed),
        points=listed,
        density=grid,
        density_stride_xy=(8.0, 8.0) if grid.size else (0.0, 0.0),
        regions={},
        overflow=False,
        size=SIZE,
        model="tiny",
        backend="fake",
    )


def test_points_that_are_cut_off_are_refused_where_they_alone_are_covered(frame):
    cut = dataclasses.replace(result_of([(80, 80)]), overflow=True, peak_count=9)
    with pytest.raises(InputError, match="its 9 head points are cut off at 1"):
        pixelate(frame, cut)
    dense = dataclasses.replace(
        result_of([(80, 80)], np.full((30, 40), 1.0, np.float32)), overflow=True, peak_count=9
    )
    assert changed(frame, pixelate(frame, dense)).all(axis=None)
    with pytest.raises(InputError, match="cut off"):
        pixelate(frame, dense, crowded=np.inf)


@pytest.fixture(scope="module")
def frame():
    return np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)


def changed(frame, out):
    return (frame != out).any(axis=2)


def test_discs_of_a_given_radius_are_covered_and_nothing_else(frame):
    before = frame.copy()
    out = pixelate(frame, result_of([(100, 80), (0, 239)]), radius=12)
    assert np.array_equal(frame, before)
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    disc = np.minimum(np.hypot(x - 100, y - 80), np.hypot(x, y - 239))
    assert changed(frame, out)[disc <= 11].mean() > 0.95
    assert not changed(frame, out)[disc > 14].any()


def test_boxes_are_covered_whole(frame):
    points = [(100, 80), (200, 120)]
    boxes = np.array([(70, 60, 130, 100), (196, 116, 204, 124)], np.float32)
    out = changed(frame, pixelate(frame, dataclasses.replace(result_of(points), boxes=boxes)))
    assert out[60:100, 70:130].mean() > 0.95
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    far = (np.hypot(x - 100, y - 80) > 40) & (np.hypot(x - 200, y - 120) > 10)
    assert not out[far].any()


def test_a_head_is_left_in_a_few_blocks(frame):
    out = pixelate(frame, result_of([(160, 120)]), radius=32)
    inside = out[100:140, 140:180]
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) <= 16


def test_heads_are_larger_where_neighbours_are_far():
    frame = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    near = [(20 + 10 * column, 20 + 10 * row) for row in range(4) for column in range(4)]
    alone = [(240, 160)]
    out = changed(frame, pixelate(frame, result_of(near + alone)))
    assert out[70:, :150].mean() < 0.2
    assert out[150:170, 216:264].mean() > 0.95


def test_crowds_without_points_are_covered(frame):
    density = np.zeros((30, 40), np.float32)
    density[10:12, 10:20] = 0.5
    out = changed(frame, pixelate(frame, result_of([], density)))
    assert out[80:96, 80:160].mean() > 0.95
    assert not out[120:].any()
    assert not changed(frame, pixelate(frame, result_of([], density), crowded=np.inf)).any()


def test_nobody_and_thousands(frame):
    assert np.array_equal(pixelate(frame, result_of([])), frame)
    many = np.random.default_rng(2).uniform(0, 240, (3000, 2))
    assert pixelate(frame, result_of(many.tolist())).shape == frame.shape


def test_a_radius_past_the_frame_covers_all_of_it(frame):
    out = pixelate(frame, result_of([(5, 5)]), radius=1e12)
    assert len(np.unique(out.reshape(-1, 3), axis=0)) == 1


def test_what_is_refused(frame):
    with pytest.raises(InputError, match="expected 320 x 240 px, as was counted, got 319 x 240"):
        pixelate(frame[:, :-1], result_of([]))
    with pytest.raises(InputError, match="expected uint8"):
        pixelate(frame.astype(float), result_of([]))
    with pytest.raises(ConfigError, match="radius: expected pixels above 0, got inf"):
        pixelate(frame, result_of([]), radius=float("inf"))
    with pytest.raises(ConfigError, match="radius: expected pixels above 0, got 0"):
        pixelate(frame, result_of([]), radius=0)
    with pytest.raises(ConfigError, match="crowded: expected people in a cell"):
        pixelate(frame, result_of([]), crowded=-1)
