"""Running sums of counts, of constant size: streams need not end."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgecount.cli._count.measures import Measured
from edgecount.result import CountResult

if TYPE_CHECKING:
    from edgecount.runtime.sources.live import SourceHealth


@dataclass
class Tally:
    """A running sum of the counts of one source, with the last frame's interval.

    Attributes:
        frames: number of counted frames.
        total: sum of their counts.
        lowest: smallest count of a frame.
        highest: largest count of a frame.
        interval: likely range of the last frame's count; None if the model gives none.
        regions: sum of the counts by the region's name.
        measured: what was measured beside the last frame's count.
        on_ground: sum of the people on the rectangle on the ground.
        health: how a camera did until its end; None for what is no camera.
        started: `time.perf_counter` at the start, in seconds.
    """

    frames: int = 0
    total: float = 0.0
    lowest: float = math.inf
    highest: float = 0.0
    interval: tuple[float, float] | None = None
    regions: dict[str, float] = field(default_factory=dict)
    measured: Measured = field(default_factory=Measured)
    on_ground: float = 0.0
    health: SourceHealth | None = None
    started: float = field(default_factory=time.perf_counter)

    def add(self, result: CountResult, measured: Measured) -> None:
        """Add the result of a frame, and what was measured beside it."""
        self.measured = measured
        self.on_ground += measured.ground.count if measured.ground else 0.0
        self.frames += 1
        self.total += result.count
        self.lowest = min(self.lowest, result.count)
        self.highest = max(self.highest, result.count)
        self.interval = result.interval
        for name, region in result.regions.items():
            self.regions[name] = self.regions.get(name, 0.0) + region.count

    @property
    def areas(self) -> dict[str, float | None]:
        """Square metres of the regions by name, at the last frame's size."""
        found = self.measured.regions
        return {name: ground.area if ground else None for name, ground in found.items()}

    @property
    def mean(self) -> float:
        """Mean count of a frame."""
        return self.total / self.frames

    @property
    def fps(self) -> float:
        """Frames per second, reading and drawing included."""
        return self.frames / max(time.perf_counter() - self.started, 1e-9)


@dataclass
class ImageTally:
    """A running sum of the counts of images.

    Attributes:
        images: number of images.
        total: sum of their counts.
        lowest: smallest count, and the name of the first image that has it.
        highest: the same of the largest.
        regions: sum of the counts by the region's name.
    """

    images: int = 0
    total: float = 0.0
    lowest: tuple[float, str] = (math.inf, "")
    highest: tuple[float, str] = (-math.inf, "")
    regions: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, tally: Tally) -> None:
        """Add an image, whose tally is of one frame."""
        self.images += 1
        self.total += tally.mean
        if tally.mean < self.lowest[0]:
            self.lowest = tally.mean, name
        if tally.mean > self.highest[0]:
            self.highest = tally.mean, name
        for region, count in tally.regions.items():
            self.regions[region] = self.regions.get(region, 0.0) + count

    @property
    def mean(self) -> float:
        """Mean count of an image."""
        return self.total / self.images
