"""The service over fake cameras, which are counted exactly."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from watching import LEFT, SECONDS, Kept, config, section, until

from edgecount import Backend, BackendError, ConfigError, EdgeCounter
from edgecount.fake import Drop, FakeCamera, HeadBackend, Resize, Show
from edgecount.runtime.sources.faults import PermanentError
from edgecount.runtime.sources.live import LiveSource, SourceState
from edgecount.watch.camera import feed
from edgecount.watch.config import (
    AlarmConfig,
    CameraConfig,
    HistoryConfig,
    LineConfig,
    SettingError,
    WatchConfig,
)
from edgecount.watch.readings import Event, LineReading, Reading
from edgecount.watch.service import Service, counting, outlets, service
from edgecount.watch.service.outlets import Outlets
from edgecount.watch.service.state import load_state


def test_every_camera_is_counted_exactly(counter: EdgeCounter):
    cameras = {
        "door": FakeCamera([Show(600, people=5)], name="door", fps=20),
        "hall": FakeCamera([Show(600, people=8)], name="hall", fps=20, size=(320, 240)),
    }
    kept = Kept()
    sections = {name: section(regions={"left": LEFT}) for name in cameras}
    with Service(config(sections), counter=counter, sinks=[kept], sources=cameras) as service:
        until(lambda: len(kept.of("door")) > 5 and len(kept.of("hall")) > 5)
        assert list(service.cameras) == ["door", "hall"]
        assert service.heartbeat() < SECONDS
        assert service.error is None
    assert {one.count for one in kept.of("door")} == {5}
    assert {one.count for one in kept.of("hall")} == {8}
    left = (cameras["door"].heads_in(service.cameras["door"].latest().result)[:, 0] < 320).sum()
    assert kept.of("door")[-1].regions["left"].count == left
    assert all(one.image is None and one.result is None for one in kept.readings)
    assert (kept.opened, kept.closed) == (1, 1)
    assert service.cameras["door"].health().state is SourceState.IDLE
    assert [one.dropped for one in service.sinks()] == []


def test_only_a_sink_that_wants_pictures_gets_them(counter: EdgeCounter):
    door = FakeCamera([Show(600, people=3)], name="door")
    plain, clips = Kept(), Kept(images=True)
    with Service(
        config({"door": section()}), counter=counter, sinks=[plain, clips], sources={"door": door}
    ) as service:
        until(lambda: plain.readings and clips.readings)
        seen = service.cameras["door"].picture()
        assert service.cameras["door"].jpeg()[:2] == b"\xff\xd8"
        assert (seen.original != seen.image()).any()  # heads are pixelated
    assert plain.readings[0].image is None
    image, result = clips.readings[0].image, clips.readings[0].result
    assert image.shape == (480, 640, 3)
    assert len(result.points) == 3


def test_lost_and_back_while_another_goes_on(counter: EdgeCounter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feed, "_LOST", 0.1)
    monkeypatch.setattr(counting, "_TICK", 0.05)
    cameras = {
        "door": FakeCamera([Show(5, people=2), Drop(15), Show(6000)], name="door", speed=10),
        "hall": FakeCamera([Show(600, people=1)], name="hall"),
    }
    kept = Kept()
    sections = {name: section() for name in cameras}
    with Service(config(sections), counter=counter, sinks=[kept], sources=cameras) as service:
        until(lambda: "back" in kept.changes())
        others = len(kept.of("hall"))
        until(lambda: len(kept.of("hall")) > others)
        assert service.cameras["door"].health().reconnects
    assert kept.changes() == ["lost", "back"]
    assert kept.changes("hall") == []
    assert {one.count for one in kept.of("door")} == {2}


def test_a_camera_that_fails_for_good_takes_no_other_along(counter: EdgeCounter):
    def broken() -> None:
        raise PermanentError("no such path")

    cameras = {
        "door": LiveSource("rtsp://a:secret@door/", name="door", open_clip=broken),
        "hall": FakeCamera([Show(600, people=1)], name="hall"),
    }
    sections = {name: section() for name in cameras}
    with Service(config(sections), counter=counter, sinks=[], sources=cameras) as service:
        until(lambda: service.cameras["door"].health().state is SourceState.FAILED)
        until(service.cameras["hall"].latest)
        assert service.cameras["door"].latest() is None
        assert service.cameras["door"].jpeg() is None
        assert "no such path" in service.cameras["door"].health().error


def test_a_picture_that_cannot_be_taken_takes_no_other_along(
    counter: EdgeCounter, monkeypatch: pytest.MonkeyPatch
):
    def fail(now: float) -> None:
        raise BackendError("the GPU failed")

    cameras = {name: FakeCamera([Show(600, people=1)], name=name) for name in ("door", "hall")}
    sections = {name: section() for name in cameras}
    service = Service(config(sections), counter=counter, sinks=[], sources=cameras)
    monkeypatch.setattr(service.cameras["door"], "take", fail)
    with service:
        until(service.cameras["hall"].latest)
        assert service.cameras["door"].latest() is None


def test_an_alarm_is_raised_acknowledged_and_cleared(counter: EdgeCounter):
    door = FakeCamera([Show(3, people=3), Show(25, people=9), Show(6000, people=1)], speed=10)
    kept = Kept()
    alarms = {"full": AlarmConfig(5, enter=0.2, leave=0.2, cooldown=0)}
    with Service(
        config({"door": section(alarms=alarms)}),
        counter=counter,
        sinks=[kept],
        sources={"door": door},
    ) as service:
        until(lambda: "raised" in kept.changes(kind="alarm"))
        assert service.cameras["door"].alarms()["full"]["state"] == "raised"
        service.acknowledge("door", "full")
        until(lambda: "cleared" in kept.changes(kind="alarm"))
        with pytest.raises(ConfigError, match=r"expected one of \['full'\], got 'no'"):
            service.acknowledge("door", "no")
        with pytest.raises(ConfigError, match=r"expected one of \['door'\], got 'no'"):
            service.acknowledge("no", "full")
    assert kept.changes(kind="alarm") == ["raised", "acknowledged", "cleared"]
    assert [one.peak for one in kept.events if one.kind == "alarm"] == [9, 9, 9]


def test_a_camera_that_changes_its_size(counter: EdgeCounter):
    door = FakeCamera([Show(5, people=4), Resize((320, 240)), Show(6000)], speed=10)
    kept = Kept()
    with Service(
        config({"door": section(lines={"line": LineConfig((0.5, 1), (0.5, 0))})}),
        counter=counter,
        sinks=[kept],
        sources={"door": door},
    ):
        until(lambda: kept.readings and kept.readings[-1].health.size == (320, 240))
    assert {one.count for one in kept.readings} == {4}


class Stuck(Kept):
    """A sink that hangs in its first reading."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def reading(self, reading: Reading) -> None:
        self.go_on.wait(SECONDS)


