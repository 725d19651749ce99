"""Another config while the service runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from watching import LEFT, Kept, config, section, until

from edgecount import ConfigError, EdgeCounter, LiveOptions
from edgecount.fake import FakeCamera, HeadBackend, Show
from edgecount.runtime.backends import DeviceBackend
from edgecount.runtime.sources.live import SourceState
from edgecount.watch.config import AlarmConfig, LineConfig, RegionConfig, WatchConfig
from edgecount.watch.service import Service, service
from edgecount.watch.service.counting import Counting


@pytest.fixture
def cameras() -> dict[str, FakeCamera]:
    every = LiveOptions(newest=False)  # a busy machine may be too slow for twenty a second
    return {
        name: FakeCamera(
            [Show(600, people=people)], name=name, fps=20, size=(320, 240), options=every
        )
        for name, people in (("door", 5), ("hall", 8))
    }


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    # A busy machine may hold up the sink's thread for longer than its queue lasts.
    monkeypatch.setattr("edgecount.watch.sinks.base._PICTURES", 4096)
    return Kept(images=True)  # with results, which tell the pictures' numbers


@pytest.fixture
def running(counter: EdgeCounter, cameras: dict[str, FakeCamera], kept: Kept) -> Iterator[Service]:
    sections = {name: section(every_frame=True) for name in cameras}
    with Service(config(sections), counter=counter, sinks=[kept], sources=cameras) as made:
        until(lambda: kept.of("door") and kept.of("hall"))
        yield made


def changed(old: WatchConfig, name: str, **options: Any) -> WatchConfig:
    return replace(old, cameras={**old.cameras, name: replace(old.cameras[name], **options)})


def test_cameras_that_did_not_change_lose_no_picture(running: Service, kept: Kept):
    door, hall = running.cameras["door"], running.cameras["hall"]
    for people in range(1, 6):
        alarms = {"full": AlarmConfig(people)}
        running.reload(changed(running.config, "door", regions={"left": LEFT}, alarms=alarms))
        seen = len(kept.of("hall"))
        until(lambda: len(kept.of("hall")) > seen + 1)  # noqa: B023
    until(lambda: kept.of("door")[-1].regions)
    assert (running.cameras["door"], running.cameras["hall"]) == (door, hall)
    for name in ("door", "hall"):
        numbers = [one.result.frame for one in kept.of(name)]
        assert numbers == list(range(len(numbers)))  # none was lost, and none came twice
        assert running.cameras[name].health().reconnects == 0
    assert (kept.opened, kept.closed) == (1, 0)
    assert {one.count for one in kept.of("door")} == {5}


def test_a_picture_from_before_a_reload_is_drawn_after_it(running: Service, kept: Kept):
    running.reload(changed(running.config, "door", regions={"left": LEFT}))
    until(lambda: kept.of("door")[-1].regions)
    old = kept.of("door")[-1]
    alarms = {"full": AlarmConfig(1, enter=0)}
    lines = {"line": LineConfig((0.5, 1), (0.5, 0))}
    right = RegionConfig(((0.5, 0), (1, 0), (1, 1), (0.5, 1)))
    running.reload(
        changed(running.config, "door", regions={"right": right}, lines=lines, alarms=alarms)
    )
    until(lambda: kept.of("door")[-1].alarms)
    door = running.cameras["door"]
    for reading in (old, kept.of("door")[-1]):
        assert (door.drawn(reading.image, reading) != reading.image).any()


def test_lines_and_alarms_of_a_camera_that_moves_to_another_address_go_on(
    running: Service, kept: Kept
):
    alarms = {"full": AlarmConfig(1, enter=0)}
    running.reload(changed(running.config, "door", alarms=alarms))
    until(lambda: kept.changes(kind="alarm") == ["raised"])
    running.acknowledge("door", "full")
    running.reload(changed(running.config, "door", alarms=alarms, source="rtsp://other"))
    new = running.cameras["door"]
    until(new.latest)
    assert new.alarms()["full"]["state"] == "acknowledged"
    running.reload(changed(running.config, "door", alarms={}))
    until(lambda: kept.changes(kind="alarm") == ["raised", "acknowledged", "cleared"])


def test_cameras_come_and_go(
    running: Service, cameras: dict[str, FakeCamera], kept: Kept, counter: EdgeCounter
):
    first = running.cameras["hall"]
    only = replace(running.config, cameras={"door": running.config.cameras["door"]})
    running.reload(only)
    assert list(running.cameras) == ["door"]
    assert first.health().state is SourceState.IDLE
    seen = len(kept.of("hall"))
    both = replace(only, cameras={**only.cameras, "hall": section()})
    running.reload(both)
    until(lambda: len(kept.of("hall")) > seen)
    assert list(running.cameras) == ["door", "hall"]


def test_raised_alarms_of_what_goes_are_cleared(running: Service, kept: Kept):
    alarms = {"full": AlarmConfig(1, enter=0), "busy": AlarmConfig(2, enter=0)}
    running.reload(changed(running.config, "door", alarms=alarms))
    running.reload(changed(running.config, "hall", alarms=alarms))
    until(
        lambda: [kept.changes(name, "alarm").count("raised") for name in ("door", "hall")] == [2, 2]
    )
    moved = {"busy": alarms["busy"]}
    running.reload(changed(running.config, "door", source="rtsp://other", alarms=moved))
    running.reload(replace(running.config, cameras={"door": running.config.cameras["door"]}))
    until(lambda: kept.changes("hall", "alarm").count("cleared") == 2)
    cleared = [(one.camera, one.name) for one in kept.events if one.change == "cleared"]
    assert sorted(cleared) == [("door", "full"), ("hall", "busy"), ("hall", "full")]


def test_another_source_is_opened_anew_and_its_lines_go_on(running: Service, kept: Kept):
    lines = {"line": LineConfig((0.5, 1), (0.5, 0))}
    running.reload(changed(running.config, "door", lines=lines))
    door = running.cameras["door"]
    until(lambda: door.latest().lines)
    since = door.latest().lines["line"].since
    running.reload(changed(running.config, "door", lines=lines, source="rtsp://other"))
    new = running.cameras["door"]
    assert new is not door
    until(new.latest)
    assert new.latest().lines["line"].since == since


def test_a_config_that_cannot_be_used_changes_nothing(
    running: Service, kept: Kept, monkeypatch: pytest.MonkeyPatch
):
    before = running.config, dict(running.cameras)

    def refuse(*_: object, **__: object) -> None:
        raise ConfigError("no such thing")

    monkeypatch.setattr(service, "Camera", refuse)
    with pytest.raises(ConfigError, match="no such thing"):
        running.reload(changed(running.config, "door", source="rtsp://other"))
    assert (running.config, dict(running.cameras)) == before
    seen = len(kept.of("door"))
    until(lambda: len(kept.of("door")) > seen)


def test_another_model_is_taken_while_cameras_go_on(
    cameras: dict[str, FakeCamera], monkeypatch: pytest.MonkeyPatch
):
    made: list[EdgeCounter] = []

    def make(config: WatchConfig) -> EdgeCounter:
        made.append(EdgeCounter(config.model, backend=HeadBackend()))
        return made[-1]

    monkeypatch.setattr(service, "open_counter", make)
    kept = Kept()
    sections = {name: section() for name in cameras}
    with Service(config(sections), sinks=[kept], sources=cameras) as running:
        until(lambda: kept.of("door"))
        running.reload(replace(running.config, model="edgecount-n"))
        seen = len(kept.of("door"))
        until(lambda: len(kept.of("door")) > seen + 1)
        assert running.cameras["door"].health().reconnects == 0
    assert [one.manifest.name for one in made] == ["edgecount-s", "edgecount-n"]
    for one in made:
        with pytest.raises(Exception, match="the counter is closed"):
            one.count(np.zeros((8, 8, 3), np.uint8))


class Batches(DeviceBackend):
    """An engine on a GPU as far as it is asked before it is run."""

    name = "batches"
    batches = (1, 3)

    def __init__(self) -> None:
        pass


for _method in DeviceBackend.__abstractmethods__ - {"batches", "name"}:
    setattr(Batches, _method, lambda *_: None)
Batches.__abstractmethods__ = frozenset()


class Counter:
    """A counter that notes how many pictures it is given at once."""

    def __init__(self, counter: EdgeCounter) -> None:
        self.manifest = counter.manifest
        self.backend = Batches()
        self.sizes: list[list[tuple[int, ...]]] = []
        self._counter = counter

    def count_batch(self, images: list[np.ndarray]) -> Any:
        self.sizes.append([image.shape for image in images])
        return self._counter.count_batch(images)


def test_an_engine_that_takes_batches_gets_them(counter: EdgeCounter):
    sizes = [(320, 240), (640, 480), (320, 240), (640, 480), (320, 240)]
    batched, kept = Counter(counter), Kept()
    sections = {f"c{number}": section() for number in range(len(sizes))}
    cameras = {
        name: FakeCamera([Show(600, people=people)], name=name, size=size, fps=50)
        for people, (name, size) in enumerate(zip(sections, sizes, strict=True))
    }
    views = Service(config(sections), counter=counter, sinks=[kept], sources=cameras)
    counting = Counting(batched, lambda reading, _: kept.reading(reading), kept.event)
    counting.use(list(views.cameras.values()))
    counting.start()
    until(lambda: all(len(kept.of(name)) > 3 for name in cameras))
    counting.stop(10)
    views.stop()
    assert all(len(one) <= 3 for one in batched.sizes)
    assert all(one == sorted(one) for one in batched.sizes)
    assert {len(one) for one in batched.sizes} - {1}  # some came together
    for people, name in enumerate(cameras):  # and each camera has its own count
        assert {one.count for one in kept.of(name)} == {people}


def test_an_alarm_by_low_that_has_no_interval_is_no_reload(running: Service):
    before = running.config
    low = {"packed": AlarmConfig(5, by="low")}
    with pytest.raises(ConfigError, match=r"^cameras\.door\.alarms\.packed\.by: .* with zoom 1 "):
        running.reload(replace(changed(before, "door", alarms=low), zoom=1))
    assert running.config is before
    running.reload(changed(before, "door", alarms=low))
