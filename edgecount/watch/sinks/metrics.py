"""Metrics for Prometheus: the newest numbers of each camera, and what has been counted so far."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgecount._text import valid_text
from edgecount.errors import MissingExtraError
from edgecount.watch.readings import AlarmStatus, Event, LineReading, Reading
from edgecount.watch.sinks.base import Sink, SinkHealth
from edgecount.watch.sinks.watched import Watched

if TYPE_CHECKING:
    from edgecount.runtime.sources.live import SourceHealth

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of what `Metrics.render` returns."""

_STALE = 60.0  # s after which a count is no count of now
_TRUSTED = frozenset({"good", "learning"})  # as `PictureState.is_trusted`
_MOST_NAMES = 256  # regions, lines and alarms of a camera, each, that have metrics

_Labels = tuple[str, ...]
_Family = tuple[str, str, str, tuple[str, ...], Sequence[tuple[_Labels, float]]]


@dataclass
class _Crossed:
    """People that crossed a line since this program started, and the line's last reading."""

    last: LineReading
    into: float
    out: float

    @classmethod
    def of(cls, line: LineReading, started: float) -> _Crossed:
        """Return the counts of a line that is first read; those of before the start are left out.

        Args:
            line: the reading, which may go on from what an earlier program has counted.
            started: when this program started, UNIX time in seconds.
        """
        is_new = line.since >= started
        return cls(line, line.into if is_new else 0.0, line.out if is_new else 0.0)

    def update(self, line: LineReading) -> None:
        """Add what is new; counts that were reset begin at 0 again."""
        # A start that is earlier than the noted one is the same, by a clock that was set.
        last = LineReading(0.0, 0.0, line.since) if line.since > self.last.since else self.last
        self.into += max(line.into - last.into, 0.0)
        self.out += max(line.out - last.out, 0.0)
        self.last = line


@dataclass
class _Alarm:
    is_raised: bool = False
    is_acknowledged: bool = False
    has_data: bool = True
    times: int = 0

    @classmethod
    def of(cls, status: AlarmStatus | None) -> _Alarm:
        """Return an alarm of which no event has come yet."""
        if status is None:
            return cls()
        return cls(status.raised, status.acknowledged, status.has_data)

    def update(self, change: str) -> None:
        self.times += change == "raised"
        if change in {"raised", "cleared"}:
            self.is_raised, self.is_acknowledged = change == "raised", False
        elif change == "acknowledged":
            self.is_acknowledged = True
        elif change in {"lost", "back"}:
            self.has_data = change == "back"


@dataclass
class _Camera:
    stale: float = _STALE
    rate: float = 0.0
    reading: Reading | None = None
    is_lost: bool = False
    stages: dict[str, float] = field(default_factory=dict)  # seconds by stage since the start
    lines: dict[str, _Crossed] = field(default_factory=dict)
    alarms: dict[str, _Alarm] = field(default_factory=dict)