def test_a_sink_that_hangs_holds_nothing_up(counter: EdgeCounter):
    door = FakeCamera([Show(600, people=1)], fps=30)
    stuck, kept = Stuck(), Kept()
    with Service(
        config({"door": section()}), counter=counter, sinks=[stuck, kept], sources={"door": door}
    ) as service:
        until(lambda: len(kept.readings) > 20)
        waits = [one.waiting for one in service.sinks()]
        assert waits[0] > 10
        stuck.go_on.set()


class Failing(Backend):
    """A backend that fails when it is told to."""

    name = "failing"

    def __init__(self) -> None:
        self._heads = HeadBackend()
        self.fails = False

    def prepare(self, manifest: Any) -> None:
        self._heads.prepare(manifest)

    def infer(self, inputs: Any) -> Any:
        if self.fails:
            raise BackendError("the GPU fell off the bus")
        return self._heads.infer(inputs)

    def close(self) -> None:
        pass


def test_an_engine_that_fails_is_told_and_tried_again():
    backend = Failing()
    door = FakeCamera([Show(600, people=1)], name="door")
    with (
        EdgeCounter(backend=backend) as counter,
        Service(
            config({"door": section()}), counter=counter, sinks=[], sources={"door": door}
        ) as service,
    ):
        until(service.cameras["door"].latest)
        backend.fails = True
        until(lambda: service.error)
        assert "fell off the bus" in service.error
        until(lambda: service.heartbeat() > 0.5)
        backend.fails = False
        until(lambda: service.error is None)
        assert service.heartbeat() < SECONDS


def test_who_looks_gets_the_newest_reading_and_every_event(counter: EdgeCounter):
    cameras = {
        name: FakeCamera([Show(600, people=9)], name=name, fps=20) for name in ("door", "hall")
    }
    alarms = {"a": AlarmConfig(5, enter=0), "b": AlarmConfig(6, enter=0)}
    sections = {name: section(alarms=alarms) for name in cameras}
    with Service(config(sections), counter=counter, sinks=[], sources=cameras) as service:
        looking = service.subscribe()
        until(lambda: all(one.health().counted > 5 for one in service.cameras.values()))
        found = looking.get(0)
        assert sum(isinstance(one, Reading) for one in found) == 2
        raised = [(one.camera, one.name) for one in found if isinstance(one, Event)]
        assert sorted(raised) == [(camera, name) for camera in cameras for name in "ab"]
        assert looking.get(SECONDS)  # the next one comes
        looking.close()
        assert looking.get(SECONDS) == []
        left = service.subscribe()
    assert left.get(SECONDS) is not None
    assert left.get(SECONDS) == []  # it was stopped


