"""The pictures of a camera, no more a second than are asked for."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgecount.errors import ConfigError, EdgeCountError, MissingExtraError
from edgecount.runtime.sources.live import LiveSource, SourceState
from edgecount.runtime.sources.prefetch import Ended, NotReady
from edgecount.watch.readings import Event

if TYPE_CHECKING:
    from edgecount.runtime.sources import Frame
    from edgecount.runtime.sources.live import LiveReader, SourceHealth
    from edgecount.watch.config import CameraConfig

_log = logging.getLogger(__name__)

_LOST = 2.0  # s without connection after which that is told: some cameras break off every hour
_NUMBER = re.compile(r"\d+")
_MOST_TOLD = 20  # reasons that the log gets while a camera is away
# A wrong password or path is no fault that seconds mend, and many cameras lock an account after
# some wrong passwords; but a camera that starts has no path either.
_FIRST, _LONGEST = 60.0, 3600.0  # s before a camera that was given up is tried again


class Feed:
    """The pictures of a camera, taken when they are due, and the events "lost" and "back".

    All methods but `health` are for one thread at a time.

    Args:
        camera: the camera's id.
        source: the camera.
        rate: pictures a second at most; None: as many as there are.
        wake: called, by any thread, when there may be a picture to take.

    Attributes:
        source: the camera.
        rate: pictures a second at most; may be changed.
    """

    def __init__(
        self, camera: str, source: LiveSource, rate: float | None, wake: Callable[[], None]
    ) -> None:
        self.source = source
        self._camera, self._wake = camera, wake
        self.rate = rate
        self._due = 0.0
        self._reader: LiveReader | None = None
        self._is_closed = False
        self._open_at, self._delay = 0.0, _FIRST
        self._zero: float | None = None  # time.monotonic() of the reader's time 0
        self._away_since: float | None = time.monotonic()
        self._is_lost = False
        self._told: set[str] = set()  # reasons that are known while it is lost
        self._given_up: str | None = None  # why, until it is opened again

    @property
    def due(self) -> float:
        """When the next picture may be taken, by `time.monotonic`."""
        return self._due if self._reader is not None else self._open_at

    def take(self, now: float) -> tuple[float, Frame] | None:
        """Return a picture with its time by `time.monotonic`; None if none is there or due.

        Args:
            now: the time by `time.monotonic`.
        """
        if now < self.due or self._is_closed:
            return None
        try:
            if self._reader is None:
                self._open()
                return None
            frame = self._reader.take(0)
        except NotReady:
            return None
        except Ended:
            self._give_up(math.inf, "it has come to its end")
            return None
        except Exception as error:  # noqa: BLE001 (one camera must not end the others)
            self._give_up(now + self._delay, str(error) or type(error).__name__)
            self._delay = min(2 * self._delay, _LONGEST)
            return None
        # A picture that is late does not make the next ones late.
        period = 0.0 if self.rate is None else 1.0 / self.rate
        self._due = max(self._due, now - period) + period
        self._delay = _FIRST
        if self._zero is None:
            age = 0.0 if frame.captured is None else time.time() - frame.captured
            self._zero = now - min(max(age, 0.0), 1.0) - frame.time
        return min(self._zero + frame.time, now), frame

    def tick(self, now: float, wall: float) -> list[Event]:
        """Return the event of a camera that was lost or is back.

        Args:
            now: the time by `time.monotonic`.
            wall: the UNIX time in seconds.
        """
        health = self.health()
        if health.state is SourceState.LIVE:
            self._away_since = None
            if not self._is_lost:
                return []
            self._is_lost = False
            return [self._event(wall, "back", "the camera gives pictures again")]
        self._away_since = now if self._away_since is None else self._away_since
        patience = _LOST
        if health.state is SourceState.CONNECTING and health.error is None:
            options = self.source.options
            patience += options.open_timeout + options.first_timeout
        if self._is_lost:
            self._tell_other_reason(self._given_up or health.error)
            return []
        if now - self._away_since < patience:
            return []
        self._is_lost = True
        why = self._given_up or health.error or "the camera gives no pictures"
        self._told = {_kind(why)}
        return [self._event(wall, "lost", self._without_name(why) + self._again)]

    def health(self) -> SourceHealth:
        """Return how the camera is doing; from any thread."""
        return self.source.health()

    def close(self) -> None:
        """Close the camera."""
        self._is_closed = True
        if self._reader is not None:
            self._reader.close()

    def _open(self) -> None:
        self._zero = self._given_up = None
        self._reader = self.source.reader(is_logged=False)  # its events are
        self._reader.on_change = self._changed
        self._wake()  # its first picture may have come before anybody listened

    def _changed(self) -> None:
        if time.monotonic() >= self._due:
            self._wake()

    def _give_up(self, until: float, why: str) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader, self._open_at, self._given_up = None, until, why

    @property
    def _again(self) -> str:
        is_later = self._given_up is not None and math.isfinite(self._open_at)
        return "; it is tried again in some minutes" if is_later else ""

    def _tell_other_reason(self, why: str | None) -> None:
        """Log why a camera is still away, if that is another reason than those before."""
        if why is None or _kind(why) in self._told or len(self._told) >= _MOST_TOLD:
            return
        self._told.add(_kind(why))
        text = self._without_name(why) + self._again
        _log.warning("%s: the camera is still away: %s", self._camera, text)

    def _without_name(self, text: str) -> str:
        """Return a reader's text without the name, which an event has beside it."""
        text = text.removeprefix(f"{self.source.name}: ")
        return text.replace(f"the stream {self.source.name}", "the stream")

    def _event(self, wall: float, change: str, detail: str) -> Event:
        return Event(self._camera, wall, "camera", "", change, detail=detail)


def _kind(error: str) -> str:
    return _NUMBER.sub("#", error)  # of frames and seconds, for instance


def source_of(camera: str, config: CameraConfig) -> LiveSource:
    """Return the camera of a section.

    Raises:
        ConfigError: an option makes no sense.
        SourceError: there is no such camera number.
    """
    try:
        return LiveSource(config.source, config.live_options(), name=camera)
    except MissingExtraError as error:
        raise ConfigError(f"cameras: {camera}: {error}") from None
    except EdgeCountError as error:
        raise type(error)(f"cameras: {camera}: {error}") from None
