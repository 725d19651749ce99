"""What the service tells of a camera: a reading for each counted picture, and events."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from edgecount._text import valid_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecount.result import CountResult
    from edgecount.runtime.sources.live import SourceHealth

EventKind: TypeAlias = Literal["alarm", "camera", "picture"]


@dataclass(frozen=True)
class RegionReading:
    """People in a region of the picture.

    Attributes:
        count: people in this picture.
        smooth: smoothed count.
        per_m2: people per square metre of its ground; None without a ground plane.
        level: level of service of that, A to F; None without a ground plane.
    """

    count: float
    smooth: float
    per_m2: float | None = None
    level: str | None = None


@dataclass(frozen=True)
class LineReading:
    """People that have crossed a line since its counts started anew.

    Attributes:
        into: people that went in.
        out: people that went out.
        since: when the counts started anew, UNIX time in seconds.
    """

    into: float
    out: float
    since: float


@dataclass(frozen=True)
class AlarmStatus:
    """The state of an alarm, as far as it survives a restart.

    Attributes:
        raised: whether it is raised.
        acknowledged: whether somebody knows.
        has_data: whether counts come.
        since: when it was raised, UNIX time in seconds; None while it is not.
        peak: most people since then.
        cleared: when it was last cleared, UNIX time in seconds; None if it never was.
    """

    raised: bool = False
    acknowledged: bool = False
    has_data: bool = True
    since: float | None = None
    peak: float | None = None
    cleared: float | None = None


@dataclass(frozen=True)
class Kept:
    """What goes on of a camera after a restart.

    Attributes:
        lines: counts of its lines by name.
        alarms: its alarms by name.
    """

    lines: Mapping[str, LineReading] = field(default_factory=dict)
    alarms: Mapping[str, AlarmStatus] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Reading:
    """A counted picture of a camera.

    Attributes:
        camera: the camera's id in the config.
        time: when the picture was captured, UNIX time in seconds.
        count: people in it; None if the picture cannot be trusted, or the camera moves.
        interval: their likely range; None where the model's was not measured.
        smooth: smoothed count; None before the first one.
        smooth_interval: likely range of the smoothed count.
        regions: readings by the region's name; empty where the count is None.
        lines: readings by the line's name.
        picture: state of the picture, as `PictureState` calls it; "moving" while the camera turns.
        night: whether the picture has no colour.
        health: how the camera is doing.
        alarms: state of each alarm, by name, after this picture.
        result: what was counted; None where the count is.
        image: the picture, uint8 (H, W, 3) BGR, its heads pixelated if the config asks for that.
    """

    camera: str
    time: float
    count: float | None
    interval: tuple[float, float] | None
    smooth: float | None
    smooth_interval: tuple[float, float] | None
    regions: Mapping[str, RegionReading]
    lines: Mapping[str, LineReading]
    picture: str
    night: bool
    health: SourceHealth
    alarms: Mapping[str, AlarmStatus] = field(default_factory=dict)
    result: CountResult | None = None
    image: NDArray[np.uint8] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain JSON types: no picture, no points, no density."""
        regions = {name: vars(one).copy() for name, one in self.regions.items()}
        return {
            "camera": self.camera,
            "time": _stamp(self.time),
            "count": _short(self.count),
            "interval": _pair(self.interval),
            "smooth": _short(self.smooth),
            "smooth_interval": _pair(self.smooth_interval),
            "regions": {
                name: {key: _short(value) for key, value in one.items()}
                for name, one in regions.items()
            },
            "lines": {
                name: {
                    "in": _short(line.into),
                    "out": _short(line.out),
                    "net": _short(line.into - line.out),
                    "since": _stamp(line.since),
                }
                for name, line in self.lines.items()
            },
            "picture": self.picture,
            "night": self.night,
            "state": self.health.state.value,
            "age": _short(self.health.age),
            "frames_in": self.health.frames_in,
            "counted": self.health.counted,
            "dropped": self.health.dropped,
            "reconnects": self.health.reconnects,
        }


@dataclass(frozen=True)
class Event:
    """A change that somebody may want to be told of.

    Attributes:
        camera: the camera's id.
        time: when it happened, UNIX time in seconds.
        kind: what it is about: an alarm, the camera itself, or its picture.
        name: the alarm's name; empty for the others.
        change: what happened: of an alarm raised, cleared, acknowledged, lost or back; of a
            camera lost or back; of a picture its new state.
        count: people, of an alarm.
        peak: most people since it was raised.
        detail: a sentence for people, without secrets.
        id: differs between events, so that one that is delivered twice is known.
    """

    camera: str
    time: float
    kind: EventKind
    name: str
    change: str
    count: float | None = None
    peak: float | None = None
    detail: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def to_dict(self) -> dict[str, Any]:
        """Return the event as plain JSON types."""
        return {
            "id": self.id,
            "camera": self.camera,
            "time": _stamp(self.time),
            "kind": self.kind,
            "name": self.name,
            "change": self.change,
            "count": _short(self.count),
            "peak": _short(self.peak),
            "detail": valid_text(self.detail),
        }


def _stamp(time: float) -> str:
    """Return a UNIX time as RFC 3339 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(time, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _short(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


def _pair(ends: tuple[float, float] | None) -> list[float] | None:
    return None if ends is None else [round(end, 3) for end in ends]
