"""An engine, a camera or a sink that hangs, while the service is changed and stopped."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from watching import SECONDS, Kept, config, section, until

from edgecount import Backend, BackendError, ConfigError, EdgeCounter
from edgecount.fake import FakeCamera, HeadBackend, Show
from edgecount.runtime.sources.live import LiveSource
from edgecount.watch.config import AlarmConfig
from edgecount.watch.readings import Event, Reading
from edgecount.watch.service import Service, counting, outlets, service
from edgecount.watch.sinks.jsonl import JsonLines


class Hanging(Backend):
    """A backend that hangs when it is told to."""

    name = "hanging"

    def __init__(self) -> None:
        self._heads = HeadBackend()
        self.go_on, self.hangs = threading.Event(), threading.Event()
        self.go_on.set()
        self.is_closed = False

    def prepare(self, manifest: Any) -> None:
        self._heads.prepare(manifest)

    def infer(self, inputs: Any) -> Any:
        if not self.go_on.is_set():
            self.hangs.set()
            self.go_on.wait(SECONDS)
        return self._heads.infer(inputs)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    made = Hanging()
    yield made
    made.go_on.set()


def test_an_engine_that_hangs_lets_itself_be_stopped(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(counting, "_PATIENCE", 0.1)
    monkeypatch.setattr(service, "_LAST", 0.1)
    monkeypatch.setattr(service, "open_counter", lambda _: EdgeCounter(backend=hanging))
    door = FakeCamera([Show(600, people=1)], name="door")
    running = Service(config({"door": section()}), sinks=[], sources={"door": door})
    running.start()
    until(running.cameras["door"].latest)
    hanging.go_on.clear()
    assert hanging.hangs.wait(SECONDS)
    before = running.config, running.cameras
    other = replace(running.config, cameras={"door": section(title="Door")})
    with pytest.raises(BackendError, match=r"the engine gave no answer for 0\.1 s"):
        running.reload(other)
    assert (running.config, running.cameras) == before
    until(lambda: running.heartbeat() > 0.2)
    running.stop()
    with pytest.raises(ConfigError, match="has been stopped"):
        running.reload(other)
    hanging.go_on.set()
    running._counting._thread.join(SECONDS)
    assert not running._counting._thread.is_alive()


def test_stopping_ends_a_reload_that_waits(hanging: Hanging, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(counting, "_PATIENCE", SECONDS)
    monkeypatch.setattr(service, "_LAST", 0.1)
    door = FakeCamera([Show(600, people=1)], name="door")
    found: list[BackendError] = []
    with EdgeCounter(backend=hanging) as counter:
        running = Service(
            config({"door": section()}), counter=counter, sinks=[], sources={"door": door}
        )
        running.start()
        until(running.cameras["door"].latest)
        hanging.go_on.clear()
        assert hanging.hangs.wait(SECONDS)

        def reload() -> None:
            try:
                running.reload(config({"door": section(title="Door")}))
            except BackendError as error:
                found.append(error)

        reloading = threading.Thread(target=reload)
        reloading.start()
        until(lambda: running._counting._next is not None)
        running.stop()
        reloading.join(SECONDS)
        assert "counting has been stopped" in str(found[0])
        hanging.go_on.set()


def test_a_reload_is_taken_up_by_an_engine_that_is_never_idle(counter: EdgeCounter):
    doors = {f"c{number}": FakeCamera([Show(6000)], fps=500) for number in range(3)}
    sections = {name: section() for name in doors}
    with Service(config(sections), counter=counter, sinks=[], sources=doors) as running:
        for title in "abcde":
            running.reload(config({name: section(title=title) for name in doors}))
            assert running.cameras["c1"].title == title


class HangingClip:
    """A camera that gives one picture, and hangs in its driver then."""

    def __init__(self, go_on: threading.Event) -> None:
        self.given, self._go_on = 0, go_on

    def pictures(self) -> Iterator[Any]:
        clip = FakeCamera([Show(1, people=1)])._open_clip()
        yield next(iter(clip.pictures()))
        clip.close()
        self._go_on.wait(SECONDS)

    def fault(self) -> str:
        return ""

    def close(self) -> None:
        pass


def test_a_camera_that_hangs_holds_up_neither_others_nor_the_end(counter: EdgeCounter):
    go_on = threading.Event()
    cameras = {
        "door": LiveSource("rtsp://door", name="door", open_clip=lambda: HangingClip(go_on)),
        "hall": FakeCamera([Show(600, people=1)], name="hall", fps=20),
    }
    kept = Kept()
    sections = {name: section() for name in cameras}
    with Service(config(sections), counter=counter, sinks=[kept], sources=cameras) as running:
        until(lambda: kept.of("door"))
        seen = len(kept.of("hall"))
        until(lambda: len(kept.of("hall")) > seen)
        running.reload(config({"hall": sections["hall"]}))
        assert list(running.cameras) == ["hall"]
        seen = len(kept.of("hall"))
        until(lambda: len(kept.of("hall")) > seen)
    go_on.set()


class Stuck(Kept):
    """A sink that hangs until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on, self.hangs = threading.Event(), threading.Event()

    def reading(self, reading: Reading) -> None:
        self.hangs.set()
        self.go_on.wait(SECONDS)


