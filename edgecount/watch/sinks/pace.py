"""How often a sink takes the readings of each camera."""

from __future__ import annotations

import math
import zlib

from edgecount.errors import ConfigError
from edgecount.watch.readings import Reading


class Pace:
    """A limit of one reading per camera in each period of the clock.

    Periods begin at whole multiples of their length, so that 60 s are the minutes of the clock and
    cameras go together; with a service's name each camera's begin at another moment, so that a
    thousand services whose clocks agree do not all send at once.

    Args:
        every: length of a period in seconds; 0 takes all readings.
        service: name of the service, different from the others'; None: periods as the clock's.

    Raises:
        ConfigError: it is no number of seconds.
    """

    def __init__(self, every: float, service: str | None = None) -> None:
        if not 0 <= every < math.inf:
            raise ConfigError(f"every: expected seconds, 0 or more, got {every!r}")
        self._every = every
        self._service = service
        self._taken: dict[str, int] = {}

    def is_due(self, reading: Reading) -> bool:
        """Return whether a reading is to be taken: none of its camera was in this period."""
        return not self._every or self._taken.get(reading.camera) != self._period(reading)

    def note(self, reading: Reading) -> None:
        """Note that a reading was taken; not called of one that failed, so that the next is."""
        if self._every:
            self._taken[reading.camera] = self._period(reading)

    def _period(self, reading: Reading) -> int:
        return math.floor(reading.time / self._every + self._shift(reading.camera))

    def _shift(self, camera: str) -> float:
        """Return by which share of a period a camera's begin earlier."""
        if self._service is None:
            return 0.0
        return zlib.crc32(f"{self._service}/{camera}".encode("utf-8", "surrogatepass")) / 2**32
