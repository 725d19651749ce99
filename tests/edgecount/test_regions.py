"""Regions: parsing, checks, and exact coverage of map cells."""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecount.errors import ConfigError
from edgecount.regions import Region, parse_region, rasterise, read_regions

SQUARE = [(0, 0), (16, 0), (16, 16), (0, 16)]


def cover(
    *polygons: Any,
    size: tuple[int, int] = (64, 48),
    cell: tuple[float, float] = (8.0, 8.0),
) -> NDArray[np.float32]:
    grid = -(-size[1] // int(cell[1])), -(-size[0] // int(cell[0]))
    regions = [Region(str(i), polygon) for i, polygon in enumerate(polygons)]
    return rasterise(regions, size=size, grid=grid, cell=cell)


def shoelace(polygon: Any) -> float:
    x, y = np.asarray(polygon, float).T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def clip(polygon: list[Any], axis: int, limit: float, keep_below: bool) -> list[Any]:
    """Sutherland-Hodgman against one line; right for convex polygons."""
    kept = []
    for a, b in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        a_in, b_in = ((p[axis] <= limit) == keep_below for p in (a, b))
        if a_in:
            kept.append(a)
        if a_in != b_in:
            kept.append(a + (b - a) * (limit - a[axis]) / (b[axis] - a[axis]))
    return kept


def area_in_cell(polygon: Any, column: int, row: int, cell: float) -> float:
    clipped = list(np.asarray(polygon, float))
    for axis, index in ((0, column), (1, row)):
        for limit, below in ((index * cell, False), ((index + 1) * cell, True)):
            if clipped:
                clipped = clip(clipped, axis, limit, below)
    return abs(shoelace(clipped)) if len(clipped) > 2 else 0.0


def test_aligned_square_covers_whole_cells() -> None:
    mask = cover(SQUARE)[0]
    assert mask.shape == (6, 8)
    assert mask[:2, :2].tolist() == [[1, 1], [1, 1]]
    assert mask.sum() == 4


def test_fractions_at_the_border() -> None:
    mask = cover([(4, 2), (12, 2), (12, 8), (4, 8)])[0]
    assert mask[0, :3].tolist() == [0.375, 0.375, 0]


@pytest.mark.parametrize("turn", [1, -1])
def test_direction_does_not_matter(turn: int) -> None:
    polygon = [(3, 5), (60, 11), (31, 44)][::turn]
    assert cover(polygon)[0].sum() * 64 == pytest.approx(abs(shoelace(polygon)), rel=1e-6)


@settings(deadline=None)
@example([0.0, 1.0, 2.0, 2.225073858507e-311], (0.0, 0.0, 5.0))
@example([0.0, 1.0, 2.0, 2.2250738585072014e-308], (0.0, 0.0, 5.0))
@given(
    st.lists(st.floats(0, 2 * np.pi), min_size=3, max_size=12, unique=True),
    st.tuples(st.floats(-10, 75), st.floats(-10, 60), st.floats(5, 60)),
)
def test_matches_clipping_of_convex_polygons(
    angles: list[float], circle: tuple[float, float, float]
) -> None:
    x, y, radius = circle
    angle = np.sort(angles)
    polygon = np.c_[x + radius * np.cos(angle), y + radius * np.sin(angle)]
    if abs(shoelace(polygon)) < 1e-3:
        return
    mask = cover(polygon)[0]
    expected = [[area_in_cell(polygon, j, i, 8.0) / 64 for j in range(8)] for i in range(6)]
    np.testing.assert_allclose(mask, expected, atol=1e-6)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_partition_sums_to_one(seed: int) -> None:
    """A fan of polygons around a point, on a frame whose last cells reach beyond it."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 90)), int(rng.integers(1, 90))
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
    spots = np.sort(np.r_[np.arange(4), rng.uniform(0, 4, int(rng.integers(1, 9)))])
    edge = spots.astype(int) % 4
    rim = corners[edge] + (corners[(edge + 1) % 4] - corners[edge]) * (spots % 1)[:, None]
    centre = rng.uniform(0.05, 0.95, 2)
    fan = [np.array([centre, a, b]) * size for a, b in zip(rim, np.roll(rim, -1, 0), strict=True)]
    fan = [part for part in fan if abs(shoelace(part)) > 1e-9]
    masks = cover(*fan, size=size)
    np.testing.assert_allclose(masks.sum(axis=0, dtype=np.float64), 1.0, atol=1e-6)
    assert masks.min() >= 0
    assert masks.max() <= 1


def test_a_region_beyond_the_frame_covers_all_of_it() -> None:
    mask = cover([(-1e6, -1e6), (1e6, -1e6), (1e6, 1e6), (-1e6, 1e6)], size=(61, 45))[0]
    assert mask.min() == mask.max() == 1


@pytest.mark.parametrize("shift", [(-100, 0), (100, 0), (0, -100), (0, 100)])
def test_a_region_outside_the_frame_is_empty_and_logged(
    shift: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        mask = cover(np.add(SQUARE, shift))
    assert not mask.any()
    assert "outside the 64 x 48 frame" in caplog.text


def test_overlap_with_itself_counts_once() -> None:
    twice = [*SQUARE, *SQUARE]
    assert cover(twice)[0].max() == 1
    bow_tie = [(0, 0), (32, 32), (32, 0), (0, 32)]
    assert cover(bow_tie)[0].max() == 1


def test_not_square_cells() -> None:
    mask = cover([(0, 0), (32, 0), (32, 12), (0, 12)], cell=(16.0, 8.0))[0]
    assert mask.tolist()[:2] == [[1, 1, 0, 0], [0.5, 0.5, 0, 0]]


def test_is_fast_enough_for_a_region_that_moves() -> None:
    angle = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    radius = np.where(np.arange(50) % 2, 300, 500)
    star = Region("star", np.c_[960 + radius * np.cos(angle), 540 + radius * np.sin(angle)])
    times = []
    for _ in range(5):
        start = time.process_time()
        rasterise([star], size=(1920, 1080), grid=(270, 480), cell=(4.0, 4.0))
        times.append(time.process_time() - start)
    assert min(times) < 0.02


@pytest.mark.parametrize(
    ("polygon", "message"),
    [
        ([(0, 0), (1, 1)], r"three or more points \(x, y\), got 2 points$"),
        ([], "three or more points"),
        ([(0, 0, 0)] * 3, "three or more points"),
        ([(0, 0), (1, 0), (0, float("nan"))], "finite"),
        ([(0, 0), (1, 0), (0, float("inf"))], "finite"),
        (np.ma.array([(0, 0), (1, 0), (0, 1)], mask=[(0, 0), (0, 1), (0, 0)]), "masked"),
        ([(0, 0), (1, 1), (5, 5)], "no area"),
        ("gate", "expected points"),
        ([(0, 0), (1,), (2, 2)], "expected points"),
    ],
)
def test_refuses_what_is_no_polygon(polygon: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Region("gate", polygon)


def test_a_region_keeps_its_own_points() -> None:
    points = np.array(SQUARE, float)
    region = Region("gate", points)
    points[0] = 99
    assert region.polygon[0].tolist() == [0, 0]
    with pytest.raises(ValueError, match="read-only"):
        region.polygon[0] = 1


def test_equality_and_hash() -> None:
    assert Region("a", SQUARE) == Region("a", np.array(SQUARE))
    assert len({Region("a", SQUARE), Region("a", SQUARE), Region("b", SQUARE)}) == 2
    assert Region("a", SQUARE) != "a"


@pytest.mark.parametrize(
    ("text", "name"), [("gate:0,0;640,0;640,240", "gate"), (" a:b : 0,0; 640,0 ;640,240", "a:b")]
)
def test_parse(text: str, name: str) -> None:
    assert parse_region(text) == Region(name, [(0, 0), (640, 0), (640, 240)])


@pytest.mark.parametrize(
    "text", ["", "gate", "gate:", ":0,0;1,0;1,1", "gate:0,0;1,0;x,1", "gate:0,0,1;1,0;1,1"]
)
def test_parse_shows_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match="region: expected NAME:x,y;x,y;x,y such as gate:"):
        parse_region(text)


def test_regions_of_every_form() -> None:
    expected = (Region("gate", SQUARE),)
    assert read_regions({"gate": SQUARE}) == expected
    assert read_regions({"gate": Region("other", SQUARE)}) == expected
    assert read_regions([Region("gate", SQUARE)]) == expected
    assert read_regions(None) == ()


def test_two_regions_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="'gate' is given twice"):
        read_regions([Region("gate", SQUARE), Region("gate", SQUARE)])


def test_a_list_of_polygons_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected Region objects or a mapping"):
        read_regions([SQUARE])  # type: ignore[list-item]


SIZE, CELL, GRID = (640, 480), 8.0, (60, 80)


def area(polygon: Any) -> float:
    """Return the pixels that a region covers."""
    cells = rasterise([Region("a", polygon)], size=SIZE, grid=GRID, cell=(CELL, CELL))
    return float(cells.sum() * CELL * CELL)


@pytest.mark.parametrize("far", [2e6, 1e9, 1e16, 1e17, 1e100, 1.7e308])
def test_regions_of_any_size_are_exact_in_the_frame(far: float) -> None:
    assert area([(-far, -far), (far, -far), (far, far), (-far, far)]) == 640 * 480
    assert area([(0, 0), (far, 0), (far, 100), (0, 100)]) == 640 * 100
    assert area([(100, -far), (200, -far), (200, far), (100, far)]) == pytest.approx(100 * 480)
    assert area([(-far, -far), (far, far), (-far, far)]) == pytest.approx(480 * 480 / 2)
    assert area([(far, far), (far, far / 2), (far / 2, far)]) == 0


def test_a_strip_that_is_lost_between_large_numbers_is_there() -> None:
    far = 1e17
    assert area([(0, 0), (100, 0), (far, far), (far - 1600, far)]) == pytest.approx(100 * 480)
    with pytest.raises(ConfigError, match="lie on one line"):
        Region("a", [(0, 0), (far, far), (2 * far, 2 * far)])


def test_a_concave_region_that_is_cut_apart() -> None:
    far = 2e7
    comb = [(100, -far), (200, -far), (200, 400), (300, 400), (300, -far), (400, -far)]
    assert area([*comb, (400, 450), (100, 450)]) == pytest.approx(300 * 450 - 100 * 400)


@pytest.mark.parametrize("name", [1, None, b"gate", ("gate",), "", " "])
def test_names_are_texts(name: Any) -> None:
    with pytest.raises(ConfigError, match="a region needs a name, a text"):
        Region(name, [(0, 0), (1, 0), (1, 1)])


def test_shares_hold_at_any_size() -> None:
    gate = Region("gate", [(0, 0), (0.5, 0), (0.5, 1)], fractions=True)
    assert gate.polygon_in((640, 480)).tolist() == [[0, 0], [320, 0], [320, 480]]
    assert parse_region("gate:0%,0%; 50%,0 %;50%,100%") == gate
    assert gate.in_size((640, 480)) == Region("gate", [(0, 0), (320, 0), (320, 480)])
    corners = [(0, 0), (2, 0), (2, 3)]
    assert Region("gate", corners, fractions=True) != Region("gate", corners)
    assert read_regions({"door": gate})[0].fractions
    for size in ((640, 480), (61, 45), (1920, 1080)):
        cells = rasterise([gate], size=size, grid=(60, 80), cell=(size[0] / 80, size[1] / 60))
        assert cells.mean() == pytest.approx(0.25)


def test_shares_and_pixels_are_not_mistaken() -> None:
    with pytest.raises(ConfigError, match=r"expected shares .* got 640; pixels go without"):
        Region("gate", [(0, 0), (640, 0), (640, 480)], fractions=True)
    hall = [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]
    for make in (
        lambda: Region("hall", hall),
        lambda: read_regions({"hall": hall}),
        lambda: parse_region("hall:0,0;0.5,0;0.5,1;0,1"),
        lambda: Region("hall", [(0, 0), (640, 0), (640, 480)], excluded=[hall]),
    ):
        with pytest.raises(ConfigError, match=r"region 'hall'.*: expected pixels.*fractions=True"):
            make()
    assert area([(0, 0), (1, 0), (1, 1.5), (0, 1.5)]) == 1.5
    tiny = Region("hall", hall, fractions=True).in_size((1, 1))
    assert (tiny.polygon.tolist(), tiny.fractions) == ([list(point) for point in hall], False)
    assert read_regions({"mine": tiny})[0].polygon.tolist() == tiny.polygon.tolist()
    with pytest.raises(ConfigError, match="each number in percent"):
        parse_region("gate:0%,0;50%,0;50%,100%")


def without(polygon: Any, *excluded: Any) -> NDArray[np.float32]:
    region = Region("a", polygon, excluded=excluded)
    return rasterise([region], size=SIZE, grid=GRID, cell=(CELL, CELL))[0]


def test_excluded_areas_count_nowhere() -> None:
    whole = [(0, 0), (640, 0), (640, 480), (0, 480)]
    screen, poster = (
        [(103, 51), (203, 51), (203, 101), (103, 101)],
        [(150, 60), (300, 61), (160, 90)],
    )
    both = without(whole, screen, poster)
    assert both.min() == 0
    one = without(whole, screen)
    assert one.sum() * 64 == pytest.approx(640 * 480 - 100 * 50)
    assert (both <= one + 1e-7).all()
    # What one excludes twice is left out once.
    np.testing.assert_allclose(without(whole, screen, screen), one, atol=1e-7)
    np.testing.assert_allclose(without(whole, whole), 0, atol=1e-7)
    assert not without(screen, whole).any()
    # What lies beyond the region changes nothing.
    above = [(0, 0), (640, 0), (640, 50), (0, 50)]
    np.testing.assert_allclose(without(screen, above), without(screen))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_any_polygons_agree_with_samples(seed: int) -> None:
    """Polygons that cross themselves and each other, against the winding of a grid of points."""
    rng = np.random.default_rng(seed)
    shapes = [rng.uniform(-8, 40, (int(rng.integers(3, 7)), 2)) for _ in range(3)]
    region = Region("a", shapes[0], excluded=shapes[1:])
    mask = rasterise([region], size=(32, 24), grid=(3, 4), cell=(8.0, 8.0))[0]
    x, y = np.meshgrid((np.arange(256) + 0.5) / 8, (np.arange(192) + 0.5) / 8)
    wound = [winding(shape, x, y) != 0 for shape in shapes]
    inside = wound[0] & ~wound[1] & ~wound[2]
    sampled = inside.reshape(3, 64, 4, 64).mean(axis=(1, 3))
    np.testing.assert_allclose(mask, sampled, atol=0.03)


def winding(polygon: NDArray[np.float64], x: Any, y: Any) -> NDArray[np.int64]:
    turns = np.zeros(x.shape, np.int64)
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        right = x < ax + (y - ay) / (by - ay if by != ay else 1) * (bx - ax)
        turns += right & (ay <= y) & (y < by)
        turns -= right & (by <= y) & (y < ay)
    return turns


def test_a_polygon_that_winds_twice_counts_once_in_cells_that_it_cuts() -> None:
    half = [(0, 0), (12, 0), (12, 12), (0, 12)]
    np.testing.assert_array_equal(cover([*half, *half])[0], cover(half)[0])
    bow_tie = [(0, 0), (8, 8), (8, 0), (0, 8)]
    assert cover(bow_tie)[0][0, 0] == 0.5


@pytest.mark.parametrize(
    ("excluded", "message"),
    [
        ([(0, 0), (1, 0), (1, 1)], "excluded: expected polygons, a list for each"),
        ("screen", "excluded: expected polygons"),
        (7, "excluded: expected polygons"),
        ([[(0, 0), (1, 1), (2, 2)]], "excluded area 1: its points lie on one line"),
    ],
)
def test_excluded_areas_are_checked(excluded: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Region("gate", SQUARE, excluded=excluded)


def test_many_corners_are_fast_enough_to_exclude() -> None:
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    ring = np.c_[np.cos(angle), np.sin(angle)]
    region = Region("r", 960 + 900 * ring, excluded=[700 + 300 * ring, 1100 + 300 * ring])
    start = time.process_time()
    mask = rasterise([region], size=(1920, 1920), grid=(480, 480), cell=(4.0, 4.0))
    assert time.process_time() - start < 1
    assert 0 < mask.mean() < 1
