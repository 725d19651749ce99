"""A service that shows given pictures, to test the page by what `contract` asks of a real one."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import timezone, tzinfo
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.analytics import level_of_service
from edgecount.errors import ConfigError
from edgecount.result import CountResult
from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.readings import Event, LineReading, Reading, RegionReading
from edgecount.watch.shapes import check_unchanged
from edgecount.watch.sinks.base import SinkHealth

STRIDE = 8
WS = "ws://127.0.0.1:8080/ws"
EDITOR, VIEWER = "editor-token-0123456789", "viewer-token-0123456789"
RAISED = {
    "region": "hall",
    "above": 2,
    "below": 1,
    "by": "count",
    "state": "raised",
    "since": 1.0,
    "count": 3.0,
    "peak": 4.0,
}


def result_of(image: NDArray[np.uint8], heads: NDArray[np.float32]) -> CountResult:
    """Return what a perfect model would say of heads at x and y in pixels."""
    height, width = image.shape[:2]
    density = np.zeros((math.ceil(height / STRIDE), math.ceil(width / STRIDE)), np.float32)
    cells = np.clip(
        (heads[:, :2] / STRIDE).astype(int), 0, [density.shape[1] - 1, density.shape[0] - 1]
    )
    np.add.at(density, (cells[:, 1], cells[:, 0]), 1.0)
    count = float(len(heads))
    return CountResult(
        count=count,
        density_count=count,
        peak_count=len(heads),
        points=np.column_stack([heads[:, :2], np.ones(len(heads))]).astype(np.float32),
        density=density,
        density_stride_xy=(STRIDE, STRIDE),
        regions={},
        overflow=False,
        size=(width, height),
        model="edgecount-s",
        backend="fake",
        interval=(0.9 * count, 1.15 * count),
    )


class Camera:
    """A camera that shows pictures in turn."""

    def __init__(
        self,
        name: str,
        title: str,
        pictures: Sequence[tuple[NDArray[np.uint8], NDArray[np.float32]]] = (),
        *,
        shapes: Mapping[str, Any] | None = None,
        alarms: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.name, self.title = name, title
        self.config = SimpleNamespace(patience=0.0)
        self.pictures = [(image, result_of(image, heads)) for image, heads in pictures]
        self.given = {"regions": {}, "excluded": [], "lines": {}, "ground": None, **(shapes or {})}
        self.given_alarms = {key: dict(value) for key, value in (alarms or {}).items()}
        self.state, self.error = SourceState.LIVE, None
        self.reading: Reading | None = None
        self.encoded: tuple[float, bytes] | None = None
        self.shown = self.turn = 0
        self.smooth: deque[float] = deque(maxlen=15)
        self.since = time.time() - 8 * 3600

    def step(self) -> Reading | None:
        """Show the next picture."""
        if not self.pictures or self.state is not SourceState.LIVE:
            return None
        image, result = self.pictures[self.turn % len(self.pictures)]
        self.turn += 1
        self.smooth.append(result.count)
        smooth = sum(self.smooth) / len(self.smooth)
        self.reading = Reading(
            camera=self.name,
            time=time.time(),
            count=result.count,
            interval=result.interval,
            smooth=smooth,
            smooth_interval=(0.9 * smooth, 1.15 * smooth),
            regions={
                name: self._region(one, result) for name, one in self.given["regions"].items()
            },
            lines={
                name: LineReading(412.0 + self.turn / 40, 398.0 + self.turn / 50, self.since)
                for name in self.given["lines"]
            },
            picture="good",
            night=False,
            health=self.health(),
            result=result,
            image=image,
        )
        return self.reading

    def _region(self, region: Mapping[str, Any], result: CountResult) -> RegionReading:
        polygon = (np.array(region["polygon"]) * result.size).astype(np.float32)
        inside = [
            cv2.pointPolygonTest(polygon, (float(x), float(y)), False) >= 0
            for x, y, _ in result.points
        ]
        count = float(sum(inside))
        per_m2 = count / 60 if self.given["ground"] else None
        return RegionReading(
            count, count, per_m2, None if per_m2 is None else level_of_service(per_m2)
        )

    def latest(self) -> Reading | None:
        return self.reading

    def jpeg(self, *, width: int | None = None) -> bytes | None:
        if self.reading is None or self.reading.image is None:
            return None
        if self.encoded is None or self.encoded[0] != self.reading.time:
            _, data = cv2.imencode(".jpg", self.reading.image, [cv2.IMWRITE_JPEG_QUALITY, 85])
            self.encoded = (self.reading.time, data.tobytes())
        return self.encoded[1]

    def health(self) -> SourceHealth:
        age = None if self.reading is None else max(0.0, time.time() - self.reading.time)
        size = self.pictures[0][1].size if self.pictures else None
        return SourceHealth(
            self.state, 2 * self.turn, self.turn, self.turn, 1, age, self.error, size, 25.0
        )

    def shapes(self) -> dict[str, Any]:
        return dict(self.given)

    def alarms(self) -> dict[str, dict[str, Any]]:
        return {name: dict(alarm) for name, alarm in self.given_alarms.items()}


class Subscription:
    """Readings and events in a queue."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.items: list[Reading | Event] = []
        self.is_closed = False

    def put(self, item: Reading | Event) -> None:
        with self.changed:
            if isinstance(item, Reading):
                self.items = [
                    one for one in self.items if isinstance(one, Event) or one.camera != item.camera
                ]
            self.items.append(item)
            self.changed.notify_all()

    def get(self, timeout: float) -> list[Reading | Event]:
        with self.changed:
            self.changed.wait_for(lambda: self.items or self.is_closed, timeout)
            items, self.items = self.items, []
            return items

    def close(self) -> None:
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()


