"""Lines, the map of the ground and alarms in overlays."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount.analytics import Alarm, AlarmRule, GroundPlane, Line, LineCount
from edgecount.analytics.ground import level_limits
from edgecount.drawing import GroundView, draw_ground_map, draw_overlay
from edgecount.drawing._lines import draw_line
from edgecount.drawing._map import _level_colours
from edgecount.regions import Region
from edgecount.result import CountResult

SIZES = [(1, 1), (1, 300), (300, 1), (64, 64), (640, 480), (1920, 1080)]
DOOR = Line("door", (0.5, 1.0), (0.5, 0.0), fractions=True)
# A camera that looks down a square of 10 x 10 m.
CORNERS = [(0.3, 0.3), (0.7, 0.3), (1.0, 1.0), (0.0, 1.0)]


def result_of(size: tuple[int, int], people: float = 0.0, cell: float = 8.0) -> CountResult:
    rows, columns = int(np.ceil(size[1] / cell)), int(np.ceil(size[0] / cell))
    density = np.full((rows, columns), people / (rows * columns), np.float32)
    return CountResult(
        count=people,
        density_count=people,
        peak_count=1,
        points=np.array([(size[0] / 2, size[1] / 2, 0.9)], np.float32),
        density=density,
        density_stride_xy=(cell, cell),
        regions={},
        overflow=False,
        size=size,
        model="tiny",
        backend="fake",
    )


def plane_of(size: tuple[int, int], corners: list[tuple[float, float]] = CORNERS) -> GroundPlane:
    return GroundPlane.from_rectangle(np.array(corners) * size, 10, 10, size)


def alarm_in(state: str) -> Alarm:
    alarm = Alarm(AlarmRule(above=50, below=40, enter=0))
    if state != "quiet":
        alarm.update(0, 80)
    if state == "acknowledged":
        alarm.acknowledge(1)
    if state == "no data":
        alarm.tick(60)
    assert alarm.state.value == state
    return alarm


@pytest.mark.parametrize("size", SIZES)
def test_everything_at_any_size(size: tuple[int, int]) -> None:
    width, height = size
    frame = np.full((height, width, 3), 90, np.uint8)
    overlay = draw_overlay(
        frame,
        result_of(size, 20),
        regions=[Region("left", [(0, 0), (0.5, 0), (0.5, 1)], fractions=True)],
        lines=[DOOR],
        crossed={"door": LineCount(3.2, 1.1, 0.0)},
        ground=GroundView(plane_of(size)),
        alarm=alarm_in("raised"),
    )
    assert overlay.shape == frame.shape
    assert (overlay != frame).any()


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((before != after).any(axis=2))


def test_the_arrow_points_to_the_side_that_is_in() -> None:
    frame = np.full((480, 640, 3), 90, np.uint8)
    for line, inside, outside in (
        (DOOR, slice(330, 365), slice(275, 310)),
        (Line("door", (320, 0), (320, 480)), slice(275, 310), slice(330, 365)),
    ):
        canvas = frame.copy()
        draw_line(canvas, line.in_size((640, 480)), 8, 2)
        drawn = changed(frame, canvas)
        assert drawn[240, inside].any()
        assert not drawn[240, outside].any()


def test_a_line_that_is_half_outside_has_its_arrow_in_the_frame() -> None:
    frame = np.full((480, 640, 3), 90, np.uint8)
    line = Line("door", (320, 480), (320, -4000))
    drawn = changed(frame, draw_overlay(frame, result_of((640, 480)), lines=[line]))
    assert drawn[230:250, 330:360].any()


def test_numbers_of_a_line_are_written() -> None:
    frame, result = np.full((480, 640, 3), 90, np.uint8), result_of((640, 480))
    pictures = [
        draw_overlay(frame, result, lines=[DOOR], crossed={"door": LineCount(into, 0, 0)})
        for into in (3.0, 8.0)
    ]
    assert (pictures[0] != pictures[1]).any()


@pytest.mark.parametrize("state", ["quiet", "raised", "acknowledged", "no data"])
def test_alarms_have_a_band_and_a_frame_each_of_its_own(state: str) -> None:
    frame, result = np.full((480, 640, 3), 90, np.uint8), result_of((640, 480))
    drawn = draw_overlay(frame, result, alarm=alarm_in(state), layers=("alarm",))
    if state == "quiet":
        assert (drawn == frame).all()
        return
    colour = drawn[5, 600].astype(int)
    assert abs(colour - 90).max() > 60
    assert (drawn[478:, 300] == colour).all()
    assert len(np.unique(drawn[:24, :200].reshape(-1, 3), axis=0)) > 2  # words


def test_levels_are_brighter_where_it_is_denser() -> None:
    light = _level_colours()[1:].astype(float) @ (0.114, 0.587, 0.299)
    assert (np.diff(light) > 15).all()


@pytest.mark.parametrize("people", [10.0, 60.0, 400.0])
def test_the_map_has_the_colour_of_the_density(people: float) -> None:
    size = (640, 480)
    plane = GroundPlane.from_rectangle([(0, 0), (640, 0), (640, 480), (0, 480)], 16, 12, size)
    result = dataclasses.replace(result_of(size, people), points=np.zeros((0, 3), np.float32))
    picture = draw_ground_map(result, GroundView(plane, (0, 0, 16, 12)), width=480)
    level = int(np.searchsorted(level_limits(), people / (16 * 12)))
    middle = picture[150, 250].astype(int)
    assert abs(middle - _level_colours()[level]).max() < 40 or level == 0


def test_the_map_of_a_model_without_density_is_of_its_points() -> None:
    size = (640, 480)
    plane = GroundPlane.from_rectangle([(0, 0), (640, 0), (640, 480), (0, 480)], 16, 12, size)
    heads = np.random.default_rng(0).normal((480, 120), 15, (60, 2))
    points = np.column_stack([heads, np.ones(60)]).astype(np.float32)
    bare = dataclasses.replace(result_of(size), density=np.zeros((0, 0), np.float32), points=points)
    picture = draw_ground_map(bare, GroundView(plane, (0, 0, 16, 12)), width=480)
    assert picture[90, 360 + 40].max() > 150  # beside the dots, which hide the middle
    assert picture[270, 120].max() < 110


def marked_at(corners: list[tuple[float, float]]) -> NDArray[np.float64]:
    """Return where on the map the person stands who is near and right in the picture."""
    size = (640, 480)
    result = dataclasses.replace(result_of(size), points=np.array([(500, 440, 1)], np.float32))
    empty = dataclasses.replace(result, points=np.zeros((0, 3), np.float32))
    view = GroundView(plane_of(size, corners))
    pictures = [draw_ground_map(one, view, width=400) for one in (result, empty)]
    rows, columns = np.nonzero(changed(*pictures))
    return np.array([columns.mean(), rows.mean()]) / (400, pictures[0].shape[0])


@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("way", [1, -1])
def test_near_is_below_and_right_is_right_wherever_the_corners_begin(first: int, way: int) -> None:
    corners = CORNERS[::way]
    x, y = marked_at(corners[first:] + corners[:first])
    assert x > 0.5
    assert y > 0.5


def test_ground_that_the_camera_does_not_see_is_darker() -> None:
    size = (640, 480)
    view = GroundView(plane_of(size), (-5, -5, 15, 15))
    picture = draw_ground_map(result_of(size), view, width=480)
    assert picture[300, 20].mean() < picture[200, 240].mean()


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="expected frames of"):
        draw_ground_map(result_of((320, 240)), GroundView(plane_of((640, 480))))
