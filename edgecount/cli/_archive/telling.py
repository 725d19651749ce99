"""The messages of `count --out`: failures, progress, and the summary at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecount.archive.rows import Row
from edgecount.archive.run import Progress
from edgecount.archive.shards import Shard
from edgecount.cli._shell import progress as bars
from edgecount.cli._shell.flags import with_flags
from edgecount.cli._shell.output import error_line, plural, printable, to_json
from edgecount.cli._shell.progress import echo

_FAILURES = 10  # images that are told of; the others are in the table
_PERIOD = 60.0  # s between two lines where stderr is no terminal


class Teller:
    """The lines of a run on stderr, and its summary on stdout.

    Args:
        out: folder of the table.
        shard: the shard that is counted.
        as_json: whether the summary is a JSON object.
        quiet: whether there is neither a bar nor, unless it is JSON, a summary.
    """

    def __init__(self, out: Path, shard: Shard, *, as_json: bool, quiet: bool) -> None:
        self._out, self._shard, self._as_json, self._quiet = out, shard, as_json, quiet
        self._name = "" if shard.total == 1 else f"shard {shard}: "
        self._bar = bars.Progress(None, "image", "", shown=False)
        self._in_logs = not quiet and not sys.stderr.isatty()
        self._started = self._told = time.monotonic()

    @contextmanager
    def bar(self, total: int) -> Iterator[None]:
        """Show a bar of so many images on a terminal."""
        self._started = self._told = time.monotonic()
        label = "counting" if self._shard.total == 1 else f"shard {self._shard}"
        with bars.Progress(total, "image", label, shown=not self._quiet) as self._bar:
            yield

    def row(self, row: Row, progress: Progress) -> None:
        """Take a row that was kept."""
        failed = f"{progress.failed} failed" if progress.failed else ""
        if row["error"] is not None:
            self._tell_failure(row["source"], row["error"], progress.failed)
        self._bar.step(note=failed)
        now = time.monotonic()
        if self._in_logs and now - self._told >= _PERIOD:
            self._told = now
            done = progress.counted + progress.failed
            parts = [f"{done} of {plural(progress.total, 'image')}", failed]
            parts.append(f"{done / (now - self._started):.1f} a second")
            echo(f"edgecount: {self._name}{', '.join(filter(None, parts))}", err=True)

    def end(self, progress: Progress) -> None:
        """Print the summary."""
        done = progress.counted + progress.failed
        pace = done / progress.seconds if progress.seconds else 0.0
        if self._as_json:
            summary = {
                "shard": str(self._shard),
                "counted": progress.counted,
                "failed": progress.failed,
                "before": progress.before,
                "left": progress.left,
                "seconds": round(progress.seconds, 3),
                "images_per_second": round(pace, 3),
                "out": str(self._out),
            }
            echo(to_json(summary))
        elif not self._quiet:
            parts = [f"{plural(progress.counted, 'image')} counted"]
            parts += [f"{progress.failed} failed"] if progress.failed else []
            parts += [f"{progress.before} done before"] if progress.before else []
            parts += [f"{progress.left} left"]
            parts += [f"{pace:.1f} images a second"] if done else []
            echo(f"{self._name}{', '.join(parts)}; the table is in {printable(str(self._out))}")

    def _tell_failure(self, name: str, reason: str, number: int) -> None:
        if number <= _FAILURES:
            reason = with_flags(reason)
            line = reason if name in reason else f"{name}: {reason}"
            echo(error_line(line), err=True)
        if number == _FAILURES:
            echo("edgecount: further errors are in the table alone", err=True)
