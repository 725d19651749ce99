"""The ground: a rendered camera's geometry is found again, and areas and people with it."""

import math

import numpy as np
import pytest

from edgecount.analytics import GroundPlane, GroundRectangle, level_of_service, parse_ground
from edgecount.analytics._blend import contains
from edgecount.errors import ConfigError
from edgecount.regions import Region
from edgecount.result import CountResult

SIZE = (1280, 720)


def project(points, *, height=6.0, pitch=20.0, focal=1000.0):
    """Project (N, 3) metres (x right, y away, z up) by a camera that looks down by ``pitch``."""
    x, y, z = np.asarray(points, float).T
    angle = math.radians(pitch)
    down = height - z
    depth = y * math.cos(angle) + down * math.sin(angle)
    below = down * math.cos(angle) - y * math.sin(angle)
    return np.column_stack([SIZE[0] / 2 + focal * x / depth, SIZE[1] / 2 + focal * below / depth])


def on_ground(x, y, z=0.0):
    return [(x, y, z)]


RECTANGLE = [(-3, 10, 0), (3, 10, 0), (3, 22, 0), (-3, 22, 0)]


@pytest.fixture(scope="module")
def plane():
    return GroundPlane.from_rectangle(project(RECTANGLE), 6.0, 12.0, SIZE)


def test_a_rectangle_gives_the_whole_plane(plane):
    rng = np.random.default_rng(0)
    places = np.column_stack([rng.uniform(-8, 8, 50), rng.uniform(8, 60, 50), np.zeros(50)])
    found = plane.to_metres(project(places))
    assert found == pytest.approx(places[:, :2] - (-3, 10), abs=1e-6)
    assert plane.to_pixels(found) == pytest.approx(project(places), abs=1e-6)


def _area(corners):
    """Return the area of a polygon, which may lie beyond the frame."""
    (x, y), (u, v) = corners.T, np.roll(corners, -1, axis=0).T
    return abs((x * v - y * u).sum()) / 2


def test_areas_are_those_on_the_ground(plane):
    triangle = [(0, 12, 0), (5, 30, 0), (-4, 18, 0)]
    (ax, ay, _), (bx, by, _), (cx, cy, _) = triangle
    expected = abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) / 2
    assert plane.area(project(triangle)) == pytest.approx(expected)
    density, ends = plane.people_per_m2(project(triangle), 40.0, (30.0, 60.0))
    assert density == pytest.approx(40 / expected)
    assert ends == pytest.approx((30 / expected, 60 / expected))
    # Nobody is counted beyond the frame.
    lower = [(0, 500), (1280, 500), (1280, 720), (0, 720)]
    reaching = [(-200, 500), (1500, 500), (1500, 900), (-200, 900)]
    assert plane.people_per_m2(reaching, 3.0)[0] == pytest.approx(
        plane.people_per_m2(lower, 3.0)[0]
    )


def test_polygons_that_cross_themselves_cover_what_they_wind_around(plane):
    square = [(0, 12), (4, 12), (4, 16), (0, 16)]
    corners = project([(*corner, 0) for corner in square])
    assert plane.area(corners) == pytest.approx(16)
    assert plane.area(np.concatenate([corners, corners])) == pytest.approx(16)
    # The two diagonals cross in the middle of the square: two of its four triangles are inside.
    assert plane.area(corners[[0, 2, 1, 3]]) == pytest.approx(8)


