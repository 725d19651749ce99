"""The moment when a live picture reached this machine, told from arrival and media time."""

from __future__ import annotations

import math
from collections import deque

_SPAN = 5.0  # s of one minimum
_SPANS = 6  # minima that are remembered: half a minute


class CaptureClock:
    """An estimate of the moments when pictures were captured, by one opening of a stream.

    A picture that waited in a buffer, of the network or of the decoder, arrives late by its own
    time stamp. The smallest difference between arrival and time stamp of the last half minute is
    that of a picture which did not wait; what another one has beyond it is its delay. The window
    is short since clocks of cameras run at rates of their own: at 1% beside ours, a picture seems
    at most 0.3 s older than it is. In turn, a delay that grows steadily for longer than half a
    minute is told up to what it has grown in that time.
    """

    def __init__(self) -> None:
        self._minima: deque[tuple[float, float]] = deque(maxlen=_SPANS)  # begin, difference
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
            self._minima.clear()  # set back, or standing still: nothing is known of the new one
        self._media = media
        difference = arrival - media
        if self._minima and arrival - self._minima[-1][0] < _SPAN:
            begin, least = self._minima[-1]
            self._minima[-1] = begin, min(least, difference)
        else:
            self._minima.append((arrival, difference))
        return min(arrival, media + min(least for _, least in self._minima))
