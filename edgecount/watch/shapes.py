"""Regions, excluded areas, lines and ground of a camera, and which version of them is meant."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from edgecount.errors import ConfigError

SHAPES = ("regions", "excluded", "lines", "ground")
NAMED = ("regions", "lines")  # mappings by name


class ChangedError(ConfigError):
    """Shapes that somebody else has changed since they were read."""


def shapes_version(shapes: Mapping[str, Any]) -> str:
    """Return a version of shapes in plain JSON types: another one once any of them has changed."""
    text = json.dumps([shapes[key] for key in SHAPES], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def order_of(shapes: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the names of regions and lines in turn.

    JavaScript puts names that are numbers, such as "10" and "2", before others in its objects.
    """
    return {kind: [*shapes[kind]] for kind in NAMED}


def in_order(shapes: Mapping[str, Any], order: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return shapes with regions and lines in the order of their names, and the others after them.

    Args:
        shapes: some of the shapes of a camera.
        order: as `order_of` returns it; names that it lacks, or has beyond those, do not matter.
    """
    ordered = dict(shapes)
    for kind, names in order.items():
        known = shapes.get(kind)
        if isinstance(known, Mapping):
            ordered[kind] = {name: known[name] for name in [*names, *known] if name in known}
    return ordered


def check_unchanged(camera: str, shapes: Mapping[str, Any], since: str | None) -> None:
    """Check that shapes are those that a change is made to.

    Args:
        camera: id of the camera, for the message.
        shapes: its shapes.
        since: version of those that the change is made to; None: whatever is there.

    Raises:
        ChangedError: they are others by now.
    """
    if since is not None and since != shapes_version(shapes):
        raise ChangedError(
            f"{camera}: somebody else has changed its regions, lines or ground since they were "
            "read; nothing was saved: read them again"
        )