class Metrics(Sink):
    """The newest numbers of each camera, as Prometheus reads them.

    A camera that is removed has no metrics any more. Counts of a camera that is lost, or whose
    picture cannot be trusted, are left out rather than repeated. What crossed a line is counted on
    when the line's own counts are reset.

    Args:
        cameras: cameras by id, which alone have metrics; None: all that give readings.
        health: what gives the health of every camera now; None: that of the newest readings.
        sinks: what gives the health of every sink.

    Raises:
        MissingExtraError: prometheus-client is not installed.
    """

    def __init__(
        self,
        cameras: Mapping[str, Watched] | None = None,
        *,
        health: Callable[[], Mapping[str, SourceHealth]] | None = None,
        sinks: Callable[[], Sequence[SinkHealth]] | None = None,
    ) -> None:
        try:
            from prometheus_client import CollectorRegistry, ProcessCollector
        except ImportError:
            raise MissingExtraError("prometheus-client", "watch", "for metrics") from None

        self.name = "prometheus"
        self._started = time.time()
        self._lock = threading.Lock()
        self._watched = None if cameras is None else dict(cameras)
        self._cameras: dict[str, _Camera] = {}
        self._health, self._sinks = health, sinks
        # Of its own: the library's holds the metrics of a whole program.
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collector(self._collect))
        ProcessCollector(registry=self._registry)  # CPU time and memory, where /proc has them
        if cameras is not None:
            self.set_cameras(cameras)

    def set_cameras(self, cameras: Mapping[str, Watched]) -> None:
        """Have metrics of these cameras from now on, and of no others; from any thread."""
        with self._lock:
            self._watched = dict(cameras)
            self._cameras = {name: self._cameras.get(name, _Camera()) for name in cameras}
            for name, watched in cameras.items():
                camera = self._cameras[name]
                camera.stale, camera.rate = max(_STALE, watched.patience), watched.rate
                camera.lines = _kept(camera.lines, watched.lines)
                known = {
                    alarm: camera.alarms.get(alarm) or _Alarm.of(watched.statuses.get(alarm))
                    for alarm in watched.alarms
                }
                camera.alarms = _kept(known, watched.alarms)

    def reading(self, reading: Reading) -> None:
        """Take the numbers of a reading."""
        with self._lock:
            camera = self._camera(reading.camera)
            if camera is None:
                return
            camera.reading, camera.is_lost = reading, False
            for stage, milliseconds in reading.timings.items():
                camera.stages[stage] = camera.stages.get(stage, 0.0) + milliseconds / 1000
            for name, line in list(reading.lines.items())[:_MOST_NAMES]:
                if (crossed := camera.lines.get(name)) is not None:
                    crossed.update(line)
                else:
                    camera.lines[name] = _Crossed.of(line, self._started)
            if reading.count is not None:  # else lines may be missing for now
                camera.lines = _kept(camera.lines, reading.lines)

    def event(self, event: Event) -> None:
        """Take what an event changes."""
        with self._lock:
            camera = self._camera(event.camera)
            if camera is None:
                return
            if event.kind == "camera" and event.change in {"lost", "back"}:
                camera.is_lost = event.change == "lost"
            elif event.kind == "alarm":
                if self._watched is None and len(camera.alarms) < _MOST_NAMES:
                    camera.alarms.setdefault(event.name, _Alarm())
                if event.name in camera.alarms:
                    camera.alarms[event.name].update(event.change)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format (`CONTENT_TYPE`); from any thread."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def _camera(self, name: str) -> _Camera | None:
        if self._watched is None and len(self._cameras) < _MOST_NAMES:
            return self._cameras.setdefault(name, _Camera())
        return self._cameras.get(name)

    def _collect(self) -> Iterator[_Family]:
        from edgecount import __version__

        # Before the lock: both ask others, who may wait for it.
        health = dict(self._health()) if self._health else None
        sinks = list(self._sinks()) if self._sinks else []
        version = [((__version__,), 1.0)]
        yield "gauge", "build_info", "Version of edgecount.", ("version",), version
        with self._lock:
            families = [*_of_counts(self._cameras), *_of_health(self._cameras, health)]
        yield from families
        yield from _of_sinks(sinks)


