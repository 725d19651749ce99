"""An account of what could not be read of a clip."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Damage:
    """Numbers of frames, and what was wrong with the first of the bad ones.

    Attributes:
        given: frames that were handed on.
        left_out: frames that were decoded but not handed on: damaged, or doubtful because they may
            build on one that is.
        marked: frames that the decoder marks as damaged.
        lost: frames of which nothing came.
        first: time of the first damage, in seconds since the start; None if there is none.
        reason: what was wrong there.
    """

    given: int = 0
    left_out: int = 0
    marked: int = 0
    lost: int = 0
    first: float | None = None
    reason: str = ""

    def note(self, seconds: float, reason: str) -> None:
        """Remember damage, if there was none before it."""
        if self.first is None or seconds < self.first:
            self.first = seconds
            self.reason = reason

    @property
    def found(self) -> int:
        """Number of frames that were decoded in one way or another."""
        return self.given + self.left_out

    def sentence(self) -> str:
        """Say how much is damaged; an empty text if nothing is."""
        bad = self.lost + max(self.marked, self.left_out)
        if not bad:
            return ""
        start = "" if self.first is None else f", from {self.first:.2f} s on ({self.reason})"
        what = "is lost or damaged" if bad == 1 else "are lost, damaged or built on damaged ones"
        return f"is damaged: {bad} of {self.found + self.lost} frames {what}{start}"