def test_a_region_covers_what_the_frame_shows_without_what_is_excluded(plane):
    def region(*areas):
        polygon, *excluded = (project([(*corner, 0) for corner in area]) for area in areas)
        return Region("hall", polygon, excluded=excluded)

    def box(left, near, right, far):
        return [(left, near), (right, near), (right, far), (left, far)]

    hall = box(-2, 12, 4, 20)
    assert plane.area(region(hall)) == pytest.approx(48)
    twice = region(hall, box(0, 14, 2, 16), box(1, 15, 3, 17))
    assert plane.area(twice) == pytest.approx(48 - 7)
    assert plane.area(region(hall, box(3, 18, 9, 30))) == pytest.approx(48 - 2)
    assert plane.area(region(hall, box(6, 12, 9, 20))) == pytest.approx(48)
    assert plane.area(region(hall, box(-9, 9, 9, 30))) == 0
    shares = Region("hall", region(hall).polygon / SIZE, fractions=True)
    assert plane.area(shares) == pytest.approx(48)
    assert plane.area(shares.polygon * SIZE) == pytest.approx(48)
    # People per square metre are those of what is left as well.
    assert plane.people_per_m2(twice, 82.0, (41.0, 123.0)) == (
        pytest.approx(2),
        pytest.approx((1, 3)),
    )
    assert plane.people_per_m2(shares, 48.0)[0] == pytest.approx(1)
    # The rest of a region that reaches out of the frame is not seen.
    lower = Region("lower", [(0, 0.5), (1, 0.5), (1, 1), (0, 1)], fractions=True)
    beyond = Region("beyond", [(-3, 0.5), (4, 0.5), (4, 9), (-3, 9)], fractions=True)
    seen = plane.area([(0, 360), (1280, 360), (1280, 720), (0, 720)])
    assert plane.area(lower) == pytest.approx(seen)
    assert plane.area(beyond) == pytest.approx(seen)
    away = Region("away", [(-3, 0.5), (-2, 0.5), (-2, 9)], fractions=True)
    assert plane.area(away) == 0
    rng = np.random.default_rng(3)
    places = rng.uniform((0, 360), (1280, 720), (200_000, 2))
    star = rng.uniform((-0.2, 0.5), (1.2, 1.1), (9, 2))
    odd = Region("odd", star, fractions=True, excluded=[rng.uniform(0.4, 1, (5, 2))])
    inside = contains(odd.in_size(SIZE), places, SIZE)
    step = 0.5
    ground = [plane.to_metres(places + move) for move in ((0, 0), (step, 0), (0, step))]
    (ax, ay), (bx, by) = (ground[1] - ground[0]).T, (ground[2] - ground[0]).T
    local = np.abs(ax * by - ay * bx) / step**2
    expected = float(local[inside].sum()) / len(places) * 1280 * 360
    assert plane.area(odd) == pytest.approx(expected, rel=0.02)
    level = GroundPlane.from_rectangle(project(RECTANGLE, pitch=5), 6.0, 12.0, SIZE)
    with pytest.raises(ConfigError, match="region high: expected corners below the horizon"):
        level.area(Region("high", [(0, 0), (1280, 0), (640, 700)]))


def test_there_is_no_ground_above_the_horizon(plane):
    above = [(640, -40), (600, -500)]  # the horizon is 4 px above the frame
    assert np.isnan(plane.to_metres(above)).all()
    low = GroundPlane.from_rectangle(project(RECTANGLE, pitch=5), 6.0, 12.0, SIZE)
    with pytest.raises(ConfigError, match="region polygon: expected corners below the horizon"):
        low.area([(640, 0), (1000, 700), (200, 700)])


def test_corners_that_are_shares_by_mistake_are_refused():
    corners = np.array([(0.3, 0.6), (0.7, 0.6), (1, 1), (0, 1)])
    for make in (
        lambda: GroundPlane.from_rectangle(corners, 6.0, 9.0, SIZE),
        lambda: GroundRectangle(corners, 6.0, 9.0),
        lambda: parse_ground("0.3,0.6;0.7,0.6;1,1;0,1=6x9"),
    ):
        with pytest.raises(ConfigError, match=r"expected pixels, got .* a pixel at most"):
            make()
    for size in ((1, 1), SIZE):
        assert GroundRectangle(corners, 6.0, 9.0, fractions=True).in_size(size).size == size


@pytest.mark.parametrize("pitch", [0.0, 8.0, 15.0, 25.0, 35.0, 45.0])
def test_heights_of_people_give_the_plane(pitch):
    rng = np.random.default_rng(1)
    near, far = (12, 40) if pitch < 20 else (5, 14)
    places = np.column_stack([rng.uniform(-5, 5, 12), rng.uniform(near, far, 12), np.zeros(12)])
    view = {"height": 5.0, "pitch": pitch, "focal": 1100.0}
    feet, heads = project(places, **view), project(places + np.array([0, 0, 1.7]), **view)
    degrees = 2 * math.degrees(math.atan(SIZE[0] / 2 / 1100.0))
    plane = GroundPlane.from_heights(feet, heads, SIZE, field_of_view=degrees)
    square = [(-2, 10, 0), (2, 10, 0), (2, 14, 0), (-2, 14, 0)]
    assert _area(plane.to_metres(project(square, **view))) == pytest.approx(16.0, rel=1e-3)
    assert plane.to_metres(project(places, **view)) == pytest.approx(places[:, :2], abs=0.02)
    # Heads and feet are marked by hand: a pixel off, here and there.
    shaken = [ends + rng.normal(0, 1, ends.shape) for ends in (feet, heads)]
    plane = GroundPlane.from_heights(*shaken, SIZE, field_of_view=degrees)
    assert _area(plane.to_metres(project(square, **view))) == pytest.approx(16.0, rel=0.12)


