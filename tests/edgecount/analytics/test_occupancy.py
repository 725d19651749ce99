"""Occupancy equals the counter's regions, and stops while the picture moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount import EdgeCounter, Region
from edgecount.analytics import Exclusion, Occupancy
from edgecount.errors import ConfigError, InputError
from edgecount.manifest import Manifest
from edgecount.result import CountResult
from edgecount.scenes import render_scene

SIZE = (320, 240)
LEFT = Region("left", [(0, 0), (0.5, 0), (0.5, 1), (0, 1)], fractions=True)
REST = Region("rest", [(0.5, 0), (1, 0), (1, 1), (0.5, 1)], fractions=True)
SCREEN = [(200.0, 90.0), (290.0, 100.0), (280.0, 200.0), (190.0, 190.0)]
ODD = Region("odd", [(17, 13), (301, 77), (160, 230)], excluded=[SCREEN])


@pytest.fixture(scope="module")
def counter() -> Iterator[EdgeCounter]:
    with EdgeCounter("edgecount-n", threads=1, regions=[LEFT, REST, ODD]) as one:
        yield one


@pytest.fixture(scope="module", params=[12, 150])
def result(request: pytest.FixtureRequest, counter: EdgeCounter) -> CountResult:
    return counter.count(render_scene(request.param, size=SIZE, seed=5).image)


@pytest.fixture
def manifest(counter: EdgeCounter) -> Manifest:
    return counter.manifest


def test_it_equals_the_counters_regions(result: CountResult, counter: EdgeCounter) -> None:
    found = Occupancy(counter.regions, manifest=counter.manifest).update(0.0, result)
    assert found is not None
    assert list(found) == ["left", "rest", "odd"]
    for name, region in result.regions.items():
        assert found[name].density_count == pytest.approx(region.density_count, rel=1e-5, abs=1e-5)
        # Points lie in the cell that they come from, but for a few at its border.
        assert found[name].peak_count == pytest.approx(region.peak_count, rel=0.02, abs=1e-5)
        assert found[name].count == pytest.approx(region.count, rel=0.01, abs=1e-5)
    both = found["left"].count + found["rest"].count
    assert both == pytest.approx(result.count, rel=0.01)


def test_areas_count_nowhere(result: CountResult, counter: EdgeCounter) -> None:
    exclusion = Exclusion([SCREEN], manifest=counter.manifest, regions=counter.regions)
    bare = exclusion.apply(result)
    assert bare.count < result.count
    assert bare.peak_count == len(bare.points) <= len(result.points)
    assert bare.density_count == pytest.approx(float(bare.density.sum()))
    assert bare.regions["left"].density_count == pytest.approx(
        result.regions["left"].density_count, rel=1e-5
    )
    # The whole without the screen is the screen's own count less.
    screen = Occupancy([Region("screen", SCREEN)], manifest=counter.manifest).update(0.0, result)
    assert screen is not None
    assert result.count - bare.count == pytest.approx(screen["screen"].count, abs=2.0)
    assert bare.interval is not None
    assert bare.interval[0] <= bare.count <= bare.interval[1]
    everything = Exclusion(
        [[(0, 0), (1, 0), (1, 1), (0, 1)]], fractions=True, manifest=counter.manifest
    )
    nobody = everything.apply(result)
    assert (nobody.count, nobody.peak_count, nobody.regions) == (0.0, 0, {})


def heads(points: list[tuple[float, float]], size: tuple[int, int] = SIZE) -> CountResult:
    listed = np.array([(x, y, 0.9) for x, y in points], np.float32).reshape(-1, 3)
    return CountResult(
        count=float(len(points)),
        density_count=None,
        peak_count=len(points),
        points=listed,
        density=np.zeros((0, 0), np.float32),
        density_stride_xy=(0.0, 0.0),
        regions={},
        overflow=False,
        size=size,
        model="tiny",
        backend="fake",
    )


def test_models_of_points_alone_need_no_manifest() -> None:
    result = heads([(10, 10), (200, 100), (300, 200), (160, 150)])
    found = Occupancy([LEFT, REST, ODD]).update(0.0, result)
    assert found is not None
    assert {name: one.count for name, one in found.items()} == {"left": 1, "rest": 3, "odd": 1}
    assert found["left"].density_count is None
    bare = Exclusion([SCREEN]).apply(result)
    assert (bare.count, len(bare.points), bare.density_count) == (3.0, 3, None)
    corners = result.points[:, :2]
    boxed = replace(result, boxes=np.hstack([corners - 2, corners + 2]))
    bare = Exclusion([SCREEN]).apply(boxed)
    assert bare.boxes is not None
    np.testing.assert_array_equal(bare.boxes[:, :2] + 2, bare.points[:, :2])


PLACES = {"gate": (0, 60), "stage": (560, 160)}
NOISE = np.random.default_rng(0).integers(-3, 4, (8, 240, 320, 3), dtype=np.int16)


@pytest.fixture(scope="module")
def scene() -> NDArray[np.uint8]:
    """Return a wide picture, of which cameras show parts."""
    return render_scene(60, size=(960, 480), seed=2).image


def view(scene: NDArray[np.uint8], x: float, y: float, step: int = 0) -> NDArray[np.uint8]:
    piece = scene[round(y) : round(y) + 240, round(x) : round(x) + 320]
    return np.clip(piece + NOISE[step % 8], 0, 255).astype(np.uint8)


@pytest.mark.parametrize("fps", [1, 5, 30])
def test_a_camera_that_turns_is_counted_by_its_presets(fps: int, scene: NDArray[np.uint8]) -> None:
    occupancy = Occupancy(
        presets={"gate": [LEFT], "stage": [REST, ODD]},
        pictures={name: view(scene, *place, 5) for name, place in PLACES.items()},
        settle=0.5,
    )
    seen = []
    for step in range(9 * fps):
        time = step / fps
        share = min(max((time - 4) / 2, 0.0), 1.0)  # it turns from 4 s to 6 s
        x, y = np.array(PLACES["gate"]) * (1 - share) + np.array(PLACES["stage"]) * share
        found = occupancy.update(time, heads([(20, 20)]), view(scene, x, y, step))
        seen.append((time, None if found is None else list(found)))
    for time, names in seen:
        if time < 4:
            assert names == ["left"], time
        elif 4.8 <= time <= 6:
            assert names is None, time
        elif time > 7.7:
            assert names == ["rest", "odd"], time


@pytest.mark.parametrize("fps", [1, 30])
def test_people_who_walk_are_no_motion_of_the_camera(fps: int, scene: NDArray[np.uint8]) -> None:
    occupancy = Occupancy([LEFT])
    rng = np.random.default_rng(0)
    people = rng.uniform((0, 40), (320, 240), (30, 2))
    for step in range(3 * fps):
        image = view(scene, *PLACES["gate"], step)
        for x, y in np.add(people, (40 * step / fps, 0)):
            left, top = int(x) % 300, int(y) % 220
            image[top : top + 14, left : left + 9] = (40, 60, 200)
        assert occupancy.update(step / fps, heads([(20, 20)]), image) is not None


def test_a_pause_ends_where_no_more_pictures_are_given(scene: NDArray[np.uint8]) -> None:
    occupancy = Occupancy([LEFT], settle=1.0)
    for step in range(10):
        occupancy.update(step / 5, heads([(20, 20)]), view(scene, 20.0 * step, 0, step))
    assert occupancy.moving
    assert occupancy.update(2.5, heads([(20, 20)])) is None
    assert occupancy.update(3.0, heads([(20, 20)])) is not None
    assert not occupancy.moving


def test_a_told_preset_and_none() -> None:
    occupancy = Occupancy(presets={"gate": [LEFT], "stage": [REST]})
    assert occupancy.update(0.0, heads([])) is None
    found = occupancy.update(1.0, heads([(20, 20)]), preset="gate")
    assert found is not None
    assert (occupancy.preset, found["left"].count) == ("gate", 1.0)
    assert occupancy.update(2.0, heads([(20, 20)])) is None
    with pytest.raises(ConfigError, match=r"preset: expected one of \['gate', 'stage'\], got"):
        occupancy.update(3.0, heads([]), preset="door")


def test_what_is_refused(result: CountResult, manifest: Manifest) -> None:
    with pytest.raises(ConfigError, match="expected regions or presets, got both or neither"):
        Occupancy()
    with pytest.raises(ConfigError, match="expected regions or presets, got both or neither"):
        Occupancy([LEFT], presets={"gate": [LEFT]})
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ConfigError, match=r"pictures: expected one of each preset, \['gate'\]"):
        Occupancy(presets={"gate": [LEFT]}, pictures={"door": image})
    with pytest.raises(InputError, match=r"expected manifest=counter\.manifest"):
        Occupancy([LEFT]).update(0.0, result)
    cut = replace(result, overflow=True, points=result.points[:3])
    with pytest.raises(InputError, match="cut off at 3: expected all of them"):
        Occupancy([LEFT], manifest=manifest).update(0.0, cut)
    with pytest.raises(InputError, match="image: expected uint8"):
        Occupancy([LEFT], manifest=manifest).update(0.0, result, image[..., 0])
    with pytest.raises(ConfigError, match="exclusion: expected one area or more"):
        Exclusion([])
