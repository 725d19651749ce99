"""How a live source is doing, as a value."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class SourceState(enum.Enum):
    """A state of a live source."""

    IDLE = "idle"  # nobody reads it
    CONNECTING = "connecting"  # it is being opened, or is open and has given no picture yet
    LIVE = "live"  # it gives pictures
    STALLED = "stalled"  # it has stopped giving pictures without a word, and is tried again soon
    WAITING = "waiting"  # it ended or could not be opened, and is tried again soon
    ENDED = "ended"  # a finite stream came to its end
    FAILED = "failed"  # it was given up with an error


@dataclass(frozen=True)
class SourceHealth:
    """A snapshot of a live source, of its newest reader.

    Attributes:
        state: what it does now.
        frames_in: pictures that were taken or dropped; one that waits to be taken is neither yet.
        counted: pictures that were taken.
        dropped: pictures that nobody took before the next one came, or before the end; skipped
            ones among them, as far as they are known.
        reconnects: how often it was opened again, or tried to be, after the first time.
        age: seconds since the newest picture was captured; None before the first one.
        error: the last thing that went wrong, without secrets; None if nothing has.
        size: width and height of the newest picture in pixels; None before the first one.
        fps: pictures per second that came in lately; None before the second one.
        damaged: pictures that were left out because they were damaged, or built on damaged ones.
    """

    state: SourceState
    frames_in: int = 0
    counted: int = 0
    dropped: int = 0
    reconnects: int = 0
    age: float | None = None
    error: str | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None
    damaged: int = 0
