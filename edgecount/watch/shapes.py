"""Regions, excluded areas, lines and ground of a camera, and which version of them is meant."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from edgecount.errors import ConfigError

SHAPES = ("regions", "excluded", "lines", "ground")


class ChangedError(ConfigError):
    """Shapes that somebody else has changed since they were read."""


def shapes_version(shapes: Mapping[str, Any]) -> str:
    """Return a version of shapes in plain JSON types: another one once any of them has changed."""
    text = json.dumps([shapes[key] for key in SHAPES], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
