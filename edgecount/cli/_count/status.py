"""How a camera is doing while it is counted: a line that changes, on a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from edgecount.cli._count.measures import Measured
from edgecount.cli._shell.output import plural, printable
from edgecount.cli._shell.progress import echo
from edgecount.result import CountResult
from edgecount.runtime.sources.live import LiveSource, SourceHealth, SourceState

_PERIOD = 0.1  # s between two changes of the line: faster than anybody reads
_LOG_PERIOD = 60.0  # s between two lines in a file or journal
_AWAY = {
    SourceState.CONNECTING: "connecting",
    SourceState.STALLED: "no picture comes: it is tried again",
    SourceState.WAITING: "gone: it is tried again",
}


class Status(AbstractContextManager["Status"]):
    """A line about a camera on stderr, written again and again.

    Where stderr is no terminal it is a line a minute, so that a journal shows that all is well.

    Args:
        source: the camera.
        on_terminal: whether a line on a terminal is asked for.
        in_logs: whether lines elsewhere are.
    """

    def __init__(self, source: LiveSource, *, on_terminal: bool, in_logs: bool) -> None:
        self._source = source
        self._bar: Any = None
        self._in_logs = in_logs and not sys.stderr.isatty()
        self._next = time.monotonic() + (_LOG_PERIOD if self._in_logs else 0.0)
        self._last: tuple[CountResult, Measured] | None = None
        self._times: list[float] = []  # when the last frames were counted
        if on_terminal and sys.stderr.isatty():
            from tqdm import tqdm

            tqdm.monitor_interval = 0  # no watcher thread
            self._bar = tqdm(total=0, bar_format="{desc}", leave=False, file=sys.stderr)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def counted(self, result: CountResult, measured: Measured) -> None:
        """Take the newest result."""
        self._last = result, measured
        self._times = [*self._times[-19:], time.monotonic()]
        self.refresh()

    def refresh(self) -> None:
        """Write the line, if it is time for it."""
        now = time.monotonic()
        if now < self._next or (self._bar is None and not self._in_logs):
            return
        line = "  ".join(self._parts(self._source.health()))
        if self._bar is None:
            self._next = now + _LOG_PERIOD
            echo(f"edgecount: {line}", err=True)
            return
        self._next = now + _PERIOD
        columns = shutil.get_terminal_size().columns
        # A line that wraps would be left behind when it is written again.
        self._bar.set_description_str(line if len(line) < columns else line[: columns - 2] + ">")

    def _parts(self, health: SourceHealth) -> Iterator[str]:
        yield printable(self._source.name)
        away = _AWAY.get(health.state)
        if away is not None:
            yield away
        elif self._last is not None:
            yield from _counts(*self._last)
        if health.age is not None:
            yield f"picture {health.age:.1f} s old"
        if away is None and len(self._times) > 1:
            span = self._times[-1] - self._times[0]
            yield f"{(len(self._times) - 1) / max(span, 1e-3):.1f} fps"
        yield f"{health.dropped} dropped"
        if health.reconnects:
            yield plural(health.reconnects, "reconnect")


def _counts(result: CountResult, measured: Measured) -> Iterator[str]:
    yield f"{result.count:.1f} people"
    if measured.smooth is not None:
        yield f"smoothed {measured.smooth.count:.1f}"
    for name, line in (measured.lines or {}).items():
        yield f"{printable(name)} {line.into:.0f} in {line.out:.0f} out"
    if measured.ground is not None:
        yield f"{measured.ground.per_m2:.2f} per m2 {measured.ground.level}"
