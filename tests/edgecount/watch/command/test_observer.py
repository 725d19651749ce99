"""The log of a service, and when systemd is told that it is alive."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from edgecount.cli._watch import observer as observing
from edgecount.cli._watch.observer import Observer
from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.camera.alarms import PER_M2
from edgecount.watch.page.contract import HUNG
from edgecount.watch.readings import Event, Reading
from edgecount.watch.sinks.base import SinkHealth


@dataclass
class StandIn:
    """A service whose state is set by the test."""

    events: list[Event] = field(default_factory=list)
    failing: dict[str, str | None] = field(default_factory=dict)
    delivered: int = 5
    beat: float = 0.0
    error: str | None = None

    def __post_init__(self) -> None:
        health = SourceHealth(SourceState.LIVE)
        self.cameras = {"door": SimpleNamespace(health=lambda: health)}

    def subscribe(self) -> Any:
        def get(_timeout: float) -> list[Event]:
            found, self.events = self.events, []
            return found

        return SimpleNamespace(get=get, close=lambda: None)

    def heartbeat(self) -> float:
        return self.beat

    def sinks(self) -> list[SinkHealth]:
        return [
            SinkHealth(name, why is None, self.delivered, 0, 1, why)
            for name, why in self.failing.items()
        ]


class Told:
    """A record of the messages to systemd."""

    def __init__(self) -> None:
        self.text, self.beats = "", 0

    def status(self, text: str) -> None:
        self.text = text

    def alive(self) -> None:
        self.beats += 1


def test_events_have_fitting_levels(caplog: pytest.LogCaptureFixture) -> None:
    kinds: list[Any] = [
        ("camera", "", "lost", None, "no answer"),
        ("camera", "", "back", None, "the camera gives pictures again"),
        ("alarm", "crowded", "raised", 51.25, ""),
        ("alarm", "dense", "raised", 4.25, "hall: more than 4 people per square metre"),
        ("alarm", "crowded", "acknowledged", None, ""),
        ("alarm", "crowded", "lost", None, ""),
        ("picture", "", "covered", None, "the picture is covered"),
        ("picture", "", "good", None, ""),
    ]
    units: dict[str, Any] = {"crowded": "people", "dense": "people/m2"}
    service = StandIn(
        [
            Event("door", 0.0, kind, name, change, count, detail=detail, unit=units.get(name))
            for kind, name, change, count, detail in kinds
        ]
    )
    observer = Observer(service, Told())  # type: ignore[arg-type]
    observer._seen.add("door")
    with caplog.at_level(logging.INFO):
        observer.look()
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "door: the camera is lost: no answer"),
        ("INFO", "door: it is back"),
        ("WARNING", "door: alarm crowded is raised: 51.2 people"),
        (
            "WARNING",
            f"door: alarm dense is raised: 4.2 {PER_M2}: hall: more than 4 {PER_M2}",
        ),
        ("INFO", "door: alarm crowded is acknowledged"),
        ("WARNING", "door: alarm crowded has no counts any more"),
        ("WARNING", "door: the picture is covered"),
        ("INFO", "door: the picture is good"),
    ]
    assert {vars(one)["camera"] for one in caplog.records} == {"door"}


def test_a_camera_that_gave_no_picture_yet_is_not_lost(caplog: pytest.LogCaptureFixture) -> None:
    def lost(camera: str) -> Event:
        return Event(camera, 0.0, "camera", "", "lost", detail="no answer")

    picture: Any = Reading.__new__(Reading)
    object.__setattr__(picture, "camera", "yard")
    service = StandIn([lost("door"), picture, lost("yard")])
    with caplog.at_level(logging.INFO):
        Observer(service, Told()).look()  # type: ignore[arg-type]
    assert [one.getMessage() for one in caplog.records] == [
        "door: the camera cannot be reached: no answer",
        "yard: the camera is lost: no answer",
    ]


def test_systemd_hears_of_a_service_that_is_well() -> None:
    service, told = StandIn(), Told()
    observer = Observer(service, told)  # type: ignore[arg-type]
    observer.look()
    assert (told.text, told.beats) == ("1 of 1 cameras give pictures", 1)
    service.beat, service.error, service.failing = HUNG, "out of memory", {"mqtt": "refused"}
    observer.look()
    assert told.beats == 1
    assert told.text.endswith("; counting stands still: out of memory; failing: mqtt")


def test_a_sink_that_works_again_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    service = StandIn(failing={"mqtt": "refused"})
    observer = Observer(service, Told())  # type: ignore[arg-type]
    with caplog.at_level(logging.INFO):
        for why, delivered in (("refused", 5), (None, 5), ("refused", 5), (None, 6), (None, 7)):
            service.failing, service.delivered = {"mqtt": why}, delivered
            observer.look()
    assert [one.getMessage() for one in caplog.records] == ["mqtt: it works again"]


def test_unused_memory_is_given_back_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    freed = threading.Event()
    monkeypatch.setattr(observing, "_EVERY", 0.01)
    monkeypatch.setattr(observing, "_TRIM", 0.0)
    monkeypatch.setattr(observing, "free_unused", freed.set)
    with Observer(StandIn(), Told()):  # type: ignore[arg-type]
        assert freed.wait(30)