def _kept(found: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    wanted = set(names)
    return {name: one for name, one in list(found.items())[:_MOST_NAMES] if name in wanted}


def _of_counts(cameras: Mapping[str, _Camera]) -> Iterator[_Family]:
    """Yield what is counted of each camera now, its lines and its alarms."""
    fresh = {
        name: camera.reading
        for name, camera in cameras.items()
        if camera.reading is not None
        and not camera.is_lost
        and time.time() - camera.reading.time < camera.stale
    }
    of_frame: tuple[tuple[str, str, Callable[[Reading], float | None]], ...] = (
        ("people", "People in the picture.", lambda one: one.count),
        ("people_smoothed", "People in the picture, smoothed over time.", lambda one: one.smooth),
        ("people_low", "Lower end of the likely range of people.",
         lambda one: one.interval and one.interval[0]),
        ("people_high", "Upper end of the likely range of people.",
         lambda one: one.interval and one.interval[1]),
    )  # fmt: skip
    for name, text, value in of_frame:
        samples = [((camera,), value(reading)) for camera, reading in fresh.items()]
        yield "gauge", name, text, ("camera",), _known(samples)
    for name, text, key in (
        ("region_people", "People in a region.", "count"),
        ("region_people_smoothed", "People in a region, smoothed over time.", "smooth"),
        ("region_people_per_square_meter", "People per square metre of a region.", "per_m2"),
    ):
        of_regions = [
            ((camera, region), getattr(numbers, key))
            for camera, reading in fresh.items()
            for region, numbers in list(reading.regions.items())[:_MOST_NAMES]
        ]
        yield "gauge", name, text, ("camera", "region"), _known(of_regions)
    crossings = [
        ((camera, line, way), people)
        for camera, one in cameras.items()
        for line, crossed in one.lines.items()
        for way, people in (("in", crossed.into), ("out", crossed.out))
    ]
    text = "People that crossed a line since the service started."
    yield "counter", "line_crossings", text, ("camera", "line", "direction"), crossings
    yield from _of_alarms(cameras)


def _of_alarms(cameras: Mapping[str, _Camera]) -> Iterator[_Family]:
    alarms = [
        ((camera, name), alarm)
        for camera, one in cameras.items()
        for name, alarm in one.alarms.items()
    ]
    labels = ("camera", "alarm")
    for name, text, key in (
        ("alarm_raised", "Whether an alarm is raised.", "is_raised"),
        ("alarm_acknowledged", "Whether somebody knows of a raised alarm.", "is_acknowledged"),
        ("alarm_has_data", "Whether an alarm gets counts.", "has_data"),
    ):
        samples = [(one, float(getattr(alarm, key))) for one, alarm in alarms]
        yield "gauge", name, text, labels, samples
    times = [(one, float(alarm.times)) for one, alarm in alarms]
    yield "counter", "alarms_raised", "How often an alarm was raised.", labels, times


def _of_health(
    cameras: Mapping[str, _Camera], health: Mapping[str, SourceHealth] | None
) -> Iterator[_Family]:
    """Yield how the cameras are doing."""
    readings = {name: one.reading for name, one in cameras.items() if one.reading is not None}
    if health is None:
        health = {name: reading.health for name, reading in readings.items()}
    health = {name: one for name, one in health.items() if name in cameras}
    lost = {name for name, one in cameras.items() if one.is_lost}
    labels = ("camera",)
    up = [((n,), float(one.state.value == "live" and n not in lost)) for n, one in health.items()]
    yield "gauge", "camera_up", "Whether a camera gives pictures.", labels, up
    trusted = [((name,), float(one.picture in _TRUSTED)) for name, one in readings.items()]
    yield "gauge", "camera_picture_trusted", "Whether a picture is fit to count.", labels, trusted
    night = [((name,), float(one.night)) for name, one in readings.items()]
    yield "gauge", "camera_night", "Whether a picture has no colour.", labels, night
    last = [((name,), one.time) for name, one in readings.items()]
    text = "UNIX time of the newest picture that was counted."
    yield "gauge", "camera_last_picture_timestamp_seconds", text, labels, last
    rates = [((name,), one.rate) for name, one in cameras.items() if one.rate]
    yield "gauge", "camera_rate", "Pictures a second that the config asks for.", labels, rates
    for name, text, key in (
        ("camera_frames_received", "Pictures that came in.", "frames_in"),
        ("camera_frames_counted", "Pictures that were counted.", "counted"),
        ("camera_frames_dropped", "Pictures that nobody was free to count.", "dropped"),
        ("camera_frames_damaged", "Pictures that were left out as damaged.", "damaged"),
        ("camera_reconnects", "How often a camera was opened again.", "reconnects"),
    ):
        samples = [((camera,), float(getattr(one, key))) for camera, one in health.items()]
        yield "counter", name, text, labels, samples
    stages = [((n, stage), s) for n, one in cameras.items() for stage, s in one.stages.items()]
    text = "Seconds spent on a camera's pictures, by stage."
    yield "counter", "camera_stage_seconds", text, ("camera", "stage"), stages


def _of_sinks(sinks: Sequence[SinkHealth]) -> Iterator[_Family]:
    """Yield how the sinks are doing."""
    for kind, name, text, key in (
        ("gauge", "sink_up", "Whether a sink works.", "is_open"),
        ("gauge", "sink_waiting", "Readings and events that wait for a sink.", "waiting"),
        ("counter", "sink_delivered", "Readings and events that a sink took.", "delivered"),
        ("counter", "sink_dropped", "Readings and events that a sink lost.", "dropped"),
    ):
        samples = [((one.name,), float(getattr(one, key))) for one in sinks]
        yield kind, name, text, ("sink",), samples


def _known(samples: Sequence[tuple[_Labels, float | None]]) -> list[tuple[_Labels, float]]:
    return [(labels, value) for labels, value in samples if value is not None]


class _Collector:
    """The collector that the registry asks for metrics."""

    def __init__(self, collect: Callable[[], Iterator[_Family]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Any]:
        """Yield the families as the library has them; empty ones are left out."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        kinds = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}
        for kind, name, text, labels, samples in self._collect():
            if samples:
                family = kinds[kind](f"edgecount_{name}", text, labels=labels)
                for values, value in samples:
                    family.add_metric([valid_text(one) for one in values], value)
                yield family