def result_with(density, stride):
    grid = np.asarray(density, np.float32)
    return CountResult(
        count=float(grid.sum()),
        density_count=float(grid.sum()),
        peak_count=None,
        points=np.zeros((0, 3), np.float32),
        density=grid,
        density_stride_xy=stride,
        regions={},
        overflow=False,
        size=SIZE,
        model="tiny",
        backend="fake",
    )


def test_a_map_from_above_holds_the_people_where_they_stand(plane):
    grid = np.zeros((90, 160), np.float32)
    ((x, y),) = project(on_ground(1.0, 15.0))
    grid[int(y / 8), int(x / 8)] = 6.0
    result = result_with(grid, (8.0, 8.0))
    extent = (-2.0, -2.0, 8.0, 14.0)
    seen = plane.map_density(result, extent, cell=1.0)
    assert seen.shape == (16, 10)
    assert seen.sum() == pytest.approx(6.0)
    row, column = np.unravel_index(seen.argmax(), seen.shape)
    # 4 m to the right of the rectangle's first corner, and 5 m beyond it.
    assert (column + 0.5 - 2.0, 14.0 - row - 0.5) == pytest.approx((4.0, 5.0), abs=1.0)
    nowhere = plane.map_density(result, (50.0, 50.0, 60.0, 60.0))
    assert nowhere.sum() == 0


def test_people_spread_evenly_are_as_dense_everywhere(plane):
    rows, columns = np.mgrid[240:720:8, 0:1280:8] + 4.0
    grid = np.zeros((90, 160), np.float32)
    # The ground of a pixel is the determinant of the map's derivative; here by differences.
    middles = np.column_stack([columns.ravel(), rows.ravel()])
    steps = np.array([[0.5, 0.0], [0.0, 0.5]])
    right, down = (plane.to_metres(middles + s) - plane.to_metres(middles - s) for s in steps)
    areas = np.abs(right[:, 0] * down[:, 1] - right[:, 1] * down[:, 0]) * 64
    grid[30:] = 2.0 * areas.reshape(60, 160)
    seen = plane.map_density(result_with(grid, (8.0, 8.0)), (0.0, 0.0, 6.0, 12.0), cell=2.0)
    assert seen == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("cell", [0.5, 0.7, 1.3, 3.9])
def test_a_map_whose_sides_are_no_multiple_of_its_cells_holds_nobody_else(plane, cell):
    grid = np.ones((90, 160), np.float32)
    left, near, right, far = extent = (0.0, 0.0, 4.0, 10.0)
    rows, columns = np.mgrid[0:720:8, 0:1280:8] + 4.0
    x, y = plane.to_metres(np.column_stack([columns.ravel(), rows.ravel()])).T
    # Below the horizon: points above it have a place behind the camera.
    people = ((x >= left) & (x < right) & (y > near) & (y <= far)).sum()
    seen = plane.map_density(result_with(grid, (8.0, 8.0)), extent, cell=cell)
    assert cell**2 * seen.sum() == pytest.approx(people, rel=0.05)


@pytest.mark.parametrize(
    ("density", "walkway", "queue"),
    [(0, "A", "A"), (0.3, "A", "A"), (0.4, "B", "A"), (0.6, "C", "A"), (0.9, "D", "B"),
     (1.5, "E", "C"), (2.5, "F", "D"), (4.0, "F", "E"), (6.0, "F", "F")],
)  # fmt: skip
def test_levels_of_service(density, walkway, queue):
    assert level_of_service(density) == walkway
    assert level_of_service(density, "queue") == queue