class StandInHistory:
    """A history in which every day is busy at noon and at six."""

    def __init__(self, cameras: Mapping[str, Camera]) -> None:
        self.cameras, self.kept = cameras, []
        self.zone: tzinfo = timezone.utc

    def series(
        self, camera: str, what: str, start: float, end: float, points: int
    ) -> dict[str, Any]:
        self._check(camera)
        step = next(
            one for one in (60, 300, 900, 3600, 6 * 3600, 86400) if (end - start) / one <= points
        )
        times = np.arange(math.ceil(start / step) * step, min(end, time.time()), step)
        mean = np.array([people(at, step) for at in times])
        gap = (times % 1e6) < step  # where the camera was away
        noise = np.random.default_rng(1).random(len(times))
        found = {
            "min": mean * (0.8 - 0.1 * noise),
            "mean": mean,
            "max": mean * (1.15 + 0.15 * noise),
            "low": mean * 0.9,
            "high": mean * 1.1,
        }
        lists = {
            name: [
                None if away else round(value, 2)
                for value, away in zip(values.tolist(), gap, strict=True)
            ]
            for name, values in found.items()
        }
        if what.startswith("line:"):
            crossed = [None if value is None else value * step / 600 for value in lists["mean"]]
            lists = dict.fromkeys(found, [None] * len(times))
            lists |= {
                "into": crossed,
                "out": [None if one is None else 0.9 * one for one in crossed],
            }
        seconds = [0.0 if away else float(step) for away in gap]
        return {"step": step, "time": times.tolist(), "seconds": seconds, **lists}

    def patterns(self, camera: str, what: str, *, now: float | None = None) -> dict[str, Any]:
        self._check(camera)
        now = time.time() if now is None else now
        monday = now - now % 86400 - time.gmtime(now).tm_wday * 86400
        hours = [round(people(monday + 3600 * i, 3600), 1) for i in range(168)]
        this = [value if monday + 3600 * i < now else None for i, value in enumerate(hours)]
        last = [round(0.9 * value + 3 * math.sin(i / 5), 1) for i, value in enumerate(hours)]
        busiest = sorted(range(168), key=lambda i: -hours[i])[:5]
        return {
            "hours": [hours[24 * day : 24 * day + 24] for day in range(7)],
            "busiest": [
                {
                    "hour": monday - 7 * 86400 + 3600 * i,
                    "mean": hours[i],
                    "max": round(1.2 * hours[i], 1),
                }
                for i in busiest
            ],
            "weeks": {"this": this, "last": last},
        }

    def events(self, camera: str | None, start: float, end: float) -> list[dict[str, Any]]:
        kept = [
            one for one in self.kept if start <= one.time <= end and camera in {None, one.camera}
        ]
        return [one.to_dict() for one in sorted(kept, key=lambda one: -one.time)]

    def export(
        self, start: float, end: float, *, camera: str | None = None, what: str | None = None
    ) -> Iterator[str]:
        self._check(camera)
        yield "time,camera,what,mean\r\n"
        found = self.series(camera or "", what or "", start, end, 5000)
        for at, mean in zip(found["time"], found["mean"], strict=True):
            yield f"{at},{camera},{what},{mean}\r\n"

    def _check(self, camera: str | None) -> None:
        if camera not in self.cameras:
            raise ConfigError(f"camera: expected one of {', '.join(self.cameras)}, got {camera!r}")


