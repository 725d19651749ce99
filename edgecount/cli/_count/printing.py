"""The results of `count` on stdout: tidy lines for people, JSON objects for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from edgecount.cli._count.ground import GroundCount
from edgecount.cli._count.measures import Asked, Measured, measured_json
from edgecount.cli._count.tally import ImageTally, Tally
from edgecount.cli._shell.output import plural, printable, to_json
from edgecount.cli._shell.progress import echo
from edgecount.result import CountResult
from edgecount.runtime.sources.base import Source

_LISTED = 3  # files of a folder that are named
_WIDEST = 100  # columns that names are padded to; a longer one moves what follows it


class Printer:
    """A receiver of results, in the order of counting; this one prints nothing.

    Attributes:
        written: files that it wrote.
    """

    written: Sequence[Path] = ()

    def frame(self, result: CountResult, measured: Measured) -> None:
        """Take the result of a frame, and what was measured beside it."""

    def source(self, source: Source, tally: Tally) -> None:
        """Take the sum of a source that is at its end; it holds one frame or more."""

    def end(self, failed: int, written: Sequence[Path]) -> None:
        """Take what was failed and written, when all are done or the user stopped.

        Args:
            failed: number of sources that failed.
            written: the files that were written.
        """


class JsonPrinter(Printer):
    """One JSON object per line and frame: `CountResult.to_dict`, and the measures asked for."""

    def __init__(self, points: bool, asked: Asked) -> None:
        self._points = points
        self._asked = asked

    def frame(self, result: CountResult, measured: Measured) -> None:
        """Print the object."""
        found = result.to_dict(points=self._points)
        found.setdefault("points", result.peak_count)  # the number, where no list is asked for
        echo(to_json(measured_json(found, self._asked, measured)))


class TextPrinter(Printer):
    """One line per image or video and, if a summary is asked for, one for all of them.

    Args:
        sources: what will be counted, for the width of the names' column.
        summary: whether a summary is asked for.
    """

    def __init__(self, sources: Sequence[Source], summary: bool) -> None:
        widths = [len(printable(source.name)) for source in sources]
        self._width = max((width for width in widths if width <= _WIDEST), default=0)
        self._summary = summary
        self._images = ImageTally()
        self._videos = 0

    def source(self, source: Source, tally: Tally) -> None:
        """Print the source's line."""
        name, facts = printable(source.name), []
        if source.is_video:
            self._videos += 1
            facts.append(_video_facts(tally))
        else:
            self._images.add(printable(PurePath(source.name).name), tally)
            if tally.interval:
                facts.append("likely {:.0f} to {:.0f}".format(*tally.interval))
        if tally.regions:
            facts.append(_regions(tally.regions, tally.frames, tally.areas))
        facts += _measures(tally)
        _print_row(tally.mean, [name.ljust(self._width), *facts])

    def end(self, failed: int, written: Sequence[Path]) -> None:
        """Print the summary of several sources, and what was written."""
        if not self._summary:
            return
        images = self._images.images
        if images + self._videos + failed > 1:
            self._print_summary(failed)
        for folder in dict.fromkeys(path.parent for path in written):
            here = [path for path in written if path.parent == folder]
            if len(here) > _LISTED:
                echo(f"wrote {len(here)} files to {printable(str(folder))}")
            else:
                echo("\n".join(f"wrote {printable(str(path))}" for path in here))

    def _print_summary(self, failed: int) -> None:
        """Print a mean, for the sum of a camera's frames would count people again and again."""
        found, others = self._images, []
        if self._videos:
            others.append(plural(self._videos, "video"))
        if failed:
            others.append(f"{failed} failed")
        if found.images < 2:
            images = [plural(found.images, "image")] if found.images else []
            _print_row(None, [", ".join(images + others)])
            return
        (low, lowest), (high, highest) = found.lowest, found.highest
        span = f"lowest {low:.1f} ({lowest}), highest {high:.1f} ({highest})"
        parts = [f"mean of {found.images} images, {span}"]
        parts += [", ".join(others)] if others else []
        parts += [_regions(found.regions, found.images)] if found.regions else []
        _print_row(found.mean, parts)


def _print_row(count: float | None, parts: Sequence[str]) -> None:
    first = " " * 9 if count is None else f"{count:9.1f}"
    echo("  ".join([first, *parts]).rstrip())


def _video_facts(tally: Tally) -> str:
    facts = (
        f"mean of {plural(tally.frames, 'frame')}, "
        f"lowest {tally.lowest:.1f}, highest {tally.highest:.1f}, {tally.fps:.1f} fps"
    )
    health = tally.health
    if health is None:
        return facts
    # What --every leaves out was taken from the camera, and is not counted.
    left_out = health.counted - tally.frames
    return (
        f"{facts}, {health.frames_in} frames in, {health.dropped} dropped"
        f"{f', {health.damaged} damaged' if health.damaged else ''}"
        f"{f', {left_out} left out' if left_out > 0 else ''}, "
        f"{plural(health.reconnects, 'reconnect')}"
    )


def _regions(
    totals: Mapping[str, float], frames: int, areas: Mapping[str, float | None] | None = None
) -> str:
    return ", ".join(
        f"{printable(name)} {total / frames:.1f}{_density(total / frames, (areas or {}).get(name))}"
        for name, total in totals.items()
    )


def _density(people: float, area: float | None) -> str:
    """Return people per square metre of a region, in brackets; nothing if it has no area."""
    if area is None:
        return ""
    found = GroundCount(people, area)
    return f" ({found.per_m2:.2f} per m2, level {found.level})"


def _measures(tally: Tally) -> list[str]:
    """Return what was measured beside the counts, as at the last frame."""
    last, facts = tally.measured, []
    if last.smooth is not None:
        facts.append(f"smoothed {last.smooth.count:.1f} at the end")
    for name, line in (last.lines or {}).items():
        numbers = f"{line.into:.1f} in, {line.out:.1f} out, net {line.net:+.1f}"
        facts.append(f"line {printable(name)}: {numbers}")
    if last.ground is not None:
        mean = GroundCount(tally.on_ground / tally.frames, last.ground.area)
        facts.append(
            f"on the ground: {mean.count:.1f} on {mean.area:.1f} m2, "
            f"{mean.per_m2:.2f} per m2, level {mean.level}"
        )
    return facts
