"""Counts on stdout, one line per camera at regular intervals."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from edgecount.cli._shell.output import printable, write_line
from edgecount.runtime.sources.live import SourceState

if TYPE_CHECKING:
    from edgecount.watch.camera import Camera
    from edgecount.watch.readings import Reading
    from edgecount.watch.service import Service


class Printer:
    """Prints the counts of a service.

    Args:
        service: the service.
        every: seconds between lines of a camera; 0: nothing is printed.
    """

    def __init__(self, service: Service, every: float) -> None:
        self._service, self._every = service, every
        self._due = self._last = time.monotonic()
        self._due += every
        self._counted: dict[str, int] = {}

    @property
    def wait(self) -> float:
        """Seconds until the next lines are due."""
        return max(self._due - time.monotonic(), 0.0) if self._every else 60.0

    def print_due(self) -> None:
        """Print a line for each camera if it is due.

        Raises:
            StdoutError: stdout takes nothing.
            BrokenPipeError: its reader went away.
        """
        now = time.monotonic()
        if not self._every or now < self._due:
            return
        self._due = max(self._due + self._every, now)
        for camera in self._service.cameras.values():
            moment = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"
            write_line(printable(f"{moment}  {camera.id}: {self._line(camera, now - self._last)}"))
        self._last = now

    def _line(self, camera: Camera, seconds: float) -> str:
        health, reading = camera.health(), camera.latest()
        before = self._counted.get(camera.id, 0)
        self._counted[camera.id] = health.counted
        rate = (health.counted - before) / seconds if health.counted >= before else 0.0
        if health.state is not SourceState.LIVE:
            why = f": {health.error}" if health.error else ""
            return f"no picture ({health.state.value}{why})"
        if reading is None:
            return "no count yet"
        return f"{count_text(reading)}, {rate:.1f} pictures/s"


def count_text(reading: Reading) -> str:
    """Return the counts of a reading in words."""
    if reading.count is None:
        return f"no count (the picture is {reading.picture})"
    count = reading.count if reading.smooth is None else reading.smooth
    ends = reading.interval if reading.smooth is None else reading.smooth_interval
    between = "" if ends is None else f" ({ends[0]:.1f} to {ends[1]:.1f})"
    regions = [f"{name} {one.smooth:.1f}" for name, one in reading.regions.items()]
    lines = [f"{name} {one.into:.0f} in {one.out:.0f} out" for name, one in reading.lines.items()]
    return ", ".join([f"{count:.1f} people{between}", *regions, *lines])
