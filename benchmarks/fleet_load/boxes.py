"""Boxes with cameras that are not there: their readings, and the messages of their real sink."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.readings import Event, LineReading, Reading, RegionReading
from edgecount.watch.sinks.mqtt import Mqtt
from edgecount.watch.sinks.pace import Pace
from edgecount.watch.sinks.watched import Watched

RATE = 5.0  # pictures counted a second, the default of `cameras.ID.rate`
EVERY = 5.0  # s between readings of a camera, the default of `sinks.mqtt.every`
_BOXES_PER_SITE = 4
_WATCHED = Watched("Main door", ("hall", "queue"), ("entrance",), ("crowded",), ground=True)


@dataclass(frozen=True)
class Message:
    """A message that a sink gives to a broker; see `edgecount.watch.sinks.broker.Broker`."""

    topic: str
    payload: bytes
    sure: bool
    retain: bool


class Recorder:
    """A connection that keeps what is sent, in place of the sink's own."""

    def __init__(self, _options: object, will: tuple[str, str], _heard: object) -> None:
        self.will = will
        self.sent: list[Message] = []

    def publish(self, topic: str, payload: str | bytes, *, sure: bool = False) -> None:
        """Keep a message that the broker is to retain."""
        self._keep(topic, payload, sure=sure, retain=True)

    def tell(self, topic: str, payload: str | bytes) -> None:
        """Keep a message for those who listen."""
        self._keep(topic, payload, sure=True, retain=False)

    def subscribe(self, topic: str) -> None:
        """Do nothing, like the following ones: nobody answers."""

    def wait(self, message: object, most: float = math.inf) -> None:
        """Do nothing."""

    def check(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def take(self) -> list[Message]:
        """Return what was sent since the last call."""
        sent, self.sent = self.sent, []
        return sent

    def _keep(self, topic: str, payload: str | bytes, *, sure: bool, retain: bool) -> None:
        content = payload if isinstance(payload, bytes) else payload.encode()
        self.sent.append(Message(topic, content, sure, retain))


@dataclass
class Box:
    """A box with cameras, and its sink for a broker.

    Attributes:
        site: where it stands.
        name: its name, unique in all sites.
        cameras: its cameras by id.
        every: seconds between readings of a camera for the broker.
        in_step: whether it sends at the begin of each period of the clock, as all others do then.
    """

    site: str
    name: str
    cameras: Mapping[str, Watched]
    every: float = EVERY
    in_step: bool = False
    _sink: Mqtt = field(init=False, repr=False)
    _recorder: Recorder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._sink = Mqtt("broker", topic=self.topic, every=self.every, cameras=self.cameras)
        if self.in_step:
            self._sink._pace = Pace(self.every)
        with patch("edgecount.watch.sinks.mqtt.Broker", Recorder):
            self._sink.open()
        recorder: Any = self._sink._broker
        self._recorder = recorder

    @property
    def topic(self) -> str:
        """Beginning of all of its topics."""
        return f"edgecount/{self.site}/{self.name}"

    @property
    def will(self) -> tuple[str, str]:
        """Topic and text that the broker publishes when the box is gone."""
        return self._recorder.will

    def announcement(self) -> list[Message]:
        """Return what it sends when it starts."""
        return self._recorder.take()

    def messages(self, item: Reading | Event) -> list[Message]:
        """Return what it sends for a reading or an event."""
        if isinstance(item, Event):
            self._sink.event(item)
        else:
            self._sink.reading(item)
        return self._recorder.take()


def boxes(
    cameras: int, per_box: int, *, every: float = EVERY, in_step: bool = False
) -> Iterator[Box]:
    """Yield boxes with so many cameras in all."""
    for number in range(math.ceil(cameras / per_box)):
        ids = range(min(per_box, cameras - number * per_box))
        site = f"site-{number // _BOXES_PER_SITE:04}"
        watched = {f"camera-{one}": _WATCHED for one in ids}
        yield Box(site, f"box-{number:04}", watched, every, in_step)


def reading(camera: str, time: float, seed: int = 0) -> Reading:
    """Return a reading of a camera with two regions and a line; more people by day."""
    count = 3.0 + seed % 7 + 40 * math.sin(time / 86_400 * math.pi) ** 2 + math.sin(time + seed)
    pictures = int(time) % 10_000_000
    return Reading(
        camera=camera,
        time=time,
        count=count,
        interval=(0.8 * count, 1.2 * count),
        smooth=count + 0.1234,
        smooth_interval=(0.85 * count, 1.15 * count),
        regions={
            name: RegionReading(count / share, count / share + 0.01, count / 50 / share, "A")
            for name, share in (("hall", 2), ("queue", 5))
        },
        lines={"entrance": LineReading(float(pictures % 5000), pictures % 4000 + 0.5, 1.79e9)},
        picture="good",
        night=False,
        health=SourceHealth(
            SourceState.LIVE, frames_in=25 * pictures, counted=5 * pictures,
            dropped=20 * pictures, age=0.12,
        ),
        timings={"preprocess": 0.8, "infer": 20.0, "postprocess": 0.4},
    )  # fmt: skip


def alarm(camera: str, time: float, change: str) -> Event:
    """Return an event of a camera's alarm."""
    detail = "hall: more than 40 people" if change == "raised" else "hall: fewer than 30 people"
    return Event(camera, time, "alarm", "crowded", change, 41.5, 47.25, detail)
