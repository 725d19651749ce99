"""The output of the service: a reading for each counted picture of a camera, and events."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from edgecount._text import utc_text, valid_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecount.result import CountResult
    from edgecount.runtime.sources.live import SourceHealth

EventKind: TypeAlias = Literal["alarm", "camera", "picture"]
Unit: TypeAlias = Literal["people", "people/m2"]


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
    """People who have crossed a line since its counts were reset.

    Attributes:
        into: people who went in.
        out: people who went out.
        since: time of the reset, UNIX time in seconds.
    """

    into: float
    out: float
    since: float


@dataclass(frozen=True)
class AlarmStatus:
    """The state of an alarm that survives a restart.

    Attributes:
        raised: whether it is raised.
        acknowledged: whether it has been acknowledged.
        has_data: whether there are counts to judge it by.
        since: when it was raised, UNIX time in seconds; None while it is not.
        peak: maximum since then of what it compares.
        cleared: when it was last cleared, UNIX time in seconds; None if it never was.
        unit: unit of ``peak``; None if that is not known.
    """

    raised: bool = False
    acknowledged: bool = False
    has_data: bool = True
    since: float | None = None
    peak: float | None = None
    cleared: float | None = None
    unit: Unit | None = None


@dataclass(frozen=True)
class Kept:
    """The state of a camera that survives a restart.

    Attributes:
        lines: counts of its lines by name.
        alarms: states of its alarms by name.
    """

    lines: Mapping[str, LineReading] = field(default_factory=dict)
    alarms: Mapping[str, AlarmStatus] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Reading:
    """The result of one counted picture of a camera.

    Attributes:
        camera: the camera's id in the config.
        time: when the picture was captured, UNIX time in seconds.
        count: people in it; None if the picture cannot be trusted, or the camera moves.
        interval: interval of the count, as `CountResult.interval`; None if the model has none.
        smooth: smoothed count; None before the first one.
        smooth_interval: interval of the smoothed count.
        regions: readings by the region's name; empty where the count is None.
        lines: readings by the line's name.
        picture: state of the picture, a value of `PictureState`; "moving" while the camera turns.
        night: whether the picture has no colour.
        health: state of the camera, with its numbers of frames and reconnects.
        alarms: state of each alarm, by name, after this picture.
        timings: milliseconds of the picture's stages, as `CountResult.timings`.
        result: the counter's result; None if the count is None.
        image: the picture, uint8 (H, W, 3) BGR, with heads pixelated if the config says so.
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
    timings: Mapping[str, float] = field(default_factory=dict)
    result: CountResult | None = None
    image: NDArray[np.uint8] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain JSON types: no picture, no points, no density."""
        regions = {name: vars(one).copy() for name, one in self.regions.items()}
        return {
            "camera": self.camera,
            "time": utc_text(self.time),
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
                    "since": utc_text(line.since),
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
    """A change of an alarm, a camera or its picture.

    Attributes:
        camera: the camera's id.
        time: when it happened, UNIX time in seconds.
        kind: "alarm", "camera" or "picture".
        name: the alarm's name; empty for the other kinds.
        change: alarms: "raised", "cleared", "acknowledged", "lost" or "back"; cameras: "lost" or
            "back"; pictures: the new state.
        count: value that the alarm compares; None for the other kinds.
        peak: maximum of it since the alarm was raised.
        detail: a sentence for people, without secrets.
        id: unique, so that an event that is delivered twice can be recognised.
        unit: unit of ``count`` and ``peak``: "people", or "people/m2" of an alarm by people per
            square metre; None for the other kinds.
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
    unit: Unit | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the event as plain JSON types."""
        return {
            "id": self.id,
            "camera": self.camera,
            "time": utc_text(self.time),
            "kind": self.kind,
            "name": self.name,
            "change": self.change,
            "count": _short(self.count),
            "peak": _short(self.peak),
            "unit": self.unit,
            "detail": valid_text(self.detail),
        }


def _short(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


def _pair(ends: tuple[float, float] | None) -> list[float] | None:
    return None if ends is None else [round(end, 3) for end in ends]
