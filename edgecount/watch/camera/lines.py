"""Lines whose counts are reset once a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from edgecount.analytics import LineCounter
from edgecount.watch.readings import LineReading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecount.analytics import Line, LineCount
    from edgecount.manifest import Manifest
    from edgecount.result import CountResult


_WRONG = 6 * 3600.0  # s by which a clock is ahead that is not just being corrected


@dataclass(frozen=True)
class _Start:
    """Counts of a line that its counter does not have."""

    into: float
    out: float
    since: float


class DailyLines:
    """A counter of line crossings that is reset at a time of the day.

    Until then counts never fall, as receivers of counters expect: somebody who is half across, and
    may turn round, is counted once the crossing is done.

    Args:
        lines: the lines.
        manifest: the model's.
        reset: local time, "HH:MM", at which the counts start anew; None: never.
        kept: counts to go on from, by the line's name, as of before a restart.
        now: UNIX time in seconds.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        manifest: Manifest,
        *,
        reset: str | None,
        kept: Mapping[str, LineReading],
        now: float,
    ) -> None:
        self._counter = LineCounter(lines, manifest=manifest)
        self._reset = reset
        fresh = LineReading(0.0, 0.0, now)
        known = {line.name: kept.get(line.name, fresh) for line in lines}
        self._starts = {
            name: _Start(one.into, one.out, min(one.since, now)) for name, one in known.items()
        }
        self._start_anew(now)

    def update(
        self, time: float, wall: float, result: CountResult, image: NDArray[np.uint8]
    ) -> dict[str, LineReading]:
        """Take a picture, and return the counts of each line; see `LineCounter.update`.

        Args:
            time: time of the picture by a clock that only goes forward, in seconds.
            wall: its UNIX time in seconds.
            result: its result.
            image: the picture, uint8 (H, W, 3) BGR.
        """
        self._start_anew(wall)  # before: who crosses in this picture belongs to the new day
        self._counter.update(time, result, image)
        return self.readings(wall)

    def readings(self, wall: float) -> dict[str, LineReading]:
        """Return the counts of each line at a UNIX time in seconds."""
        self._start_anew(wall)
        return {name: self._reading(name, one) for name, one in self._counts().items()}

    def _reading(self, name: str, count: LineCount) -> LineReading:
        start = self._starts[name]
        return LineReading(count.into + start.into, count.out + start.out, start.since)

    def _counts(self) -> dict[str, LineCount]:
        return self._counter.counts(crossing=False)

    def _start_anew(self, wall: float) -> None:
        begin = None if self._reset is None else last_reset(self._reset, wall)
        for name, start in self._starts.items():
            if start.since > wall + _WRONG:  # the clock was ahead when they started, and was set
                self._starts[name] = replace(start, since=wall)
            if begin is not None and self._starts[name].since < begin:
                count = self._counts()[name]
                self._starts[name] = _Start(-count.into, -count.out, begin)


def last_reset(reset: str, wall: float) -> float:
    """Return when a local time of the day, "HH:MM", was last, both in UNIX seconds.

    A time that the clocks skip in spring is an hour later that day.
    """
    hour, minute = map(int, reset.split(":"))
    local = datetime.fromtimestamp(wall)  # noqa: DTZ006 (the day's start is a local time)
    moment = local.replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
    if moment.timestamp() > wall:
        moment -= timedelta(days=1)
    return moment.timestamp()
