"""The core of a live reader: a camera that is read all the time, and watched."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgecount.errors import SourceError
from edgecount.runtime.frames.pictures import size_of
from edgecount.runtime.sources.base import Frame
from edgecount.runtime.sources.faults import PermanentError
from edgecount.runtime.sources.live.attempt import Attempt, OpenClip, Phase
from edgecount.runtime.sources.live.backoff import Backoff
from edgecount.runtime.sources.live.clock import rate_of
from edgecount.runtime.sources.live.health import SourceHealth, SourceState
from edgecount.runtime.sources.prefetch import Ended, NotReady
from edgecount.runtime.sources.urls import shown_url

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecount.runtime.sources.live.options import LiveOptions

_log = logging.getLogger(__name__)

_MOST_LEFT = 3  # threads that hang, before no further one is started
_WELL = 10.0  # s with pictures after which a camera counts as well
_DEPTH = 2  # pictures that wait where every one is given
_LOOK = 0.5  # s between looks whether a thread that hangs has returned
_JOIN = 0.1  # s that closing waits for threads: a camera may take seconds for its next picture
_MOST_TOLD = 20  # kinds of faults that the log gets, of a camera that never gets well
_NUMBER = re.compile(r"\d+")
_SOON = 0.02  # s in which a picture is worth waiting for that makes the one there an old one
_RATE_OF = 30  # pictures whose times give the rate


class Core:
    """The pictures, numbers and threads of a reader.

    One thread watches: it starts an attempt, waits until that fails or is overdue, and starts the
    next one. The thread of the attempt reads.
    """

    def __init__(self, name: str, open_clip: OpenClip, options: LiveOptions, log: bool) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._name = name
        self._open_clip = open_clip
        self._options = options
        self._is_logged = log
        # Re-entrant: garbage may be collected, and a reader closed by that, while it is held.
        lock = threading.RLock()
        self._available = threading.Condition(lock)  # of pictures, or of the end
        self._changed = threading.Condition(lock)  # what an attempt does; room for pictures
        self._waiting: deque[Frame] = deque()
        self._counted = self._dropped = self._reconnects = 0
        self._state = SourceState.IDLE
        self._error: str | None = None
        self._size: tuple[int, int] | None = None
        self._start: float | None = None  # when the first picture was captured
        self._newest: float | None = None  # and the newest one
        self._times: deque[float] = deque(maxlen=_RATE_OF)  # of the pictures of one attempt
        self._damaged = 0  # of earlier attempts
        self._damaged_told = False
        self._last: BaseException | None = None  # what `take` raises when nothing is left
        self._is_closed = False
        self._was_live = False  # whether an attempt gave pictures, and had no end
        self._attempt: Attempt | None = None
        self._left: list[Attempt] = []  # attempts whose threads may still be there
        self._backoff = Backoff(*options.backoff)
        self._told: set[str] = set()  # faults that the log has, since the camera was last well
        self._well = time.monotonic()  # when the last picture came, or else the start
        self._process = os.getpid()
        self._watcher = threading.Thread(
            target=self._watch, name=f"edgecount-watch {name}", daemon=True
        )

    def start(self) -> None:
        """Start the threads."""
        self._state = SourceState.CONNECTING
        self._watcher.start()

    # For those who take the pictures.

    def take(self, timeout: float | None) -> Frame:
        """Return the next picture; see `LiveReader.take`."""
        if self._is_of_another_process:
            raise SourceError(f"{self._name} was opened before a fork: open it in the child")
        with self._available:
            while True:
                if not self._available.wait_for(lambda: self._waiting or self._last, timeout):
                    raise NotReady
                if self._options.newest and timeout is None:
                    self._wait_for_a_fresher_one()
                if self._waiting:
                    break  # else another thread took it meanwhile
                if self._last is not None:
                    raise self._last.with_traceback(None)  # which would grow, asked often
            frame = self._waiting.popleft()
            self._counted += 1
            self._changed.notify_all()
            return frame

    def _wait_for_a_fresher_one(self) -> None:
        """Wait for the next picture if it is due at once, rather than take one about as old."""
        now = time.monotonic()
        rate = rate_of(self._times, now)
        if rate is None or not self._waiting:
            return
        last = self._well
        soon = min(_SOON, 0.5 / rate)
        remaining = last + 1 / rate - now
        if -soon < remaining < soon:
            self._available.wait_for(
                lambda: self._well > last or not self._waiting, remaining + soon
            )

    def health(self) -> SourceHealth:
        """Return a snapshot."""
        if self._is_of_another_process:
            return SourceHealth(SourceState.IDLE)
        with self._available:
            now = time.monotonic()
            return SourceHealth(
                state=self._state,
                frames_in=self._counted + self._dropped,
                counted=self._counted,
                dropped=self._dropped,
                reconnects=self._reconnects,
                age=None if self._newest is None else max(0.0, now - self._newest),
                error=self._error,
                size=self._size,
                fps=rate_of(self._times, now),
                damaged=self._damaged + (self._attempt.left_out if self._attempt else 0),
            )

    def close(self) -> None:
        """End everything; threads that hang end when their reads return."""
        if self._is_of_another_process:
            return
        with self._available:
            if not self._is_closed:
                self._is_closed = True
                self._dropped += len(self._waiting)
                self._waiting.clear()
                if self._last is None:
                    self._last = Ended()
                    self._state = SourceState.IDLE
            self._abandon()
            self._available.notify_all()
            self._changed.notify_all()
            self.on_change()
        deadline = time.monotonic() + _JOIN
        if threading.current_thread() is not self._watcher and self._watcher.ident is not None:
            self._watcher.join(_JOIN)
        for attempt in list(self._left):
            attempt.join(max(0.0, deadline - time.monotonic()))

    @property
    def _is_of_another_process(self) -> bool:
        """Whether this is a forked child: it has no thread, and perhaps a lock that one held."""
        return os.getpid() != self._process

    # The thread of an attempt.

    def _hand(
        self, attempt: Attempt, image: NDArray[np.uint8], captured: float, media: float | None
    ) -> bool:
        """Take a picture in; returns whether further ones are wanted."""
        with self._changed:
            if attempt.is_abandoned:
                return False
            self._dropped += attempt.newly_skipped()
            if attempt.left_out and not self._damaged_told:
                self._damaged_told = True
                _log.warning("%s: damaged pictures are left out", self._name)
            seconds = self._note_picture(image, captured)
            if attempt.is_finite and media is not None:
                seconds = media  # a file's, which is read faster or slower than it was taken
            if self._options.newest and not attempt.is_finite:
                self._dropped += len(self._waiting)
                self._waiting.clear()
            elif not self._wait_for_room(attempt):
                return False
            now, wall = time.monotonic(), time.time()
            self._waiting.append(
                Frame(
                    image,
                    self._name,
                    index=self._counted + self._dropped + len(self._waiting),
                    time=seconds,
                    captured=None if attempt.is_finite else wall - (now - captured),
                    media_time=media,
                )
            )
            self._available.notify_all()
            self.on_change()
            return True

    def _note_picture(self, image: NDArray[np.uint8], captured: float) -> float:
        """Note that a picture came; returns the seconds since the first one."""
        if self._state is not SourceState.LIVE:
            if self._told and self._is_logged:
                _log.info("%s gives pictures again", self._name, extra={"camera": self._name})
            self._times.clear()
            self._state = SourceState.LIVE
        self._well = time.monotonic()
        self._start = captured if self._start is None else self._start
        # Never going back, however the stream's own clock is set.
        self._newest = captured if self._newest is None else max(self._newest, captured)
        self._times.append(self._newest)
        self._size = size_of(image)
        return self._newest - self._start

    def _wait_for_room(self, attempt: Attempt) -> bool:
        attempt.enter(Phase.HANDING)
        self._changed.wait_for(lambda: attempt.is_abandoned or len(self._waiting) < _DEPTH)
        self._well = time.monotonic()
        return not attempt.is_abandoned

    # The thread that watches.

    def _watch(self) -> None:
        try:
            last: BaseException = self._keep_open()
        except BaseException as error:  # noqa: BLE001 (raised where the pictures are taken)
            last = self._as_source_error(error)
        with self._available:
            self._abandon()
            if self._last is None:
                self._last = last
                is_end = isinstance(last, Ended)
                self._state = SourceState.ENDED if is_end else SourceState.FAILED
                self._error = self._error if is_end else str(last)
            self._available.notify_all()
            self.on_change()

    def _keep_open(self) -> BaseException:
        """Open the camera again and again; returns what ended that."""
        is_first = True
        while True:
            if not self._wait_for_threads():
                return self._given_up()
            with self._changed:
                if self._is_closed:
                    break
                attempt = self._start_attempt()
            error = self._wait_for_end(attempt)
            with self._changed:
                # An end for good, as a clip may say, is none of those that are mended.
                if self._last is not None or isinstance(attempt.error, Ended):
                    break
                self._abandon()
                if attempt.is_finite:
                    return Ended() if error is None else error
                error = error or self._ended()
                is_lasting = isinstance(error, PermanentError)
                is_final = is_first and is_lasting and attempt.first is None
                if is_final or not self._options.reconnect:
                    return error
                if self._is_given_up():
                    # A try that had little time says less than those before it.
                    if attempt.first is not None or self._error is None:
                        self._error = str(error)
                    return self._given_up()
                self._was_live = self._was_live or attempt.first is not None
                self._note_uptime(attempt)
                self._note_fault(error)
                stalled = isinstance(error, _StallError) and attempt.first is not None
                self._state = SourceState.STALLED if stalled else SourceState.WAITING
                self.on_change()
            is_first = False
            if not self._sleep(self._backoff.delay()):
                return self._given_up()
            self._reconnects += 1
        return Ended()

    def _note_uptime(self, attempt: Attempt) -> None:
        """Begin anew, with delays and messages, when a camera had been well for a while."""
        if attempt.first is not None and self._well - attempt.first >= _WELL:
            self._backoff.reset()
            self._told.clear()
            self._damaged_told = False

    def _start_attempt(self) -> Attempt:
        self._state = SourceState.CONNECTING
        name = f"edgecount-camera {self._name}"
        self._attempt = Attempt(self._open, self._hand, self._changed, name)
        self._left.append(self._attempt)
        return self._attempt

    def _open(self) -> Any:
        """Open the camera; called by the thread of an attempt.

        Raises:
            SourceError: it cannot be opened, or it has an end and is not to have one.
        """
        clip = self._open_clip()
        # A relay that a stream has left gives the old pictures as a recording, as fast as it can.
        if getattr(clip, "is_finite", False) and (self._was_live or not self._options.finite):
            clip.close()
            raise SourceError(
                f"{self._name}: expected a camera, got a recording, a single picture, or the "
                "playlist of a stream that has ended"
            )
        return clip

    def _wait_for_end(self, attempt: Attempt) -> SourceError | None:
        """Wait until an attempt ends or is overdue; returns why, None for an end by itself."""
        with self._changed:
            while not (self._is_closed or attempt.phase is Phase.DONE):
                overdue = self._overdue(attempt)
                if overdue is None:
                    self._changed.wait()
                    continue
                remaining, error = overdue
                if remaining <= 0:
                    return error
                self._changed.wait(remaining)
            return None if attempt.error is None else self._as_source_error(attempt.error)

    def _overdue(self, attempt: Attempt) -> tuple[float, SourceError] | None:
        """Return the seconds until an attempt takes too long, and what to say then."""
        if attempt.phase is Phase.HANDING:
            return None
        options = self._options
        limit, text = {
            Phase.OPENING: (options.open_timeout, "cannot open the stream {}: no answer"),
            Phase.FIRST: (options.first_timeout, "the stream {} is open, but gave no picture"),
            Phase.READING: (options.stall_timeout, "the stream {} gave no picture"),
        }[attempt.phase]
        patience = getattr(attempt.clip, "patience", 0.0)
        limit += patience
        deadline = attempt.since + limit
        if options.give_up is not None and self._well + options.give_up < deadline:
            deadline, limit = self._well + options.give_up, options.give_up
        error = _StallError(f"{text.format(self._name)} for {limit:g} s")
        return deadline - time.monotonic(), error

    def _abandon(self) -> None:
        if self._attempt is not None:
            self._damaged += self._attempt.left_out
            self._dropped += self._attempt.newly_skipped()
            self._attempt.abandon()
            self._attempt = None
            self._changed.notify_all()

    def _wait_for_threads(self) -> bool:
        """Wait until few enough threads hang; returns False to give up."""
        with self._changed:
            while True:
                self._left = [attempt for attempt in self._left if attempt.is_running]
                if self._is_closed or len(self._left) < _MOST_LEFT:
                    return True
                self._state = SourceState.STALLED
                self._note_fault(
                    SourceError(
                        f"{self._name}: {len(self._left)} reads hang and cannot be ended; "
                        "it is tried again when one of them returns"
                    )
                )
                if self._is_given_up():
                    return False
                self._changed.wait(_LOOK)

    def _sleep(self, seconds: float) -> bool:
        """Wait, or until the camera is closed or given up; returns whether it goes on."""
        end = time.monotonic() + seconds
        with self._changed:
            while not self._is_closed:
                now = time.monotonic()
                if self._is_given_up():
                    return False
                if now >= end:
                    break
                give_up = self._options.give_up
                until = end if give_up is None else min(end, self._well + give_up)
                self._changed.wait(max(0.001, until - now))
        return True

    def _is_given_up(self) -> bool:
        give_up = self._options.give_up
        return give_up is not None and time.monotonic() >= self._well + give_up

    def _given_up(self) -> SourceError:
        why = f": {self._error}" if self._error else ""
        return SourceError(f"{self._name} gave no picture for {self._options.give_up:g} s{why}")

    def _ended(self) -> SourceError:
        given = self._counted + self._dropped + len(self._waiting)
        return SourceError(f"the stream {self._name} ended after {given} frames")

    def _note_fault(self, error: SourceError) -> None:
        self._error = str(error)
        kind = _NUMBER.sub("#", self._error)  # of frames, for instance
        if kind not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(kind)
            if self._is_logged:
                _log.warning("%s; it is tried again", self._error, extra={"camera": self._name})

    def _as_source_error(self, error: BaseException) -> SourceError:
        if isinstance(error, SourceError):
            return error
        words = shown_url(str(error)) or "no reason given"
        text = f"{self._name}: {type(error).__name__}: {words}"
        mended_by_time = isinstance(error, (OSError, EOFError))
        return SourceError(text) if mended_by_time else PermanentError(text)


class _StallError(SourceError):
    """A camera that took too long."""
