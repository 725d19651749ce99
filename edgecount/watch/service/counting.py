"""The thread that counts the pictures of all cameras."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from edgecount.errors import BackendError
from edgecount.runtime.backends import DeviceBackend

if TYPE_CHECKING:
    from edgecount.counter import EdgeCounter
    from edgecount.result import CountResult
    from edgecount.runtime.sources import Frame
    from edgecount.watch.camera import Camera, Picture
    from edgecount.watch.readings import Event, Reading

    Taken: TypeAlias = tuple[Camera, float, Frame]

_log = logging.getLogger(__name__)

_TICK = 1.0  # s between looks at cameras that give no pictures
_PAUSE = 1.0  # s before an engine that failed is tried again
_PATIENCE = 30.0  # s that a change waits for the pictures that are being counted
_AGAIN = 3600.0  # s after which a fault that goes on is told once more


@dataclass(frozen=True, eq=False)
class _Change:
    """Cameras to count from the next round on, and a new counter; None: the one in use."""

    cameras: tuple[Camera, ...]
    counter: EdgeCounter | None


class Counting:
    """A thread that takes the pictures of cameras when they are due, and counts them.

    On a CPU each picture is taken when the engine is free for it, those of the camera first that
    has waited longest. An engine that takes batches gets as many pictures at once as are there.

    Args:
        counter: counts; it stays the caller's to close.
        told: called with each reading and its picture.
        happened: called with each event.
    """

    def __init__(
        self,
        counter: EdgeCounter,
        told: Callable[[Reading, Picture], None],
        happened: Callable[[Event], None],
    ) -> None:
        self._counter = counter
        self._told, self._happened = told, happened
        self._cameras: tuple[Camera, ...] = ()
        self._served: dict[str, float] = {}  # when a picture of each camera was counted last
        self._wake = threading.Event()
        self._changed = threading.Condition()  # of the cameras and the counter
        self._next: _Change | None = None  # from the next round on
        self._is_stopping = False
        self._ticked = 0.0
        self._beat = time.monotonic()
        self._error: str | None = None
        self._failures: dict[tuple[str, str, str], float] = {}  # when the log got them
        self._thread = threading.Thread(target=self._run, name="edgecount-counting", daemon=True)

    @property
    def error(self) -> str | None:
        """The engine's fault, in words; None: it works."""
        return self._error

    def heartbeat(self) -> float:
        """Return the seconds since it last went round without an error of the engine."""
        return time.monotonic() - self._beat

    def wake(self) -> None:
        """Have the thread look at the cameras, from any thread."""
        self._wake.set()

    def start(self) -> None:
        """Start the thread."""
        self._beat = time.monotonic()
        self._thread.start()

    def use(self, cameras: Sequence[Camera], counter: EdgeCounter | None = None) -> None:
        """Go on with other cameras, or another counter; returns when the thread does.

        Raises:
            BackendError: the engine hangs, or the thread has been stopped; nothing has changed.
        """
        change = self.plan(cameras, counter)
        with self._changed:
            self._changed.wait_for(lambda: self._next is not change or self._is_stopping, _PATIENCE)
            if self._next is not change:
                return
            self._next = None
        if self._is_stopping:
            raise BackendError("counting has been stopped: nothing was changed")
        raise BackendError(f"the engine gave no answer for {_PATIENCE:g} s: nothing was changed")

    def plan(self, cameras: Sequence[Camera], counter: EdgeCounter | None = None) -> _Change:
        """Go on with other cameras, or another counter, from the next round on; never waits."""
        change = _Change(tuple(cameras), counter)
        with self._changed:
            self._next = change
            if self._thread.ident is None:
                self._change()
        self.wake()
        return change

    def stop(self, timeout: float) -> bool:
        """End the thread after the picture that is being counted, for which it waits so long.

        Returns:
            Whether it has ended; else the engine hangs.
        """
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                wait = self._go_round()
            except Exception as error:  # noqa: BLE001 (the service is to run on, whatever it is)
                self._note(None, "a round of counting failed", error)
                wait = _PAUSE
            if wait > 0 and not self._is_stopping:
                self._wake.wait(wait)

    def _change(self) -> None:
        """Take up what was planned."""
        with self._changed:
            if self._next is not None:
                self._cameras = self._next.cameras
                self._counter = self._next.counter or self._counter
                self._next = None
                self._changed.notify_all()

    def _go_round(self) -> float:
        """Count what is there; returns the seconds that may be waited then."""
        self._wake.clear()  # before the look: what comes after it ends the wait
        self._change()
        begin = time.monotonic()
        taken = self._take(begin)
        works = not taken or self._count(taken)
        now = time.monotonic()
        if works:
            self._beat = now
        if now - self._ticked >= _TICK:
            self._ticked = now
            self._tick(now)
        if not works:
            return _PAUSE
        if taken:
            return 0.0
        due = [camera.due for camera in self._cameras if camera.due > begin]
        return max(min(*due, self._ticked + _TICK, math.inf) - time.monotonic(), 0.0)

    def _take(self, now: float) -> list[Taken]:
        """Return pictures that are there and due, no more than the engine takes at once."""
        backend = self._counter.backend
        most = backend.batches[1] if isinstance(backend, DeviceBackend) else 1
        taken: list[Taken] = []
        for camera in sorted(self._cameras, key=lambda one: self._served.get(one.id, 0.0)):
            if len(taken) == most:
                break
            try:
                found = camera.take(now)
            except Exception as error:  # noqa: BLE001 (one camera must not hide the others)
                self._note(camera, "a picture was not taken", error)
                continue
            if found is not None:
                self._served[camera.id] = now
                taken.append((camera, *found))
        # Pictures of one size side by side go through the engine together.
        return sorted(taken, key=lambda one: one[2].image.shape)

    def _count(self, taken: list[Taken]) -> bool:
        """Count pictures and hand on their results; returns whether the engine works."""
        try:
            results = self._counter.count_batch([frame.image for _, _, frame in taken])
        except BackendError as error:
            self._fail(error)
            return False
        except Exception as error:  # noqa: BLE001 (one odd picture must not hide the others)
            if len(taken) > 1:
                worked = [self._count([one]) for one in taken]
                return all(worked)
            self._note(taken[0][0], "a picture was not counted", error)
            return True
        if self._error is not None:
            self._error = None
            _log.warning("the engine works again")
        for (camera, seconds, frame), result in zip(taken, results, strict=True):
            self._hand_on(camera, seconds, frame, result)
        return True

    def _hand_on(self, camera: Camera, seconds: float, frame: Frame, result: CountResult) -> None:
        try:
            reading, picture, events = camera.handle(seconds, frame, result)
            for event in events:  # first: a picture that cannot be shown must not keep them back
                self._happened(event)
            self._told(reading, picture)
        except Exception as error:  # noqa: BLE001
            self._note(camera, "a picture was not counted", error)

    def _tick(self, now: float) -> None:
        wall = time.time()
        for camera in self._cameras:
            try:
                events = camera.tick(now, wall)
            except Exception as error:  # noqa: BLE001
                self._note(camera, "the time that has passed was not noted", error)
                continue
            for event in events:
                self._happened(event)

    def _fail(self, error: BackendError) -> None:
        if self._error is None:
            _log.error("counting stands still: %s; it is tried again", error)
        self._error = str(error)

    def _note(self, camera: Camera | None, what: str, error: Exception) -> None:
        """Tell of something that failed, now and then of each kind."""
        subject = "cameras" if camera is None else camera.id
        kind, now = (subject, what, type(error).__name__), time.monotonic()
        if now - self._failures.get(kind, -math.inf) >= _AGAIN:
            self._failures[kind] = now
            _log.error("%s: %s: %s", subject, what, error, exc_info=error)
