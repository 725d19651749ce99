"""One opening of a camera, read by a thread of its own that may be left behind."""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from edgecount.errors import SourceError
from edgecount.runtime.sources.live.clock import CaptureClock
from edgecount.runtime.sources.live.exiting import let_exit
from edgecount.runtime.sources.prefetch import closed_in_the_end

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)


class Clip(Protocol):
    """An open stream, as `PyAVClip` is one.

    It may have, besides: `is_finite`, whether it has an end; `arrived`, when the packet of the
    last picture came by `time.monotonic`; `skipped` and `left_out`, numbers of pictures that were
    not decoded and that were damaged; `patience`, seconds that it may be without pictures beyond
    what is allowed; `stop()`, which has `pictures` end at the next packet.
    """

    given: int

    def pictures(self) -> Iterator[tuple[NDArray[np.uint8], int, float | None]]:
        """Yield pictures, their numbers, and their times in seconds by the stream's own clock."""

    def fault(self) -> str:
        """Say what was wrong, once all pictures were taken; an empty text if nothing was."""

    def close(self) -> None:
        """Close it."""


OpenClip: TypeAlias = Callable[[], Any]


class Phase(enum.Enum):
    """A phase of the work of an attempt's thread."""

    OPENING = enum.auto()
    FIRST = enum.auto()  # it is open, and has given no picture
    READING = enum.auto()
    HANDING = enum.auto()  # it waits for somebody to take its pictures
    DONE = enum.auto()


class Attempt:
    """A thread that opens a camera and hands on its pictures.

    Args:
        open_clip: opens the camera.
        hand: takes each picture with the moment when it was captured, by `time.monotonic`, and its
            media time; waits if there is no room; returns False to end the attempt.
        changed: notified of what happens; its lock guards the attributes.
        name: name of the thread.

    Attributes:
        phase: what the thread does.
        since: when that began; of reading, when the last picture came.
        first: when the first picture came; None before it.
        error: what ended it; None if it came to its end by itself.
        is_finite: whether it has an end.
        clip: the open clip.
        is_abandoned: whether nobody wants its pictures any more.
    """

    def __init__(
        self,
        open_clip: OpenClip,
        hand: Callable[[Attempt, NDArray[np.uint8], float, float | None], bool],
        changed: threading.Condition,
        name: str,
    ) -> None:
        self._open_clip = open_clip
        self._hand = hand
        self._changed = changed
        self.phase = Phase.OPENING
        self.since = time.monotonic()
        self.first: float | None = None
        self.error: BaseException | None = None
        self.is_finite = False
        self.clip: Any = None
        self.is_abandoned = False
        self._skipped = self._left_out = 0
        # A daemon: a camera that hangs in its driver must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        let_exit(self)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the thread is still there."""
        return self._thread.is_alive()

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread, unless this is it: garbage may be collected there."""
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def abandon(self) -> None:
        """Have the thread end as soon as its read returns; whatever it gives is ignored."""
        self.is_abandoned = True
        stop = getattr(self.clip, "stop", None)
        if stop is not None:
            stop()

    def newly_skipped(self) -> int:
        """Return the number of pictures that were not decoded since the last call."""
        skipped = max(self._skipped, getattr(self.clip, "skipped", 0))
        new, self._skipped = skipped - self._skipped, skipped
        return new

    @property
    def left_out(self) -> int:
        """Number of pictures that were left out because they were damaged."""
        self._left_out = max(self._left_out, getattr(self.clip, "left_out", 0))
        return self._left_out

    def enter(self, phase: Phase) -> None:
        """Note what the thread does from now on."""
        with self._changed:
            self.phase = phase
            self.since = time.monotonic()
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            clip = self._open_clip()
        except BaseException as error:  # noqa: BLE001 (told where the pictures are taken)
            self._end(error)
            return
        try:
            self._read(clip)
        finally:
            self._close(clip)
            with self._changed:
                self._changed.notify_all()

    def _read(self, clip: Any) -> None:
        with self._changed:
            self.clip = clip
            self.is_finite = bool(getattr(clip, "is_finite", False))
            came_too_late = self.is_abandoned  # `stop` has met no clip
        if came_too_late:
            self._end(None)
            return
        self.enter(Phase.FIRST)
        try:
            self._hand_on(clip)
            fault = "" if self.is_abandoned else clip.fault()
        except BaseException as error:  # noqa: BLE001
            self._end(error)
        else:
            self._end(SourceError(fault) if fault else None)

    def _hand_on(self, clip: Any) -> None:
        clock = CaptureClock()
        with closed_in_the_end(clip.pictures()) as pictures:
            for image, _, media in pictures:
                if self.is_abandoned:
                    return
                now = time.monotonic()
                self.first = now if self.first is None else self.first
                arrival = getattr(clip, "arrived", None) or now
                if not self._hand(self, image, clock.captured(arrival, media), media):
                    return
                self.enter(Phase.READING)

    def _close(self, clip: Any) -> None:
        try:
            clip.close()
        except Exception as error:  # noqa: BLE001 (nobody needs it any more)
            _log.warning("a camera was not closed properly: %s: %s", type(error).__name__, error)

    def _end(self, error: BaseException | None) -> None:
        self.error = error
        self.enter(Phase.DONE)