def test_events_that_nobody_takes_do_not_fill_the_memory():
    handed = Outlets()
    nobody = handed.subscribe()
    for number in range(5000):
        handed.tell(Event("door", float(number), "alarm", "full", "raised"))
    assert [one.time for one in nobody.get(0)] == list(range(5000 - 4096, 5000))
    assert nobody.dropped == 5000 - 4096
    handed.close()


def test_a_sink_that_cannot_be_started_takes_no_other_along(monkeypatch: pytest.MonkeyPatch):
    first, second = Kept(), Kept()
    real = outlets.SinkThread

    def start(sink: Kept, former: outlets.SinkThread | None) -> outlets.SinkThread:
        if sink is second:
            raise RuntimeError("can't start new thread")
        return real(sink, former)

    monkeypatch.setattr(outlets, "SinkThread", start)
    told = Outlets()
    with pytest.raises(RuntimeError, match="can't start"):
        told.use([first, second])
    event = Event("door", 1.0, "camera", "", "lost")
    told.tell(event)
    until(lambda: first.events == [event])
    monkeypatch.setattr(outlets, "SinkThread", real)
    told.use([first, second])  # as the next reload does
    told.tell(event)
    until(lambda: second.events == [event])  # none from before: it was not there
    told.close()


def test_lines_go_on_after_a_restart(counter: EdgeCounter, tmp_path: Path):
    path = tmp_path / "history.sqlite.state.json"
    lines = {"line": LineConfig((0.5, 1), (0.5, 0))}
    sections = {"door": section(lines=lines, reset=None)}
    history = HistoryConfig(tmp_path / "history.sqlite")
    path.write_text('{"lines": {"door": {"line": {"into": 7, "out": 2, "since": 5}}}}')
    for _ in range(2):
        door = FakeCamera([Show(600, people=1)])
        with Service(
            config(sections, history=history), counter=counter, sinks=[], sources={"door": door}
        ) as service:
            until(service.cameras["door"].latest)
            reading = service.cameras["door"].latest()
            assert reading.lines["line"] == LineReading(7.0, 2.0, 5.0)
    assert load_state(path)["door"].lines == {"line": LineReading(7.0, 2.0, 5.0)}


def test_a_camera_that_cannot_be_closed_keeps_nothing_open(
    counter: EdgeCounter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    kept = Kept()
    doors = {name: FakeCamera([Show(600)], name=name) for name in ("door", "hall")}
    sections = {name: section() for name in doors}
    with Service(config(sections), counter=counter, sinks=[kept], sources=doors) as service:
        until(lambda: kept.of("door") and kept.of("hall"))
        door = service.cameras["door"]
        close = door.close

        def fail() -> None:
            close()
            raise RuntimeError("a mistake")

        monkeypatch.setattr(door, "close", fail)
        service.reload(replace(service.config, cameras={"hall": sections["hall"]}))
        seen = len(kept.of("hall"))
        until(lambda: len(kept.of("hall")) > seen + 1)
    assert kept.closed == 1
    assert "door: it could not be closed" in caplog.text


def test_the_counter_runs_on_the_gpu_that_the_config_says() -> None:
    """A change of it needs another counter, as one of the model does."""
    cameras = {"door": CameraConfig("rtsp://door/stream")}
    plain = WatchConfig(cameras, backend="fake")
    second = WatchConfig(cameras, backend="fake", device=1)
    assert service.engine_of(plain) != service.engine_of(second)
    with pytest.raises(BackendError, match="device: CUDA device 1 was asked for, and fake runs"):
        service.open_counter(second)


def test_the_counter_zooms_as_the_config_says() -> None:
    """A change of it needs another counter, as one of the model does."""
    cameras = {"door": CameraConfig("rtsp://door/stream")}
    plain = WatchConfig(cameras, backend="fake")
    zooming = WatchConfig(cameras, backend="fake", zoom=1)
    assert service.engine_of(plain) != service.engine_of(zooming)
    with service.open_counter(zooming) as counter:
        assert counter.count(np.zeros((48, 64, 3), np.uint8)).interval is None


def test_alarms_by_low_are_refused_where_counts_have_no_interval() -> None:
    low = section(alarms={"packed": AlarmConfig(5, by="low")})
    with pytest.raises(SettingError, match=r"^cameras\.door\.alarms\.packed\.by: .* with zoom 1 "):
        Service(config({"door": low}, backend="fake", zoom=1))
