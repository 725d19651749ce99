"""A net flow over lines that is held to an absolute count."""

from __future__ import annotations

from typing import overload

from edgecount._numbers import check_seconds
from edgecount.analytics._checks import check_people, later


class Anchor:
    """A net flow that does not drift: it is held to the absolute count of the place behind.

    A line misses a person now and then, and after a day what went in less what went out is off by
    hundreds. The count of the regions behind the line is noisy and does not drift. So the flow is
    trusted from minute to minute, and the count in the long run: the difference between the two is
    smoothed over ``horizon`` and taken off.

    For places that people enter and leave over lines that are counted: where they come and go
    elsewhere too, as at the edge of the picture, the plain count is nearer.

    Args:
        horizon: seconds over which the count is averaged against the flow.

    Raises:
        ConfigError: the horizon is negative or not finite.
    """

    def __init__(self, horizon: float = 300.0) -> None:
        check_seconds("horizon", horizon)
        self._horizon = horizon
        self._time: float | None = None
        self._counted: float | None = None  # when there was a count
        self._started: float | None = None
        self._offset = 0.0

    @overload
    def update(self, time: float, count: float, *, net: float) -> float: ...

    @overload
    def update(self, time: float, count: float | None, *, net: float) -> float | None: ...

    def update(self, time: float, count: float | None, *, net: float) -> float | None:
        """Return the people behind the line.

        Args:
            time: time of the frame, in seconds, not before that of the last call.
            count: people counted behind the line now; None: nothing was counted, and the flow goes
                on alone. Before the first count there is nothing to hold it to, and None is
                returned.
            net: people that went in less those that went out, since any moment.

        Raises:
            InputError: the time is before the last one, or a number is not finite.
        """
        check_people(net=net, count=count or 0.0)
        later(time, self._time)
        self._time = time
        if count is None:
            return None if self._counted is None else max(net + self._offset, 0.0)
        passed = 0.0 if self._counted is None else time - self._counted
        self._counted = time
        if self._started is None or passed > self._horizon:
            self._started = time  # after so long the flow has missed too many
        # At first the mean over all there was, then the last minutes count more.
        span = min(self._horizon, time - self._started)
        share = 1.0 if span <= 0 else min(1.0, passed / span)
        self._offset += share * (count - net - self._offset)
        return max(net + self._offset, 0.0)
