"""The names of a camera's parts, for sinks that announce them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgecount.watch.readings import AlarmStatus


@dataclass(frozen=True)
class Watched:
    """A camera, and the names of what is counted in it.

    Attributes:
        title: how people call it.
        regions: names of its regions.
        lines: names of its lines.
        alarms: names of its alarms.
        ground: whether it has a ground plane, and so people per square metre.
        patience: seconds for which a count stands at the least, as its pictures are far apart.
        rate: pictures that are counted in a second, as the config asks; 0: all.
        statuses: states of alarms that go on from an earlier run, by name.
    """

    title: str
    regions: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    ground: bool = False
    patience: float = 0.0
    rate: float = 0.0
    statuses: Mapping[str, AlarmStatus] = field(default_factory=dict)
