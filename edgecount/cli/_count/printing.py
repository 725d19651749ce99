"""The results of `count` on stdout: tidy lines for people, JSON objects for programs."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from edgecount.cli._shell.output import printable, to_json
from edgecount.cli._shell.progress import echo
from edgecount.result import CountResult
from edgecount.runtime.sources.base import Source


@dataclass
class Tally:
    """A running sum of the counts of one source, with the last frame's interval.

    It is of constant size, since streams need not end.

    Attributes:
        frames: number of counted frames.
        total: sum of their counts.
        lowest: smallest count of a frame.
        highest: largest count of a frame.
        interval: likely range of the last frame's count; None if the model gives none.
        regions: sum of the counts by the region's name.
        started: `time.perf_counter` at the start, in seconds.
    """

    frames: int = 0
    total: float = 0.0
    lowest: float = math.inf
    highest: float = 0.0
    interval: tuple[float, float] | None = None
    regions: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    def add(self, result: CountResult) -> None:
        """Add the result of a frame."""
        self.frames += 1
        self.total += result.count
        self.lowest = min(self.lowest, result.count)
        self.highest = max(self.highest, result.count)
        self.interval = result.interval
        for name, region in result.regions.items():
            self.regions[name] = self.regions.get(name, 0.0) + region.count

    @property
    def mean(self) -> float:
        """Mean count of a frame."""
        return self.total / self.frames

    @property
    def fps(self) -> float:
        """Frames per second, reading and drawing included."""
        return self.frames / max(time.perf_counter() - self.started, 1e-9)


class Printer:
    """A receiver of results, in the order of counting; this one prints nothing."""

    def frame(self, result: CountResult) -> None:
        """Take the result of a frame."""

    def source(self, source: Source, tally: Tally) -> None:
        """Take the sum of a source that is at its end; it holds one frame or more."""

    def end(self, failed: int) -> None:
        """Take the number of failed sources, when all are done or the user stopped."""


class JsonPrinter(Printer):
    """One JSON object per line and frame, as `CountResult.to_dict` gives it."""

    def __init__(self, points: bool) -> None:
        self._points = points

    def frame(self, result: CountResult) -> None:
        """Print the object."""
        echo(to_json(result.to_dict(points=self._points)))


class TextPrinter(Printer):
    """One line per image or video and, if a summary is asked for, a total."""

    def __init__(self, summary: bool) -> None:
        self._summary = summary
        self._images = 0
        self._people = 0.0
        self._videos = 0

    def source(self, source: Source, tally: Tally) -> None:
        """Print the source's line."""
        parts = [f"{tally.mean:9.1f}", printable(source.name)]
        if source.is_video:
            self._videos += 1
            parts.append(_video_facts(tally))
        else:
            self._images += 1
            self._people += tally.mean
            if tally.interval:
                parts.append("likely {:.0f} to {:.0f}".format(*tally.interval))
        if tally.regions:
            means = {name: total / tally.frames for name, total in tally.regions.items()}
            parts.append(", ".join(f"{printable(name)} {mean:.1f}" for name, mean in means.items()))
        echo("  ".join(parts))

    def end(self, failed: int) -> None:
        """Print the total of several sources."""
        if not self._summary or self._images + self._videos + failed < 2:
            return
        # A sum over the frames of a video would count the same people again and again.
        people = f"{self._people:9.1f}" if self._images else " " * 9
        facts = [_plural(self._images, "image")] if self._images else []
        facts += [_plural(self._videos, "video")] if self._videos else []
        facts += [f"{failed} failed"] if failed else []
        echo(f"{people}  total: {', '.join(facts)}")


def _video_facts(tally: Tally) -> str:
    return (
        f"mean of {_plural(tally.frames, 'frame')}, "
        f"min {tally.lowest:.1f}, max {tally.highest:.1f}, {tally.fps:.1f} fps"
    )


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