def test_what_makes_no_plane():
    good = project(RECTANGLE)
    with pytest.raises(ConfigError, match="expected 4 points, got 3"):
        GroundPlane.from_rectangle(good[:3], 1, 1, SIZE)
    with pytest.raises(ConfigError, match="convex quadrilateral"):
        GroundPlane.from_rectangle(good[[0, 2, 1, 3]], 1, 1, SIZE)
    with pytest.raises(ConfigError, match="depth: expected metres above 0, got 0"):
        GroundPlane.from_rectangle(good, 1, 0, SIZE)
    feet, heads = [(100, 500), (700, 300)], [(100, 300), (700, 220)]
    made = GroundPlane.from_heights(feet, heads, SIZE, field_of_view=60)
    assert made.area([(400, 600), (800, 600), (700, 400)]) > 0
    for wrong, text in (
        ({"heads": [(100, 520), (700, 220)]}, "each above its feet"),
        ({"feet": [(100, 500), (700, 500)]}, "all in one row"),
        ({"heads": [(100, 460), (700, 100)]}, "nearer people to look taller"),
        ({"feet": feet[:1], "heads": heads[:1]}, "2 or more, got 1 and 1"),
        ({"field_of_view": 0}, "degrees, 1 to 170"),
        ({"height": -1}, "metres above 0"),
    ):
        given = {"feet": feet, "heads": heads, "size": SIZE, "field_of_view": 60, **wrong}
        with pytest.raises(ConfigError, match=text):
            GroundPlane.from_heights(**given)
    with pytest.raises(ConfigError, match="expected a density map"):
        made.map_density(result_with(np.zeros((0, 0)), (0.0, 0.0)), (0, 0, 1, 1))
    with pytest.raises(ConfigError, match="expected 0 or more"):
        level_of_service(-1)
    with pytest.raises(ConfigError, match="walkway or queue"):
        level_of_service(1, "stairs")


@pytest.mark.parametrize(
    "text",
    [
        "190,290;450,290;640,480;0,480=6x9",
        "29.6875%,60.41666667%;70.3125%,60.41666667%;100%,100%;0%,100% = 6 X 9",
    ],
)
def test_a_rectangle_as_text(text):
    plane = parse_ground(text).in_size((640, 480))
    found = plane.to_metres([(190, 290), (640, 480)])
    assert found == pytest.approx(np.array([[0, 0], [6, 9]]), abs=1e-6)


@pytest.mark.parametrize(
    "text", ["", "1,2;3,4=1x2", "0,0;9,0;9,9;0,9", "0,0;9,0;9,9;0,9=6", "0,0;9%,0;9,9;0,9=6x9"]
)
def test_a_rectangle_as_text_shows_an_example(text):
    with pytest.raises(ConfigError, match="ground: expected x,y;x,y;x,y;x,y=WIDTHxDEPTH"):
        parse_ground(text)


def test_a_rectangle_as_text_is_checked():
    with pytest.raises(ConfigError, match="ground: corners: expected a convex quadrilateral"):
        parse_ground("0,0;9,9;9,0;0,9=6x9")
    with pytest.raises(ConfigError, match="ground: width: expected metres above 0, got -6"):
        parse_ground("0,0;9,0;9,9;0,9=-6x9")


def test_places_beyond_the_horizon_are_nowhere():
    plane = parse_ground("190,290;450,290;640,480;0,480=6x9").in_size((640, 480))
    there = plane.to_pixels([(3.0, 5.0), (3.0, -1e3)])
    assert not np.isnan(there[0]).any()
    assert np.isnan(plane.to_metres([(320.0, 0.0)])).all()
    with pytest.raises(ConfigError, match="expected corners below the horizon"):
        plane.people_per_m2([(0, 0), (640, 0), (640, 480)], 3.0)
    around = [(450, 290), (190, 290), (0, 480), (640, 480)]  # the other way
    other = GroundPlane.from_rectangle(around, 6.0, 9.0, (640, 480))
    assert not np.isnan(other.to_metres([(320.0, 470.0)])).any()


def test_a_map_of_too_many_cells_is_refused():
    plane = parse_ground("0,0;9,0;9,9;0,9=6x9").in_size(SIZE)
    result = result_with(np.ones((90, 160)), (8.0, 8.0))
    with pytest.raises(ConfigError, match="cell: expected larger ones"):
        plane.map_density(result, (0, 0, 1e5, 1e5), 0.5)


def test_shares_without_percent_are_refused():
    with pytest.raises(
        ConfigError, match=r"ground: expected pixels, .*or percent on the command line"
    ):
        parse_ground("0,0;1,0;1,1;0,1=6x9")
    plane = parse_ground("0%,0%;100%,0%;100%,100%;0%,100%=6x9").in_size((640, 480))
    assert plane.size == (640, 480)