def test_events_that_come_while_sinks_are_changed_reach_the_new_ones():
    handed = outlets.Outlets()
    stuck, new = Stuck(), Kept()
    handed.use([stuck])
    door = FakeCamera([Show(1)])
    reading = Reading(
        "door", 1.0, None, None, None, None, {}, {}, "good", night=False, health=door.health()
    )
    handed.tell(reading)
    assert stuck.hangs.wait(SECONDS)
    changing = threading.Thread(target=handed.use, args=([new],))
    changing.start()
    until(lambda: not handed.health())
    event = Event("door", 2.0, "alarm", "full", "raised")
    handed.tell(event)
    stuck.go_on.set()
    changing.join(SECONDS)
    handed.tell(reading)
    handed.close()
    assert (new.events, len(new.readings)) == ([event], 1)
    assert stuck.events == []


class StuckLines(JsonLines):
    """JSON lines whose disk hangs until it may go on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.go_on, self.hangs = threading.Event(), threading.Event()

    def event(self, event: Event) -> None:
        self.hangs.set()
        self.go_on.wait(SECONDS)
        super().event(event)


def test_two_reloads_while_a_file_hangs_lose_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(outlets, "_FLUSH", 0.1)
    path = tmp_path / "counts.jsonl"
    stuck = StuckLines(path)
    handed = outlets.Outlets()
    handed.use([stuck])
    names = ["a", "b", "c", "d"]
    events = [Event("door", 2.0, "alarm", name, "raised") for name in names]
    for event in events[:2]:
        handed.tell(event)
    assert stuck.hangs.wait(SECONDS)
    for event in events[2:]:
        handed.use([JsonLines(path)])
        handed.tell(event)
    (health,) = handed.health()
    assert (health.is_open, health.waiting, health.error) == (False, 3, None)
    stuck.go_on.set()
    until(lambda: handed.health()[0].delivered == 3)
    handed.close()
    assert [json.loads(line)["name"] for line in path.read_text().splitlines()] == names
    assert not caplog.records


def test_time_goes_on_for_alarms_while_the_engine_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(counting, "_PAUSE", 0.05)
    monkeypatch.setattr(counting, "_TICK", 0.05)
    heads = HeadBackend()
    door = FakeCamera([Show(6000, people=9)], name="door")
    alarms = {"full": AlarmConfig(5, enter=0, stale=1)}
    kept = Kept()
    with (
        EdgeCounter(backend=heads) as counter,
        Service(
            config({"door": section(alarms=alarms)}),
            counter=counter,
            sinks=[kept],
            sources={"door": door},
        ),
    ):
        until(lambda: kept.changes(kind="alarm"))

        def fail(_: Any) -> Any:
            raise BackendError("the GPU fell off the bus")

        with monkeypatch.context() as broken:
            broken.setattr(heads, "infer", fail)
            until(lambda: "lost" in kept.changes(kind="alarm"))
        until(lambda: "back" in kept.changes(kind="alarm"))
    assert kept.changes(kind="alarm")[:3] == ["raised", "lost", "back"]
