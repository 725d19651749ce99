"""Square metres of regions, for frames of any size."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from edgecount.analytics import GroundRectangle, RegionAreas
from edgecount.errors import ConfigError
from edgecount.regions import Region

# Seen from straight above: the whole frame is 8 m x 6 m.
FLOOR = GroundRectangle(np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float), 8, 6, fractions=True)
LEFT = Region("left", [(0, 0), (0.5, 0), (0.5, 1), (0, 1)], fractions=True)


@pytest.mark.parametrize("size", [(640, 480), (320, 240), (100, 700)])
def test_of_a_region_in_shares_at_every_size(size: tuple[int, int]) -> None:
    areas = RegionAreas(FLOOR)
    assert areas.area(LEFT, size) == pytest.approx(24)
    assert areas.measure(LEFT, size) == pytest.approx(24)
    assert areas.rectangle is FLOOR


def test_what_is_excluded_is_left_out_of_every_region() -> None:
    screen = [(0.25, 0), (0.75, 0), (0.75, 0.5), (0.25, 0.5)]  # half of it in the left half
    areas = RegionAreas(FLOOR, [screen])
    assert areas.area(LEFT, (640, 480)) == pytest.approx(24 - 6)
    in_pixels = Region("pixels", [(0, 0), (320, 0), (320, 480), (0, 480)])
    assert areas.area(in_pixels, (640, 480)) == pytest.approx(24 - 6)
    pillar = [(0, 0.5), (0.25, 0.5), (0.25, 1), (0, 1)]
    both = Region("both", LEFT.polygon, fractions=True, excluded=[pillar])
    assert areas.area(both, (640, 480)) == pytest.approx(24 - 6 - 6)


def test_what_is_not_known_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    corners = np.array([(0, 0.6), (1, 0.6), (1.5, 1), (-0.5, 1)])
    areas = RegionAreas(GroundRectangle(corners, 8, 6, fractions=True), name="--ground")
    for _ in range(3):
        assert areas.area(LEFT, (640, 480)) is None
    assert areas.area(LEFT.renamed("far"), (320, 240)) is None
    why = "reaches above the horizon of --ground: its people per square metre are not known"
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"region 'left' {why}", f"region 'far' {why}"]
    with pytest.raises(ConfigError, match="region left: expected corners below the horizon"):
        areas.measure(LEFT, (640, 480))
    caplog.clear()
    away = Region("away", [(700, 0), (800, 0), (800, 480)])
    assert RegionAreas(FLOOR).area(away, (640, 480)) is None
    assert "region 'away' covers no ground in the picture: its" in caplog.text
    assert RegionAreas(FLOOR).measure(away, (640, 480)) == 0


def test_without_a_ground_nothing_is_known_and_nothing_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert RegionAreas(None).area(LEFT, (640, 480)) is None
    assert not caplog.records
    with pytest.raises(ConfigError, match="region left: expected a rectangle on the ground"):
        RegionAreas(None).measure(LEFT, (640, 480))


def test_excluded_areas_are_shares() -> None:
    with pytest.raises(ConfigError, match="expected shares of the frame's width and height"):
        RegionAreas(FLOOR, [[(0, 0), (320, 0), (320, 240)]])


def test_many_regions_are_told_once_and_areas_are_sent(caplog: pytest.LogCaptureFixture) -> None:
    areas = pickle.loads(pickle.dumps(RegionAreas(None)))  # noqa: S301
    assert areas.rectangle is None
    corners = np.array([(0.1, 0.1), (0.2, 0.1), (0.1, 0.2)])
    crossed = GroundRectangle(
        np.array([(0.1, 0.9), (0.9, 0.5), (0.9, 0.9), (0.1, 0.5)]), 6, 9, fractions=True
    )
    areas = RegionAreas(crossed)
    many = [Region(f"r{number}", corners, fractions=True) for number in range(300)]
    for _ in range(2):
        assert {areas.area(region, (640, 480)) for region in many} == {None}
    assert len(caplog.messages) == 300
    assert "horizon" not in caplog.text