class StandIn:
    """A service with cameras that show pictures when they are told to."""

    def __init__(self, cameras: Sequence[Camera] = ()) -> None:
        self.cameras = {camera.name: camera for camera in cameras}
        self.history: StandInHistory | None = StandInHistory(self.cameras)
        self.subscriptions: list[Subscription] = []
        self.calls: list[tuple[Any, ...]] = []
        self.refuse: Exception | None = None
        self.sink_health = [SinkHealth("history", True, 9120, 0, 0, None)]
        self.since_beat = 0.1
        self.is_running = False
        self.thread: threading.Thread | None = None

    def step(self) -> None:
        for camera in self.cameras.values():
            if (reading := camera.step()) is not None:
                self.put(reading)

    def put(self, item: Reading | Event) -> None:
        if isinstance(item, Event) and self.history is not None:
            self.history.kept.append(item)
        for subscription in list(self.subscriptions):
            subscription.put(item)

    def raise_alarm(
        self, camera: str, name: str, change: str = "raised", at: float | None = None
    ) -> None:
        alarm = self.cameras[camera].given_alarms[name]
        state = {"raised": "raised", "cleared": "quiet", "acknowledged": "acknowledged"}[change]
        at = time.time() if at is None else at
        alarm.update(state=state, since=at)
        self.put(Event(camera, at, "alarm", name, change, alarm.get("count"), alarm.get("peak")))

    def sinks(self) -> list[SinkHealth]:
        return self.sink_health

    def subscribe(self) -> Subscription:
        subscription = Subscription()
        self.subscriptions.append(subscription)
        return subscription

    def heartbeat(self) -> float:
        return self.since_beat

    def acknowledge(self, camera: str, alarm: str) -> None:
        self._note("acknowledge", camera, alarm)
        self.raise_alarm(camera, alarm, "acknowledged")

    def change_shapes(
        self, camera: str, shapes: Mapping[str, Any], *, since: str | None = None
    ) -> None:
        check_unchanged(camera, self.cameras[camera].shapes(), since)
        self._note("change_shapes", camera, dict(shapes))
        self.cameras[camera].given.update(shapes)

    def keep(self, camera: str) -> str:
        self._note("keep", camera)
        return f"{camera}-1.jpg"

    def run(self, fps: float = 5.0) -> None:
        """Step from a thread, until `end`."""
        self.is_running = True

        def loop() -> None:
            while self.is_running:
                self.step()
                time.sleep(1 / fps)

        self.thread = threading.Thread(target=loop)
        self.thread.start()

    def end(self) -> None:
        self.is_running = False
        if self.thread is not None:
            self.thread.join()

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        if self.refuse is not None:
            raise self.refuse


def people(at: float, step: float) -> float:
    """Return how many people there are at a time."""
    hour, day = at / 3600 % 24, int(at // 86400)
    if step >= 86400:
        return 40 + 25 * math.sin(day) ** 2
    week = 1.3 if (day + 4) % 7 >= 5 else 1.0
    rush = 70 * math.exp(-(((hour - 12) / 2.2) ** 2)) + 110 * math.exp(-(((hour - 18) / 1.8) ** 2))
    return max(0.0, week * (6 + rush) + 5 * math.sin(at / 700) + 3 * math.sin(at / 97))


def blank(
    width: int = 64, height: int = 48, heads: int = 3
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a grey picture with heads in a row."""
    points = np.column_stack([np.linspace(8, width - 8, heads), np.full(heads, height / 2)])
    return np.full((height, width, 3), 90, np.uint8), points.astype(np.float32)


def with_state(reading: Reading, **changes: Any) -> Reading:
    """Return a reading with some fields changed."""
    return dataclasses.replace(reading, **changes)
