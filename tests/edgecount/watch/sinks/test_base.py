"""Sinks in threads of their own: what is delivered, dropped, and tried again."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.readings import Event, LineReading, Reading, RegionReading
from edgecount.watch.sinks import base
from edgecount.watch.sinks.base import Backlog, Sink, SinkThread

DEADLINE = 20.0  # s


def reading(number=0):
    return Reading(
        camera="door",
        time=1_700_000_000.25 + number,
        count=float(number),
        interval=(0.0, 2.5),
        smooth=1.23456,
        smooth_interval=None,
        regions={"hall": RegionReading(2.0, 1.98765, 0.5, "A")},
        lines={"entrance": LineReading(3.0, 1.0, 1_699_920_000.0)},
        picture="good",
        night=False,
        health=SourceHealth(SourceState.LIVE, frames_in=5, counted=4, dropped=1, age=0.1),
    )


def event(change="raised"):
    return Event("door", 1_700_000_000.0, "alarm", "crowded", change, 51.0, 60.0, "too many")


class Recorder(Sink):
    """A sink that notes what it takes, and does what it is told."""

    name = "recorder"

    def __init__(self, failures=0, gate=None):
        self.taken, self.opened, self.closed = [], 0, 0
        self.failures, self.gate = failures, gate

    def open(self):
        self.opened += 1

    def reading(self, reading):
        self._take(reading)

    def event(self, event):
        self._take(event)

    def close(self):
        self.closed += 1

    def _take(self, item):
        if self.gate is not None:
            self.gate.wait(DEADLINE)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the broker is away")
        self.taken.append(item)


def until(condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(base, "_FIRST", 0.01)


def test_what_is_given_is_delivered_in_order():
    sink = Recorder()
    thread = SinkThread(sink)
    items = [reading(0), event(), reading(1)]
    for item in items:
        thread.put(item)
    thread.close()
    assert sink.taken == items
    assert (sink.opened, sink.closed) == (1, 1)
    health = thread.health()
    assert (health.delivered, health.dropped, health.waiting) == (3, 0, 0)


def test_a_slow_sink_loses_the_oldest_readings_and_no_event(monkeypatch):
    monkeypatch.setattr(base, "_READINGS", 3)
    gate = threading.Event()
    sink = Recorder(gate=gate)
    thread = SinkThread(sink)
    thread.put(reading(0))
    until(lambda: sink.opened)
    given = [event(), *(reading(number) for number in range(1, 10)), event()]
    for item in given:
        thread.put(item)  # returns at once
    gate.set()
    until(lambda: thread.health().waiting == 0)
    thread.close()
    events = [item for item in sink.taken if isinstance(item, Event)]
    assert len(events) == 2
    assert sink.taken[-2].count == 9.0
    health = thread.health()
    assert health.delivered == len(sink.taken)
    assert health.delivered + health.dropped == 1 + len(given)
    assert health.dropped >= 6


def test_an_event_is_tried_again_after_a_failure_and_a_reading_is_not():
    sink = Recorder(failures=2)
    thread = SinkThread(sink)
    thread.put(reading(0))
    until(lambda: thread.health().dropped == 1)
    wanted = event()
    thread.put(wanted)
    until(lambda: sink.taken)
    assert sink.taken == [wanted]
    assert sink.opened == 3
    assert thread.health().error is None
    thread.close()


def test_closing_does_not_wait_for_a_sink_that_hangs():
    gate = threading.Event()
    sink = Recorder(gate=gate)
    thread = SinkThread(sink)
    for _ in range(3):
        thread.put(event())
    until(lambda: sink.opened)
    began = time.monotonic()
    thread.close(timeout=0.1)
    assert time.monotonic() - began < DEADLINE
    assert thread.health().dropped == 3
    thread.put(event())
    assert thread.health().dropped == 4
    gate.set()


def test_a_sink_waits_for_the_one_in_whose_place_it_is(caplog):
    gate = threading.Event()
    former, sink = Recorder(gate=gate), Recorder()
    old = SinkThread(former)
    given = [event(), event()]
    old.put(given[0])
    until(lambda: former.opened)
    old.close(timeout=0.05)
    new = SinkThread(sink, old)
    new.put(given[1])
    assert not sink.opened
    assert new.health().error is None
    gate.set()
    until(lambda: sink.taken)
    assert (former.taken, former.closed, sink.taken) == ([given[0]], 1, [given[1]])
    new.close()
    assert not caplog.records


def test_a_sink_does_not_wait_for_ever_for_one_that_hangs(monkeypatch):
    monkeypatch.setattr(base, "_FORMER", 0.5)
    gate = threading.Event()
    old = hanging(gate, event())
    sink = Recorder()
    began = time.monotonic()
    new = SinkThread(sink, old)
    until(lambda: sink.opened)
    assert time.monotonic() - began >= 0.5
    assert old.is_alive()
    new.close()
    gate.set()


def hanging(gate, *items):
    """Return a thread that was closed while its sink hangs on the first of what it was given."""
    sink = Recorder(gate=gate)
    thread = SinkThread(sink)
    for item in items:
        thread.put(item)
    until(lambda: thread._taking is not None)
    thread.close(timeout=0.05)
    return thread


def test_what_a_sink_that_hangs_has_not_begun_to_take_goes_to_the_next_one():
    gate = threading.Event()
    items = [event(), event("cleared"), reading(1)]
    old = hanging(gate, *items)
    assert old.health().dropped == 3
    sink = Recorder()
    new = SinkThread(sink, old)
    health = new.health()
    assert (health.dropped, health.waiting) == (1, 2)  # the one on which it hangs may be lost
    gate.set()
    new.close(DEADLINE)
    assert sink.taken == items[1:]
    assert (new.health().delivered, new.health().dropped) == (2, 1)


def test_a_sink_waits_for_the_one_that_the_one_before_it_waits_for():
    gate = threading.Event()
    first = hanging(gate, event())
    items = [event("cleared"), event("lost")]
    between, last = Recorder(), Recorder()
    second = SinkThread(between, first)
    second.put(items[0])
    second.close(timeout=0.05)
    third = SinkThread(last, second)
    third.put(items[1])
    until(lambda: not second.is_alive())
    time.sleep(0.2)  # in which it would open
    assert first.is_alive()
    assert not last.opened
    gate.set()
    third.close(DEADLINE)
    assert between.opened == 0
    assert last.taken == items
    health = third.health()
    assert (health.delivered, health.dropped, health.waiting) == (2, 1, 0)


def test_a_sink_that_waits_has_its_time_at_the_end():
    gate = threading.Event()
    sink, item = Recorder(), event()
    thread = SinkThread(sink, hanging(gate, event()))
    thread.put(item)
    threading.Timer(0.2, gate.set).start()
    thread.close(DEADLINE)
    assert (sink.taken, sink.closed) == ([item], 1)


def test_an_event_on_which_a_sink_failed_goes_to_the_next_one():
    item, gate = event(), threading.Event()
    old = SinkThread(Recorder(failures=1, gate=gate))
    old.put(item)
    until(lambda: old._taking is not None)
    threading.Timer(0.2, gate.set).start()
    old.close(DEADLINE)
    assert old.health().dropped == 1
    sink = Recorder()
    new = SinkThread(sink, old)
    new.close(DEADLINE)
    assert sink.taken == [item]
    assert new.health().dropped == 0


def test_numbers_as_json():
    found = reading(1).to_dict()
    assert found["time"] == "2023-11-14T22:13:21.250Z"
    assert found["regions"]["hall"] == {
        "count": 2.0, "smooth": 1.988, "per_m2": 0.5, "level": "A",
    }  # fmt: skip
    assert found["lines"]["entrance"] == {
        "in": 3.0, "out": 1.0, "net": 2.0, "since": "2023-11-14T00:00:00.000Z",
    }  # fmt: skip
    assert (found["state"], found["dropped"], found["smooth"]) == ("live", 1, 1.235)
    told = event().to_dict()
    assert told["change"] == "raised"
    assert len(told["id"]) == 32
    assert told["id"] != event().to_dict()["id"]


def test_only_sinks_that_want_pictures_get_them():
    image = np.zeros((4, 4, 3), np.uint8)
    plain, drawing, deaf = Recorder(), Recorder(), Recorder()
    drawing.wants_images, deaf.wants_readings = True, False
    for sink in (plain, drawing, deaf):
        thread = SinkThread(sink)
        thread.put(replace(reading(), image=image))
        thread.put(event())
        thread.close()
    assert plain.taken[0].image is None
    assert drawing.taken[0].image is image
    assert [type(item) for item in deaf.taken] == [Event]


def test_what_a_sink_keeps_itself_is_shown():
    sink = Recorder()
    sink.backlog = lambda: Backlog(3, 2, "the receiver is away")
    thread = SinkThread(sink)
    thread.put(event())
    until(lambda: sink.taken)
    thread.close()
    health = thread.health()
    assert (health.waiting, health.dropped, health.delivered) == (3, 2, 1)
    assert health.error == "the receiver is away"


def test_a_sink_that_opens_and_fails_again_and_again_is_logged_once(caplog):
    sink = Recorder(failures=5)
    thread = SinkThread(sink)
    thread.put(event())
    until(lambda: sink.taken)
    thread.close()
    assert sink.opened == 6
    told = [record.getMessage() for record in caplog.records]
    assert told == ["recorder: the broker is away; it is tried again"]


def test_an_error_is_shown_until_something_was_taken(monkeypatch):
    sink = Recorder(failures=1)
    opened = threading.Event()
    monkeypatch.setattr(sink, "idle", lambda: opened.set() if sink.opened == 2 else None)
    thread = SinkThread(sink)
    thread.put(reading(0))
    assert opened.wait(DEADLINE)
    assert (thread.health().is_open, thread.health().error) == (True, "the broker is away")
    thread.put(reading(1))
    until(lambda: thread.health().delivered)
    assert thread.health().error is None
    thread.close()


def test_a_sink_that_fails_at_each_try_is_tried_ever_less_often(monkeypatch):
    waited = []
    wait = SinkThread._wait_before_next

    def noted(self, delay):
        waited.append(delay)
        return wait(self, 0.0)

    monkeypatch.setattr(SinkThread, "_wait_before_next", noted)
    sink = Recorder(failures=4)
    thread = SinkThread(sink)
    thread.put(event())
    until(lambda: sink.taken)
    thread.close()
    assert waited[:4] == [0.01, 0.02, 0.04, 0.08]


def test_a_failure_is_logged_once_until_something_is_taken(caplog):
    sink = Recorder(failures=3)
    thread = SinkThread(sink)
    thread.put(event())
    until(lambda: sink.taken)
    sink.failures = 2
    thread.put(event())
    until(lambda: len(sink.taken) == 2)
    thread.close(DEADLINE)
    logged = [one.message for one in caplog.records if one.levelname == "WARNING"]
    assert logged == ["recorder: the broker is away; it is tried again"] * 2
