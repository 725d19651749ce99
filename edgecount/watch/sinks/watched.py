"""What sinks that announce things need to know of a camera."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Watched:
    """A camera, and the names of what is counted in it.

    Attributes:
        title: how people call it.
        regions: names of its regions.
        lines: names of its lines.
        alarms: names of its alarms.
        ground: whether it has a ground plane, and so people per square metre.
    """

    title: str
    regions: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    ground: bool = False
