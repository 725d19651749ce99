"""The analysis of a camera's counted pictures: regions, lines, smoothed counts, alarms."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edgecount.analytics import (
    CameraMotion,
    Exclusion,
    Occupancy,
    PictureCheck,
    PictureState,
    RegionAreas,
    Smoother,
    level_of_service,
)
from edgecount.watch.camera.alarms import CameraAlarms, Measured
from edgecount.watch.camera.lines import DailyLines
from edgecount.watch.readings import AlarmStatus, Event, Kept, LineReading, RegionReading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecount.analytics import SmoothCount
    from edgecount.manifest import Manifest
    from edgecount.result import CountResult
    from edgecount.watch.config import CameraConfig

    Image = NDArray[np.uint8]

_log = logging.getLogger(__name__)

_MOVING = "moving"
_STATES = {
    PictureState.COVERED: "nothing can be seen: the lens is covered, or it is dark",
    PictureState.BLURRED: "the picture is out of focus",
    PictureState.TURNED: "the camera shows another view than it usually does",
    PictureState.FROZEN: "the picture does not change any more",
}


@dataclass(frozen=True)
class Analysed:
    """The analysis of a picture; the attributes are those of `Reading`.

    Attributes:
        is_trusted: whether its count is one.
        events: what it changes.
    """

    is_trusted: bool
    picture: str
    night: bool
    count: float | None = None
    interval: tuple[float, float] | None = None
    smooth: float | None = None
    smooth_interval: tuple[float, float] | None = None
    regions: Mapping[str, RegionReading] = field(default_factory=dict)
    lines: Mapping[str, LineReading] = field(default_factory=dict)
    alarms: Mapping[str, AlarmStatus] = field(default_factory=dict)
    result: CountResult | None = None
    events: list[Event] = field(default_factory=list)


class Analysis:
    """The analytics of a camera, as its section of the config says.

    Args:
        camera: the camera's id.
        config: its section.
        manifest: the model's, ``counter.manifest``.
        kept: counts of its lines and alarms to go on from.
        now: UNIX time in seconds.
        before: the analytics by an earlier section; what that has learned of the picture is kept.

    Attributes:
        regions: its regions.
        lines: its lines.
        ground: areas of the regions.
        alarms: its alarms.

    Raises:
        ConfigError: a section makes no sense.
    """

    def __init__(
        self,
        camera: str,
        config: CameraConfig,
        manifest: Manifest,
        *,
        kept: Kept,
        now: float,
        before: Analysis | None = None,
    ) -> None:
        self._camera, self._manifest = camera, manifest
        self.regions = config.region_list()
        self.lines = config.line_list()
        ground = None if config.ground is None else config.ground.rectangle()
        self.ground = RegionAreas(ground, config.excluded)
        earlier = None if before is None else before.alarms
        self.alarms: CameraAlarms = CameraAlarms(
            camera,
            config.alarms,
            kept=kept.alarms,
            wall=now,
            before=earlier,
            patience=config.patience,
        )
        self._occupancy = Occupancy(self.regions, manifest=manifest) if self.regions else None
        self._exclusion = None
        if config.excluded:
            self._exclusion = Exclusion(config.excluded, fractions=True, manifest=manifest)
        self._crossed = None
        if self.lines:
            self._crossed = DailyLines(
                self.lines,
                manifest,
                reset=config.reset,
                kept=kept.lines,
                now=now,
            )
        median, mean = config.smooth.median, config.smooth.mean
        self._smoothers = {
            name: Smoother(median, mean) for name in (None, *(one.name for one in self.regions))
        }
        self._check: PictureCheck | None = None
        self._motion: CameraMotion | None = None
        if config.check_picture:
            self._check = (before and before._check) or PictureCheck()
            self._motion = (before and before._motion) or CameraMotion()
        self._state: PictureState = before._state if before else PictureState.GOOD
        self._time: float = before._time if before else 0.0
        self._by_low = [name for name, one in config.alarms.items() if one.by == "low"]
        self._has_warned: bool = before._has_warned if before else False

    def restart(self) -> None:
        """Forget what the picture usually looks like, as after the camera was moved."""
        if self._check is not None:
            self._check.restart()

    def kept(self, wall: float) -> Kept:
        """Return what other analytics of the camera go on from, at a UNIX time in seconds."""
        return Kept(self.crossed(wall), self.alarms.statuses())

    def crossed(self, wall: float) -> Mapping[str, LineReading]:
        """Return the counts of the lines at a UNIX time in seconds."""
        return {} if self._crossed is None else self._crossed.readings(wall)

    def update(self, time: float, wall: float, image: Image, result: CountResult) -> Analysed:
        """Analyse a counted picture.

        Args:
            time: time of the picture by a clock that only goes forward, in seconds.
            wall: its UNIX time in seconds.
            image: the picture, uint8 (H, W, 3) BGR.
            result: its result.
        """
        self._time = time = max(time, self._time)
        state, night, events = self._look(time, wall, image)
        moving = self._motion is not None and self._motion.update(time, image)
        if moving or not state.is_trusted:
            for smoother in self._smoothers.values():
                smoother.update(time, None)
            events += self.alarms.update(time, wall, {})
            picture = _MOVING if moving and state.is_trusted else state.value
            return Analysed(
                is_trusted=False,
                picture=picture,
                night=night,
                lines=self.crossed(wall),
                alarms=self.alarms.statuses(),
                events=events,
            )
        if self._exclusion is not None:
            result = self._exclusion.apply(result)
        smooth = self._smoothers[None].update(time, result.count, result.interval)
        if smooth.interval is None:
            self._warn_of_alarms_by_low()
        measured: dict[str | None, Measured] = {None: _measured(smooth)}
        counts = {} if self._occupancy is None else self._occupancy.update(time, result) or {}
        result = replace(result, regions=counts)
        regions = self._in_regions(time, result, measured)
        lines = {}
        if self._crossed is not None:
            lines = self._crossed.update(time, wall, result, image)
        events += self.alarms.update(time, wall, measured)
        return Analysed(
            is_trusted=True,
            picture=state.value,
            night=night,
            count=result.count,
            interval=result.interval,
            smooth=smooth.count,
            smooth_interval=smooth.interval,
            regions=regions,
            lines=lines,
            alarms=self.alarms.statuses(),
            result=result,
            events=events,
        )

    def _look(
        self, time: float, wall: float, image: Image
    ) -> tuple[PictureState, bool, list[Event]]:
        """Return the picture's state, whether it has no colour, and the event of a change."""
        if self._check is None:
            return PictureState.GOOD, False, []
        report = self._check.update(time, image)
        before, self._state = self._state, report.state
        if before is report.state or (before.is_trusted and report.state.is_trusted):
            return report.state, report.night, []
        event = Event(
            camera=self._camera,
            time=wall,
            kind="picture",
            name="",
            change=report.state.value,
            detail=_STATES.get(report.state, "the picture can be trusted again"),
        )
        return report.state, report.night, [event]

    def _warn_of_alarms_by_low(self) -> None:
        """Warn, once, of alarms by the low end of an interval that the pictures do not have."""
        if not self._by_low or self._has_warned:
            return
        self._has_warned = True
        _log.warning(
            "%s: alarms by low (%s) compare the plain count: its pictures are counted at another "
            "size than the model was measured at, where counts have no interval: leave max_side at "
            "model, build an engine for larger pictures, or compare by count",
            self._camera,
            ", ".join(self._by_low),
            extra={"camera": self._camera},
        )

    def _in_regions(
        self, time: float, result: CountResult, measured: dict[str | None, Measured]
    ) -> dict[str, RegionReading]:
        """Return the readings of the regions, and add to what alarms look at."""
        spec = self._manifest.postprocess.interval if result.interval is not None else None
        found = {}
        for region in self.regions:
            count = result.regions[region.name]
            interval = None
            if spec is not None:
                interval = spec.of(count.count, count.density_count, count.peak_count)
            smooth = self._smoothers[region.name].update(time, count.count, interval)
            area = self.ground.area(region, result.size)
            per_m2 = None if area is None else smooth.count / area
            measured[region.name] = _measured(smooth, per_m2)
            found[region.name] = RegionReading(
                count=count.count,
                smooth=smooth.count,
                per_m2=per_m2,
                level=None if per_m2 is None else level_of_service(max(per_m2, 0.0)),
            )
        return found


def _measured(smooth: SmoothCount, per_m2: float | None = None) -> Measured:
    """Return a smoothed count as alarms see it."""
    return Measured(smooth.count, None if smooth.interval is None else smooth.interval[0], per_m2)
