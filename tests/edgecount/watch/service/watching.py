"""Parts that the tests of the service share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from edgecount.watch.config import CameraConfig, RegionConfig, SmoothConfig, WatchConfig
from edgecount.watch.readings import Event, Reading
from edgecount.watch.sinks.base import Sink

LEFT = RegionConfig(((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
SECONDS = 30.0  # that a slow machine may take


class Kept(Sink):
    """A sink that keeps what it is given."""

    def __init__(self, *, images: bool = False) -> None:
        self.name = "kept"
        self.wants_images = images
        self.readings: list[Reading] = []
        self.events: list[Event] = []
        self.opened = self.closed = 0

    def open(self) -> None:
        self.opened += 1

    def reading(self, reading: Reading) -> None:
        self.readings.append(reading)

    def event(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.closed += 1

    def of(self, camera: str) -> list[Reading]:
        return [one for one in self.readings if one.camera == camera]

    def changes(self, camera: str = "door", kind: str = "camera") -> list[str]:
        return [one.change for one in self.events if (one.camera, one.kind) == (camera, kind)]


def section(**options: Any) -> CameraConfig:
    defaults = {"rate": None, "smooth": SmoothConfig(0, 0), "check_picture": False}
    return CameraConfig("rtsp://camera", **(defaults | options))


def config(cameras: Mapping[str, CameraConfig], **options: Any) -> WatchConfig:
    return WatchConfig(cameras=dict(cameras), **options)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)
