"""When live pictures reached this machine, told from arrival and media time, and how many do."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

_SPAN = 5.0  # s of one window
_SPANS = 6  # windows that are remembered: half a minute


@dataclass
class _Window:
    """The two smallest differences between arrival and time stamp in some seconds."""

    begin: float
    least: float
    second: float = math.inf

    def add(self, difference: float) -> None:
        if difference < self.least:
            self.least, self.second = difference, self.least
        else:
            self.second = min(self.second, difference)


class CaptureClock:
    """An estimate of the moments when pictures were captured, by one opening of a stream.

    A picture that waited in a buffer, of the network or of the decoder, arrives late by its own
    time stamp. The smallest difference between arrival and time stamp of the last half minute is
    that of a picture which did not wait; what another one has beyond it is its delay. It is the
    second smallest of five seconds, since the first picture that a server sends may have a stamp
    apart from the rest.

    The window is short since clocks of cameras run at rates of their own: at 1% beside ours, a
    picture seems at most 0.3 s older than it is. In turn, a delay that grows steadily for longer
    than half a minute is told up to what it has grown in that time.
    """

    def __init__(self) -> None:
        self._windows: deque[_Window] = deque(maxlen=_SPANS)
        self._media: float | None = None  # time stamp of the last picture

    def captured(self, arrival: float, media: float | None) -> float:
        """Return when a picture was captured, by the clock of its arrival and never after it.

        Args:
            arrival: when it came, in seconds by a clock that never steps.
            media: its time stamp in seconds; None if there is none.
        """
        if media is None or not math.isfinite(media):
            return arrival
        if self._media is not None and media <= self._media:
            self._windows.clear()  # set back, or standing still: nothing is known of the new one
        self._media = media
        difference = arrival - media
        if self._windows and arrival - self._windows[-1].begin < _SPAN:
            self._windows[-1].add(difference)
        else:
            self._windows.append(_Window(arrival, difference))
        return min(arrival, media + min(window.second for window in self._windows))


def rate_of(times: Sequence[float], now: float) -> float | None:
    """Return how many pictures come per second; None if fewer than two moments are known.

    Args:
        times: when the last pictures came, in seconds.
        now: the present moment: a camera that has stopped is slower than it was.
    """
    if len(times) < 2 or times[-1] <= times[0]:
        return None
    intervals = len(times) - 1
    span = times[-1] - times[0]
    silence = now - times[-1]
    return intervals / (span if silence < 2 * span / intervals else span + silence)
