"""Analysis of a camera's pictures; times are the tests' own, so that hours pass at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edgecount import CountResult, EdgeCounter, FakeBackend
from edgecount.watch.camera.analysis import Analysed, Analysis
from edgecount.watch.camera.view import Picture
from edgecount.watch.config import (
    AlarmConfig,
    CameraConfig,
    GroundConfig,
    LineConfig,
    RegionConfig,
    SmoothConfig,
)
from edgecount.watch.readings import Kept, Reading

WALL = 1_700_000_000.0
LEFT = RegionConfig(((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
LOW = RegionConfig(((0, 0.6), (0.5, 0.6), (0.5, 1), (0, 1)))
SIZE = (320, 240)


def scene(seed: int = 0) -> np.ndarray:
    blocks = np.random.default_rng(seed).integers(40, 220, (12 + seed, 16 + seed, 3), np.uint8)
    return cv2.resize(blocks, SIZE, interpolation=cv2.INTER_NEAREST)


def noisy(image: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(-3, 4, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def counted(points: Sequence[tuple[float, float]], image: np.ndarray) -> CountResult:
    with EdgeCounter(backend=FakeBackend(points)) as counter:
        return counter.count(image)


class Watched:
    """An analysis whose pictures come every fifth of a second."""

    def __init__(self, before: Watched | None = None, **section: object) -> None:
        section.setdefault("smooth", SmoothConfig(0, 0))
        self.config = CameraConfig("rtsp://door", **section)
        with EdgeCounter(backend=FakeBackend([])) as counter:
            manifest = counter.manifest
        self.analysis = Analysis(
            "door",
            self.config,
            manifest,
            kept=Kept(),
            now=WALL,
            before=None if before is None else before.analysis,
        )
        self.time = 0.0 if before is None else before.time
        self.events: list[tuple[str, str]] = []

    def show(
        self, image: np.ndarray, points: Sequence[tuple[float, float]] = (), seconds: float = 0.2
    ) -> Analysed:
        for _ in range(round(seconds / 0.2)):
            self.time += 0.2
            picture = noisy(image, round(self.time * 10))
            found = self.analysis.update(
                self.time, WALL + self.time, picture, counted(points, picture)
            )
            self.events += [(event.kind, event.change) for event in found.events]
        return found


def test_counts_of_the_picture_of_regions_and_of_their_ground():
    ground = GroundConfig(((0.25, 0.5), (0.75, 0.5), (1, 1), (0, 1)), 5, 8)
    watched = Watched(regions={"left": LEFT, "low": LOW}, ground=ground)
    found = watched.show(scene(), [(40, 200), (60, 200), (100, 50), (300, 50)])
    assert (found.count, found.smooth, found.picture) == (4, 4, "learning")
    assert {name: one.count for name, one in found.regions.items()} == {"left": 3, "low": 2}
    assert found.regions["left"].per_m2 is None  # it reaches above the horizon
    low = found.regions["low"]
    area = watched.analysis.ground.area(watched.analysis.regions[1], SIZE)
    assert low.per_m2 == pytest.approx(2 / area)
    assert low.level in "ABCDEF"


def test_the_ground_of_a_region_is_without_what_the_camera_excludes():
    ground = GroundConfig(((0.25, 0.5), (0.75, 0.5), (1, 1), (0, 1)), 5, 8)
    right = ((0.5, 0.5), (1, 0.5), (1, 1), (0.5, 1))
    floor = RegionConfig(((0.25, 0.5), (0.75, 0.5), (1, 1), (0, 1)))
    crossed = RegionConfig(((0.25, 0.5), (1, 1), (0.75, 0.5), (0, 1)))
    regions = {"floor": floor, "crossed": crossed}

    def areas(**settings):
        analysis = Watched(regions=regions, ground=ground, **settings).analysis
        return [analysis.ground.area(region, SIZE) for region in analysis.regions]

    whole, bow = areas()
    assert whole == pytest.approx(40)
    assert 0 < bow < whole  # it crosses itself
    assert areas(excluded=(right,))[0] == pytest.approx(20)


def test_nobody_counts_in_excluded_areas():
    screen = ((0.5, 0), (1, 0), (1, 1), (0.5, 1))
    watched = Watched(excluded=(screen,), regions={"left": LEFT})
    found = watched.show(scene(), [(40, 200), (300, 50)])
    assert (found.count, found.regions["left"].count) == (1, 1)
    assert len(found.result.points) == 1


def test_smoothed_counts_drop_what_is_short():
    watched = Watched(smooth=SmoothConfig(3, 0), regions={"left": LEFT})
    watched.show(scene(), [(40, 200)], seconds=3)
    found = watched.show(scene(), [(40, 200), (60, 50), (80, 90)])
    assert (found.count, found.smooth) == (3, 1)
    assert (found.regions["left"].count, found.regions["left"].smooth) == (3, 1)


def test_a_covered_lens_counts_nothing_and_is_told_once():
    alarm = AlarmConfig(3, enter=0, stale=8)
    watched = Watched(regions={"left": LEFT}, alarms={"full": alarm})
    watched.show(scene(), [(40, 200)], seconds=8)
    found = watched.show(np.full((240, 320, 3), 20, np.uint8), seconds=7)
    assert not found.is_trusted
    assert (found.picture, found.count, found.smooth, found.result) == ("covered", None, None, None)
    assert found.regions == {}
    assert watched.events == [("picture", "covered")]
    watched.show(np.full((240, 320, 3), 20, np.uint8), seconds=8)
    assert watched.events[-1] == ("alarm", "lost")
    found = watched.show(scene(), [(40, 200)], seconds=8)
    assert (found.picture, found.count) == ("good", 1)
    assert watched.events[2:] == [("picture", "good"), ("alarm", "back")]


def test_a_camera_that_turns_counts_nothing():
    watched = Watched()
    watched.show(scene(), [(40, 200)], seconds=8)
    for step in range(5):
        found = watched.show(np.roll(scene(), 12 * step, axis=1), [(40, 200)])
    assert (found.picture, found.count) == ("moving", None)
    found = watched.show(scene(7), seconds=12)
    assert found.picture == "turned"
    watched.analysis.restart()
    assert watched.show(scene(7), [(40, 200)], seconds=3).count == 1


def test_pictures_that_are_not_checked_count_as_they_are():
    watched = Watched(check_picture=False)
    found = watched.show(np.zeros((240, 320, 3), np.uint8), [(40, 200)], seconds=8)
    assert (found.picture, found.count) == ("good", 1)


def test_people_who_cross_a_line():
    watched = Watched(lines={"door": LineConfig((0.5, 1), (0.5, 0))}, check_picture=False)
    for step in range(24):
        found = watched.show(scene(), [(40 + 10 * step, 120)])
    assert found.lines["door"].into == pytest.approx(1)
    assert watched.analysis.crossed(WALL + watched.time) == found.lines


def test_another_section_keeps_alarms_and_what_was_learned():
    alarms = {"full": AlarmConfig(1, enter=0)}
    first = Watched(alarms=alarms)
    first.show(scene(), [(40, 200), (60, 50)], seconds=8)
    second = Watched(first, alarms=alarms, regions={"left": LEFT})
    found = second.show(scene(), [(40, 200), (60, 50)])
    assert (found.picture, second.events) == ("good", [])
    assert second.analysis.alarms.states()["full"]["state"] == "raised"


def test_another_size_keeps_regions_in_place():
    watched = Watched(regions={"left": LEFT}, lines={"door": LineConfig((0.5, 1), (0.5, 0))})
    watched.show(scene(), [(40, 200)])
    large = cv2.resize(scene(), (640, 480), interpolation=cv2.INTER_NEAREST)
    assert watched.show(large, [(80, 400), (500, 400)]).regions["left"].count == 1


def picture(*, pixelated: bool) -> Picture:
    image = scene()
    result = counted([(60, 60), (200, 150)], image)
    watched = Watched(regions={"left": LEFT}, lines={"door": LineConfig((0.5, 1), (0.5, 0))})
    reading = Reading(
        "door", WALL, 2, None, None, None, {}, {}, "good", night=False, health=None, result=result
    )
    return Picture(reading, image, result, pixelated=pixelated, analysis=watched.analysis)


def test_heads_are_pixelated_in_what_is_shown():
    hidden, bare = picture(pixelated=True), picture(pixelated=False)
    assert (bare.image() == scene()).all()
    assert (hidden.original == scene()).all()
    assert (hidden.image()[50:70, 50:70] != scene()[50:70, 50:70]).any()
    assert hidden.image() is hidden.image()


def test_a_jpeg_is_encoded_once():
    shown = picture(pixelated=True)
    plain = shown.jpeg()
    assert shown.jpeg() is plain
    assert cv2.imdecode(np.frombuffer(plain, np.uint8), 1).shape == (240, 320, 3)
    small = shown.jpeg(width=160)
    assert cv2.imdecode(np.frombuffer(small, np.uint8), 1).shape == (120, 160, 3)
    assert shown.jpeg(["points", "regions", "lines", "count"]) != plain


def test_alarms_by_low_without_an_interval_go_on_by_the_count_and_are_told_once(caplog):
    alarms = {"packed": AlarmConfig(1, enter=0, by="low"), "plain": AlarmConfig(1, enter=0)}
    shrunk = replace(counted([(40, 200), (60, 50)], scene()), interval=None)
    first = Watched(alarms=alarms)
    events = first.analysis.update(1.0, WALL, scene(), shrunk).events
    assert [event.detail for event in events] == ["the picture: more than 1 people"] * 2
    for watched in (first, Watched(first, alarms=alarms), Watched(alarms={"a": alarms["plain"]})):
        watched.analysis.update(2.0, WALL, scene(), shrunk)
    (warning,) = caplog.records
    assert warning.getMessage().startswith("door: alarms by low (packed) compare the plain count: ")
    assert (warning.levelname, warning.camera) == ("WARNING", "door")


def test_an_alarm_by_low_looks_at_the_end_of_the_interval(caplog):
    watched = Watched(alarms={"packed": AlarmConfig(5, enter=0, by="low")})
    result = replace(counted([(40, 200)], scene()), count=9.0, interval=(6.0, 12.0))
    (raised,) = watched.analysis.update(1.0, WALL, scene(), result).events
    assert (raised.count, raised.detail) == (6.0, "the picture: surely more than 5 people")
    assert caplog.records == []


def test_a_region_without_ground_is_told_once(caplog):
    ground = GroundConfig(((0.25, 0.5), (0.75, 0.5), (1, 1), (0, 1)), 5, 8)
    Watched(regions={"left": LEFT}, ground=ground).show(scene(), seconds=1)
    (warning,) = caplog.records
    assert warning.getMessage().startswith(
        "region 'left' reaches above the horizon of the ground: its people per square metre are "
    )
