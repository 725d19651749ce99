"""Counts of lines and alarms that survive a restart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from watching import Kept as KeptEvents
from watching import config, section, until

from edgecount import EdgeCounter, OutputError
from edgecount.fake import FakeCamera, Show
from edgecount.watch.config import AlarmConfig, HistoryConfig
from edgecount.watch.readings import AlarmStatus, Event, Kept, LineReading, Reading
from edgecount.watch.service import Service, state
from edgecount.watch.service.state import State, load_state

RAISED = AlarmStatus(raised=True, since=5.0, peak=9.0, cleared=1.0)


@pytest.fixture
def reading() -> Reading:
    health = FakeCamera([Show(1)]).health()
    return Reading("door", 1.0, None, None, None, None, {}, {}, "good", night=False, health=health)


def alarm(change: str, time: float = 1.0, peak: float | None = None) -> Event:
    return Event("door", time, "alarm", "full", change, peak=peak)


def test_counts_are_written_now_and_then_and_at_the_end(tmp_path: Path, reading: Reading):
    kept = State(tmp_path / "state.json", every=1000)
    for into in (1.0, 2.0):
        kept.reading(replace(reading, lines={"line": LineReading(into, 0.0, 3.0)}))
    assert load_state(tmp_path / "state.json")["door"].lines["line"].into == 1
    kept.close()
    assert load_state(tmp_path / "state.json")["door"].lines["line"].into == 2


def test_what_changes_an_alarm_is_written_at_once(tmp_path: Path, reading: Reading):
    path = tmp_path / "state.json"
    kept = State(path, every=1000)
    kept.reading(replace(reading, alarms={"full": AlarmStatus()}))
    kept.event(Event("door", 1.0, "camera", "", "lost"))
    expected = AlarmStatus()
    for event, change in (
        (alarm("raised", 5.0, 9.0), {"raised": True, "since": 5.0, "peak": 9.0}),
        (alarm("acknowledged"), {"acknowledged": True}),
        (alarm("lost"), {"has_data": False}),
        (alarm("back"), {"has_data": True}),
    ):
        kept.event(event)
        expected = replace(expected, **change)
        assert load_state(path) == {"door": Kept({}, {"full": expected})}
        assert State(path).kept("door").alarms == {"full": expected}
    kept.event(alarm("cleared", 8.0))
    assert load_state(path)["door"].alarms == {"full": AlarmStatus(cleared=8.0)}
    assert kept.kept("hall") == Kept()


def test_a_disk_that_is_full_loses_nothing_that_comes_later(
    tmp_path: Path, reading: Reading, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "state.json"
    kept = State(path, every=0)
    kept.event(alarm("raised", 5.0, 9.0))
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OutputError(f"{path}: no space left on device")

    with monkeypatch.context() as full:
        full.setattr(state, "replacing", refuse)
        with pytest.raises(OutputError, match="no space"):
            kept.reading(replace(reading, lines={"line": LineReading(4.0, 0.0, 3.0)}))
        with pytest.raises(OutputError, match="no space"):
            kept.close()
    assert path.read_bytes() == before
    kept.idle()
    assert load_state(path)["door"].lines["line"].into == 4


ALARM = '{"raised": true, "acknowledged": 1, "has_data": true, "since": 1, "peak": 1, "cleared": 1}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"lines": [1]}',
        '{"lines": {"a": {"b": {"into": -1}}}}',
        "\xff",
        "[" * 100_000,
        '{"lines": {}, "alarms": {"a": {"b": ' + ALARM + "}}}",
        '{"lines": {}, "alarms": {"a": {"b": ' + ALARM.replace("1", "1e999") + "}}}",
    ],
)
def test_a_damaged_state_is_told_once_and_begins_anew(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "state.json"
    path.write_text(text, encoding="latin-1")
    assert State(path).kept("door") == Kept()
    (line,) = caplog.messages
    assert line.startswith(f"{path}: counts of lines start at 0, and alarms anew: ")
    assert load_state(tmp_path / "missing") == {}


def test_an_alarm_over_restarts(counter: EdgeCounter, tmp_path: Path):
    alarms = {"full": AlarmConfig(5, enter=0, leave=0, cooldown=1000)}
    watched = config(
        {"door": section(alarms=alarms)}, history=HistoryConfig(tmp_path / "history.sqlite")
    )

    def run(people: int, change: str | None) -> tuple[list[str], str]:
        """Return the changes of the alarm in a run, and its state at the end."""
        door, kept = FakeCamera([Show(600, people=people)], fps=20), KeptEvents()
        with Service(watched, counter=counter, sinks=[kept], sources={"door": door}) as service:
            until(lambda: len(kept.readings) > 3)
            if change is not None:
                until(lambda: change in kept.changes(kind="alarm"))
            if change == "raised":
                service.acknowledge("door", "full")
                until(lambda: "acknowledged" in kept.changes(kind="alarm"))
            found = service.cameras["door"].alarms()["full"]["state"]
        return kept.changes(kind="alarm"), found

    assert run(9, "raised") == (["raised", "acknowledged"], "acknowledged")
    assert run(9, None) == ([], "acknowledged")
    assert run(2, "cleared") == (["cleared"], "quiet")
    assert run(9, None) == ([], "quiet")  # of its cooldown most is left


def test_a_second_service_does_not_write_over_the_counts(tmp_path):
    path = tmp_path / "state.json"
    first, second = State(path, every=0), State(path, every=0)
    first.open()
    with pytest.raises(OutputError, match=r"keeps its counts in .*: give each service a history"):
        second.open()
    first.event(Event("door", 5.0, "alarm", "full", "raised", 9.0, 9.0))
    before = path.read_bytes()
    second._keep("hall", Kept({"gate": LineReading(1.0, 0.0, 5.0)}))
    second.close()  # as the sink's thread does of what could not be opened
    assert path.read_bytes() == before
    first.close()
    second.open()
    second.open()  # again, as after a failure
    second.close()
    found = load_state(path)
    assert found["door"].alarms["full"].raised
    assert found["hall"].lines["gate"].into == 1


def test_alarms_that_are_gone_after_a_restart_are_cleared(tmp_path):
    path = tmp_path / "state.json"
    raised = AlarmStatus(raised=True, since=5.0, peak=9.0)
    before = State(path, every=0)
    before.event(Event("door", 5.0, "alarm", "full", "raised", 9.0, 9.0))
    before.event(Event("gone", 5.0, "alarm", "full", "raised", 9.0, 9.0))
    before.close()
    state = State(path, every=0)
    assert state.kept("door").alarms == {"full": raised}
    assert state.end({"door": ["full"], "gone": ["full"]}, 7.0) == []
    events = state.end({"door": ["busy"]}, 7.0)
    assert [(one.camera, one.name, one.change, one.peak, one.time) for one in events] == [
        ("door", "full", "cleared", 9.0, 7.0),
        ("gone", "full", "cleared", 9.0, 7.0),
    ]
    for event in events:
        state.event(event)
    state.close()
    assert State(path).end({}, 8.0) == []
