"""Settings of a camera: how it is read, and how its counts are analysed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from edgecount._alarms import COOLDOWN, ENTER, LEAVE, STALE
from edgecount.errors import ConfigError
from edgecount.runtime.sources.hardware import split_hardware
from edgecount.runtime.sources.urls import stream_name
from edgecount.watch.config.checks import (
    Point,
    Points,
    SettingError,
    check,
    check_finite,
    check_name,
    check_number_of,
    check_polygon,
    check_polygons,
    check_seconds,
    check_shares,
)

if TYPE_CHECKING:
    from edgecount.analytics import AlarmRule, GroundRectangle, Line
    from edgecount.regions import Region
    from edgecount.runtime.sources.live import LiveOptions

_PEOPLE = 1e6
_SOMEBODY = "more than 0 people, such as 0.5 for a place where nobody is to be"
_MOST = 64  # regions, lines and alarms of a camera, of each
_LATE = 2.5  # times as long as pictures are apart
_ANY_SIZE = (1920, 1080)  # px: regions and ground are shares of the frame, whatever its size
_SOURCE = re.compile(r"\s*(?:[a-zA-Z][a-zA-Z0-9+.-]*://|/dev/)|.* ! ")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True)
class RegionConfig:
    """A part of the picture in which people are counted separately.

    Attributes:
        polygon: corners, x and y as fractions of the frame's width and height.
        excluded: polygons that are left out of the region.
    """

    polygon: Points
    excluded: tuple[Points, ...] = ()

    def __post_init__(self) -> None:
        check_polygon(("polygon",), self.polygon)
        check_polygons("excluded", self.excluded)


@dataclass(frozen=True)
class LineConfig:
    """A line whose crossings are counted.

    Walk from its start to its end: who goes from your left to your right goes in.

    Attributes:
        start: x, y as fractions of the frame's width and height.
        end: x, y of the other end.
    """

    start: Point
    end: Point

    def __post_init__(self) -> None:
        for key in ("start", "end"):
            check_shares((key,), (getattr(self, key),))
        if self.start == self.end:
            raise SettingError(("end",), "expected another point than start")


@dataclass(frozen=True)
class GroundConfig:
    """A rectangle on the ground, which gives people per square metre.

    Attributes:
        corners: its four corners in order, x and y as fractions of the frame's width and height.
        width: metres from the first corner to the second.
        depth: metres from the second to the third.
    """

    corners: Points
    width: float
    depth: float

    def __post_init__(self) -> None:
        check(len(self.corners) == 4, "corners", "4 points [x, y]", self.corners)
        check_shares(("corners",), self.corners)
        for key in ("width", "depth"):
            check_finite(key, getattr(self, key), 0.01, 10_000, "metres")
        try:
            self.rectangle().in_size((1, 1))
        except ConfigError:
            raise SettingError(
                ("corners",),
                "expected a convex quadrilateral, in order around it, no three corners in a line",
            ) from None

    def rectangle(self) -> GroundRectangle:
        """Return the rectangle as `edgecount.analytics` takes it."""
        import numpy as np

        from edgecount.analytics import GroundRectangle

        return GroundRectangle(np.array(self.corners), self.width, self.depth, fractions=True)


@dataclass(frozen=True)
class SmoothConfig:
    """How counts are smoothed; see `edgecount.analytics.Smoother`.

    Attributes:
        median: window of the median, in seconds; 0: none.
        mean: time constant of the mean, in seconds; 0: none.
    """

    median: float = 3.0
    mean: float = 3.0

    def __post_init__(self) -> None:
        check_seconds(self, "median", "mean")


@dataclass(frozen=True)
class AlarmConfig:
    """When an alarm is raised and cleared; see `edgecount.analytics.AlarmRule`.

    Attributes:
        above: raise the alarm when there are more people than this.
        region: region in which they are counted; None: the whole picture.
        below: clear the alarm when there are fewer people than this; None: than ``above``.
        enter: seconds for which there must be more than ``above`` before it is raised.
        leave: seconds for which there must be fewer than ``below`` before it is cleared.
        cooldown: seconds after clearing during which it is not raised again.
        stale: seconds without a count after which its state is unknown; of cameras with a slow
            ``rate`` at least `CameraConfig.patience`.
        by: value to compare: the smoothed ``count``, the ``low`` end of its interval (fewer false
            alarms), or people per square metre (``per_m2``; needs ``region`` and ``ground``).
    """

    above: float
    region: str | None = None
    below: float | None = None
    enter: float = ENTER
    leave: float = LEAVE
    cooldown: float = COOLDOWN
    stale: float = STALE
    by: Literal["count", "low", "per_m2"] = "count"

    def __post_init__(self) -> None:
        check_finite("above", self.above, 0, _PEOPLE, "people")
        check(self.above > 0, "above", _SOMEBODY, self.above)
        if self.below is not None:
            check_finite("below", self.below, 0, _PEOPLE, "people")
            check(self.below > 0, "below", _SOMEBODY, self.below)
            at_most = f"at most above ({self.above:g})"
            check(self.below <= self.above, "below", at_most, self.below)
        check_seconds(self, "enter", "leave", "cooldown")
        check_seconds(self, "stale", least=1)

    def rule(self, patience: float = 0.0) -> AlarmRule:
        """Return the rule as `edgecount.analytics` takes it, for a camera of this patience."""
        from edgecount.analytics import AlarmRule

        stale = max(self.stale, patience)
        return AlarmRule(
            self.above, self.below, self.enter, self.leave, cooldown=self.cooldown, stale=stale
        )


@dataclass(frozen=True)
class CameraConfig:
    """A camera: how it is read, and what is counted in its pictures.

    Attributes:
        source: URL, camera number, device or pipeline; may contain a password, which the repr
            leaves out. See docs/cameras.md.
        title: name that the page shows; empty: the id.
        rate: maximum number of pictures counted per second; None: as many as the engine can.
        every_frame: count every picture, and let the camera wait, instead of taking the newest.
        open_timeout: seconds to wait until the address answers.
        first_timeout: seconds to wait after that for the first picture.
        stall_timeout: seconds without a picture after which the camera is opened again.
        hardware: decoder: "auto", or a device such as "cuda"; None: the CPU.
        regions: regions by name.
        excluded: polygons in which nobody is counted.
        lines: lines by name.
        ground: a rectangle on the ground, for people per square metre.
        smooth: how counts are smoothed.
        alarms: alarms by name.
        check_picture: whether to skip pictures that are covered, blurred, frozen or turned.
        pixelate: whether to pixelate heads in everything that is shown or stored.
        reset: local time at which the line counts are reset, HH:MM; None: never.
    """

    source: str | int = field(repr=False)
    title: str = ""
    rate: float | None = 5.0
    every_frame: bool = False
    open_timeout: float = 10.0
    first_timeout: float = 10.0
    stall_timeout: float = 5.0
    hardware: str | None = None
    regions: Mapping[str, RegionConfig] = field(default_factory=dict)
    excluded: tuple[Points, ...] = ()
    lines: Mapping[str, LineConfig] = field(default_factory=dict)
    ground: GroundConfig | None = None
    smooth: SmoothConfig = field(default_factory=SmoothConfig)
    alarms: Mapping[str, AlarmConfig] = field(default_factory=dict)
    check_picture: bool = True
    pixelate: bool = True
    reset: str | None = "00:00"

    def __post_init__(self) -> None:
        self._check_source()
        good = len(self.title) <= 200 and (self.title.isprintable() or not self.title)
        check(good, "title", "one line of at most 200 characters", self.title)
        check_finite("rate", self.rate, 0.01, 240, "pictures a second")
        check_seconds(self, "open_timeout", "first_timeout", "stall_timeout", least=0.1)
        check(self.hardware != "", "hardware", '"auto", a device such as "cuda", or null', "")
        clock = self.reset is None or bool(_CLOCK.fullmatch(self.reset))
        check(clock, "reset", 'a time such as "04:30", in quotes, or null', self.reset)
        for key in ("regions", "lines", "alarms"):
            check_number_of(key, getattr(self, key), _MOST)
            for name in getattr(self, key):
                check_name(key, name)
        check_polygons("excluded", self.excluded)
        self._check_alarms()

    @property
    def shown_source(self) -> str:
        """The source without user, password and what looks like another secret."""
        return stream_name(str(self.source))

    def live_options(self) -> LiveOptions:
        """Return how it is read."""
        from edgecount.runtime.sources.live import LiveOptions

        return LiveOptions(
            newest=not self.every_frame,
            finite=False,
            open_timeout=self.open_timeout,
            first_timeout=self.first_timeout,
            stall_timeout=self.stall_timeout,
            hardware=self.hardware,
        )

    @property
    def patience(self) -> float:
        """Seconds for which a count stands at the least: two pictures by ``rate`` may be late."""
        return 0.0 if self.rate is None else _LATE / self.rate

    def region_list(self) -> list[Region]:
        """Return the regions as the counter takes them."""
        from edgecount.regions import Region

        return [
            Region(name, one.polygon, fractions=True, excluded=one.excluded)
            for name, one in self.regions.items()
        ]

    def line_list(self) -> list[Line]:
        """Return the lines as `edgecount.analytics` takes them."""
        from edgecount.analytics import Line

        return [Line(name, one.start, one.end, fractions=True) for name, one in self.lines.items()]

    def _check_source(self) -> None:
        source = self.source
        if isinstance(source, int):
            check(0 <= source < 1000, "source", "the number of a camera, 0 or more", source)
        else:
            hardware, _ = split_hardware(source)
            if hardware is not None:
                decoder = (
                    f"the decoder is the camera's  hardware: {hardware}  in a config (--config)"
                )
                raise SettingError(("source",), f"expected the address alone: {decoder}", source)
            good = bool(_SOURCE.match(source)) and len(source) <= 4000 and source.isprintable()
            check(
                good,
                "source",
                "an address such as rtsp://HOST/..., a camera's number without quotes, a device "
                "such as /dev/video0, or a pipeline; files are for edgecount count",
                source,
            )

    def _check_alarms(self) -> None:
        for name, alarm in self.alarms.items():
            if alarm.region is not None and alarm.region not in self.regions:
                known = ", ".join(self.regions) or "none is defined"
                raise SettingError(
                    ("alarms", name, "region"),
                    f"expected the name of one of the camera's regions ({known})",
                    alarm.region,
                )
            if alarm.by == "per_m2":
                self._check_density(name, alarm.region)

    def _check_density(self, alarm: str, region: str | None) -> None:
        """Refuse an alarm by people per square metre where there are no square metres."""
        from edgecount.analytics import RegionAreas

        if self.ground is None or region is None:
            what = "the camera needs its ground" if self.ground is None else "it needs its region"
            raise SettingError(
                ("alarms", alarm, "by"), f"expected count or low, got per_m2, for which {what}"
            )
        shape = next(one for one in self.region_list() if one.name == region)
        areas = RegionAreas(self.ground.rectangle(), self.excluded)
        try:
            area = areas.measure(shape, _ANY_SIZE)
        except ConfigError:
            area, expected = 0.0, "corners below the horizon of the camera's ground"
        else:
            expected = "some ground in the picture that is not excluded"
        if not area:
            raise SettingError(
                ("regions", region),
                f"expected {expected}, as the alarm {alarm} is by people per square metre: change "
                "the region or the ground, or compare by count",
            )
