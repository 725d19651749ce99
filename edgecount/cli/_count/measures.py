"""Numbers beside the count of a frame: smoothed, across lines, per square metre."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecount.analytics import (
    GroundPlane,
    GroundRectangle,
    Line,
    LineCount,
    LineCounter,
    RegionAreas,
    SmoothCount,
    Smoother,
)
from edgecount.cli._count.ground import GroundCount, ground_counts
from edgecount.errors import ConfigError
from edgecount.manifest import Manifest
from edgecount.regions import Region
from edgecount.result import CountResult

if TYPE_CHECKING:
    from edgecount.runtime.sources.live import SourceHealth

GROUND = "--ground"  # name of the region that the rectangle is counted as


@dataclass(frozen=True)
class Asked:
    """The measures that are asked for.

    Attributes:
        lines: lines to count people across.
        ground: rectangle on the ground, for people per square metre.
        smooth: seconds to smooth over.
    """

    lines: tuple[Line, ...] = ()
    ground: GroundRectangle | None = None
    smooth: float | None = None

    @cached_property
    def areas(self) -> RegionAreas:
        """Square metres of regions, which are the same in all frames of a size."""
        return RegionAreas(self.ground, name=GROUND)

    def with_ground(self, regions: Sequence[Region]) -> list[Region]:
        """Return the regions to count: those that are given, and the rectangle on the ground."""
        if self.ground is None:
            return list(regions)
        rectangle = Region(GROUND, self.ground.corners, fractions=self.ground.fractions)
        return [*regions, rectangle]


@dataclass(frozen=True)
class Measured:
    """The measures of one frame.

    Attributes:
        smooth: smoothed count; None if there is none.
        lines: people that crossed each line so far, by its name; None for an image.
        ground: people on the rectangle on the ground; None if there is none.
        regions: people per square metre of regions, by name; None where there is no ground.
        health: how the camera does; None for what is no camera.
    """

    smooth: SmoothCount | None = None
    lines: Mapping[str, LineCount] | None = None
    ground: GroundCount | None = None
    regions: Mapping[str, GroundCount | None] = field(default_factory=dict)
    health: SourceHealth | None = None


class Meter:
    """The measures of one source, frame after frame.

    Args:
        asked: what is measured.
        manifest: that of the model.
        is_video: whether the source has times; an image is neither smoothed nor crossed.
    """

    def __init__(self, asked: Asked, manifest: Manifest, is_video: bool) -> None:
        self._asked = asked
        smooth = asked.smooth if is_video else None
        self._smoother = None if smooth is None else Smoother(smooth, smooth)
        lines = asked.lines if is_video else ()
        self._lines = LineCounter(lines, manifest=manifest) if lines else None
        self._plane: GroundPlane | None = None
        self._size: tuple[int, int] | None = None
        self._time = 0.0

    @property
    def plane(self) -> GroundPlane | None:
        """The ground plane at the size of the last frame."""
        return self._plane

    def update(
        self, result: CountResult, image: NDArray[np.uint8] | None, regions: Sequence[Region]
    ) -> tuple[CountResult, Measured]:
        """Return the result of a frame without the region of the ground, and its measures.

        The image is that of a video, whose people are followed.

        Raises:
            ConfigError: a line lies outside of the frame.
        """
        if result.size != self._size:
            self._resize(result.size)
        # The times of a file that was cut together may go back.
        now = self._time = max(self._time, result.time or 0.0)
        smooth = crossed = ground = None
        areas: Mapping[str, GroundCount | None] = {}
        if self._smoother is not None:
            smooth = self._smoother.update(now, result.count, result.interval)
        if self._lines is not None and image is not None:
            crossed = self._lines.update(now, result, image)
        if self._plane is not None:
            areas = ground_counts(self._asked.areas, self._asked.with_ground(regions), result)
            ground = areas.pop(GROUND)
            counted = {name: one for name, one in result.regions.items() if name != GROUND}
            result = replace(result, regions=counted)
        return result, Measured(smooth, crossed, ground, areas)

    def _resize(self, size: tuple[int, int]) -> None:
        self._size = size
        for line in self._asked.lines if self._lines is not None else ():
            _check_inside(line, size)
        if self._asked.ground is not None:
            self._plane = self._asked.ground.in_size(size)


def _check_inside(line: Line, size: tuple[int, int]) -> None:
    seen = line.in_size(size)
    steps = seen.start + np.linspace(0, 1, 101)[:, None] * (seen.end - seen.start)
    if not ((steps >= 0) & (steps <= size)).all(axis=1).any():
        raise ConfigError(
            f"--line {line.name}: lies outside of the frame, which has {size[0]} x {size[1]} "
            "pixels; coordinates in percent fit every size, such as door:50%,100%;50%,0%"
        )


def measured_json(result: dict[str, Any], asked: Asked, measured: Measured) -> dict[str, Any]:
    """Return a result's JSON with the measures that are asked for."""
    if asked.smooth is not None:
        found = measured.smooth
        ends = found and found.interval
        result["smooth"] = found and round(found.count, 3)
        result["smooth_interval"] = ends and [round(end, 3) for end in ends]
    if asked.lines:
        result["lines"] = measured.lines and {
            name: {key: round(value, 3) for key, value in line_numbers(line).items()}
            for name, line in measured.lines.items()
        }
    if asked.ground is not None:
        result["ground"] = measured.ground and measured.ground.to_dict()
        for name, ground in measured.regions.items():
            numbers = ground.to_dict() if ground else dict.fromkeys(GroundCount.KEYS)
            result["regions"][name] |= {key: numbers[key] for key in GroundCount.KEYS}
    if measured.health is not None:
        health = measured.health
        result |= {
            "age": health.age if health.age is None else round(health.age, 3),
            "frames_in": health.frames_in,
            "dropped": health.dropped,
            "reconnects": health.reconnects,
        }
    return result


def line_numbers(line: LineCount) -> dict[str, float]:
    """Return in, out and net of a line."""
    return {"in": line.into, "out": line.out, "net": line.net}
