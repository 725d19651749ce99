"""Metrics as Prometheus reads them."""

import dataclasses
import shutil
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client", reason="pip install edgecount[watch]")

from prometheus_client.parser import text_string_to_metric_families

from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.readings import AlarmStatus, LineReading, RegionReading
from edgecount.watch.sinks.base import SinkHealth
from edgecount.watch.sinks.metrics import Metrics
from edgecount.watch.sinks.watched import Watched

DOOR = Watched("Main door", ("hall",), ("entrance",), ("crowded",), ground=True)


def values(metrics):
    """Return (name, values of labels) -> value of everything that is rendered."""
    order = ("camera", "sink", "region", "line", "alarm", "direction")
    return {
        (
            sample.name.removeprefix("edgecount_"),
            *(sample.labels[label] for label in order if label in sample.labels),
        ): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


@pytest.fixture
def now(make_reading):
    """Make readings of now, whose counts are fresh."""

    def make(after=0.0, **given):
        return make_reading(**{"time": time.time() + after, **given})

    return make


def test_an_alarm_that_goes_on_from_an_earlier_run_was_not_raised_in_this_one():
    statuses = {"crowded": AlarmStatus(raised=True, acknowledged=True, has_data=False)}
    found = values(Metrics({"door": dataclasses.replace(DOOR, statuses=statuses)}))
    assert found["alarm_raised", "door", "crowded"] == 1
    assert found["alarm_acknowledged", "door", "crowded"] == 1
    assert found["alarm_has_data", "door", "crowded"] == 0
    assert found["alarms_raised_total", "door", "crowded"] == 0


def test_what_is_counted(now, make_event):
    metrics = Metrics({"door": DOOR, "side": Watched("Side")})
    metrics.reading(now(lines={"entrance": LineReading(3.6, 1.0, time.time())}))
    metrics.reading(now(camera="stranger"))
    metrics.event(make_event())
    metrics.event(make_event("acknowledged"))
    metrics.event(make_event(name="unheard of"))
    found = values(metrics)
    assert found["people", "door"] == 12.25
    assert (found["people_low", "door"], found["people_high", "door"]) == (10.0, 14.5)
    assert found["region_people_per_square_meter", "door", "hall"] == 0.5
    assert found["line_crossings_total", "door", "entrance", "in"] == 3.6
    assert found["alarm_raised", "door", "crowded"] == 1
    assert found["alarm_acknowledged", "door", "crowded"] == 1
    assert found["alarms_raised_total", "door", "crowded"] == 1
    assert found["camera_up", "door"] == 1
    assert found["camera_frames_dropped_total", "door"] == 1
    assert not [key for key in found if "stranger" in key or "unheard of" in key]
    metrics.event(make_event("cleared"))
    metrics.event(make_event("lost"))
    found = values(metrics)
    states = [found[key, "door", "crowded"] for key in ("alarm_raised", "alarm_has_data")]
    assert states == [0, 0]
    assert found["alarms_raised_total", "door", "crowded"] == 1


def test_the_rate_that_is_asked_for():
    found = values(Metrics({"door": Watched("Door", rate=0.2), "hall": Watched("Hall")}))
    assert found["camera_rate", "door"] == 0.2
    assert ("camera_rate", "hall") not in found


def test_the_time_of_each_stage_is_summed(now):
    metrics = Metrics({"door": DOOR})
    for infer in (20.0, 30.0):
        metrics.reading(now(timings={"preprocess": 1.0, "infer": infer, "postprocess": 0.5}))
    rendered = metrics.render().decode()
    assert 'camera_stage_seconds_total{camera="door",stage="infer"} 0.05\n' in rendered
    assert 'camera_stage_seconds_total{camera="door",stage="preprocess"} 0.002\n' in rendered


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_cpu_time_and_memory_of_the_process():
    found = values(Metrics())
    assert found["process_cpu_seconds_total",] > 0
    assert found["process_resident_memory_bytes",] > 1e6


def test_counters_survive_resets(now):
    metrics, start = Metrics(), time.time() + 60
    steps = [(5, 1, 100), (7, 1, 100), (2, 0, 200), (3, 4, 200), (1, 4, 200), (9, 4, 300)]
    for into, out, since in steps:
        line = LineReading(float(into), float(out), start + since)
        metrics.reading(now(lines={"a": line}))
    found = values(metrics)
    # 7, then 3 after the first reset, nobody where it fell, 9 after the second.
    assert found["line_crossings_total", "door", "a", "in"] == 7 + 3 + 9
    assert found["line_crossings_total", "door", "a", "out"] == 1 + 4 + 4


def test_counts_of_a_slow_camera_stand_until_the_next_ones_are_late(now):
    metrics = Metrics({"door": dataclasses.replace(DOOR, patience=250.0)})
    metrics.reading(now(after=-200))
    assert ("people", "door") in values(metrics)
    metrics.reading(now(after=-260))
    assert ("people", "door") not in values(metrics)


def test_counters_begin_at_the_start_and_know_a_clock_that_was_set(now):
    metrics, since = Metrics(), time.time() - 3600
    for into, moved in ((600, 0), (601, 0), (602, 7200), (602, -90_000), (603, -90_000)):
        metrics.reading(now(lines={"a": LineReading(float(into), 0.0, since + moved)}))
        if moved == 7200:
            counted = values(metrics)["line_crossings_total", "door", "a", "in"]
    # The clock was set: what is later is a reset, what is earlier the same start.
    assert counted == 1 + 602
    assert values(metrics)["line_crossings_total", "door", "a", "in"] == counted + 1


def test_old_counts_are_not_told_as_new(now, make_event):
    metrics = Metrics()
    metrics.reading(now(after=-120))
    found = values(metrics)
    assert ("people", "door") not in found
    assert ("region_people", "door", "hall") not in found
    assert found["camera_last_picture_timestamp_seconds", "door"] < time.time() - 100
    metrics.reading(now())
    assert ("people", "door") in values(metrics)
    metrics.event(make_event("lost", kind="camera", name=""))
    found = values(metrics)
    assert ("people", "door") not in found
    assert found["camera_up", "door"] == 0
    metrics.reading(now(count=None, interval=None, picture="covered"))
    found = values(metrics)
    assert ("people", "door") not in found
    assert found["camera_picture_trusted", "door"] == 0
    assert found["camera_up", "door"] == 1


def test_removed_cameras_regions_lines_and_alarms_vanish(now, make_event):
    metrics = Metrics({"door": DOOR, "back": DOOR})
    for camera in ("door", "back"):
        metrics.reading(now(camera=camera))
        metrics.event(make_event(camera=camera))
    metrics.set_cameras({"door": Watched("Main door", ("hall",))})
    metrics.reading(now(lines={}))
    found = values(metrics)
    assert found["people", "door"] == 12.25
    assert not [key for key in found if {"back", "entrance", "crowded"} & set(key)]


def test_there_are_never_too_many(now, make_event):
    metrics = Metrics()
    many = {f"r{number}": RegionReading(1.0, 1.0) for number in range(1000)}
    crossed = {f"l{number}": LineReading(1.0, 1.0, 0.0) for number in range(1000)}
    metrics.reading(now(regions=many, lines=crossed))
    for number in range(1000):
        metrics.event(make_event(name=f"a{number}"))
        metrics.event(make_event(camera=f"c{number}"))
    found = values(metrics)
    names = [key[0] for key in found]
    assert names.count("region_people") == 256
    assert names.count("line_crossings_total") == 512
    assert names.count("alarm_raised") <= 512


def test_health_is_that_of_now(now):
    health = {
        "door": SourceHealth(SourceState.STALLED, frames_in=9, counted=7, damaged=2, reconnects=3),
        "gone": SourceHealth(SourceState.LIVE),
    }
    sinks = [SinkHealth("mqtt", is_open=False, delivered=5, dropped=2, waiting=1, error="away")]
    metrics = Metrics({"door": DOOR}, health=lambda: health, sinks=lambda: sinks)
    found = values(metrics)
    assert found["camera_up", "door"] == 0
    assert found["camera_reconnects_total", "door"] == 3
    assert ("camera_up", "gone") not in found
    assert [found[key, "mqtt"] for key in ("sink_up", "sink_waiting")] == [0, 1]
    assert [found[f"sink_{key}_total", "mqtt"] for key in ("delivered", "dropped")] == [5, 2]


def test_prometheus_takes_them(now, make_event):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt install prometheus")
    sinks = [SinkHealth("mqtt", is_open=True, delivered=5, dropped=2, waiting=1, error=None)]
    metrics = Metrics(sinks=lambda: sinks)
    metrics.reading(now(regions={'a "b"\n\\ \udce9': RegionReading(1.0, 1.0, 0.2, "A")}))
    metrics.event(make_event())
    command = ["promtool", "check", "metrics"]
    done = subprocess.run(command, input=metrics.render(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
