"""Frames that change their size under what was drawn in pixels."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

_log = logging.getLogger(__name__)


class Drawn(Protocol):
    """Something drawn on the frame, such as a region or a line."""

    name: str
    fractions: bool


class SizeWatch:
    """A watch that warns, once, of a frame size that changes under coordinates in pixels.

    Args:
        drawn: regions or lines.
    """

    def __init__(self, drawn: Sequence[Drawn]) -> None:
        self._in_pixels = [one.name for one in drawn if not one.fractions]
        self._size: tuple[int, int] | None = None
        self._warned = not self._in_pixels

    def see(self, size: tuple[int, int]) -> None:
        """Note the (width, height) of a frame."""
        if self._warned:
            return
        before, self._size = self._size, size
        if before is not None and before != size:
            self._warned = True
            _log.warning(
                "frames have changed from %d x %d to %d x %d pixels: %s, given in pixels, may lie "
                "elsewhere in the scene now; give shares of width and height (fractions=True, or "
                "percent on the command line)",
                *before,
                *size,
                ", ".join(self._in_pixels),
            )
