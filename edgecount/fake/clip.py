"""An open connection to a fake camera."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgecount.errors import SourceError
from edgecount.fake.pictures import Painter
from edgecount.fake.script import Drop, Hang, Script
from edgecount.runtime.sources.prefetch import Ended

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Clock:
    """The time of a script, which runs from the first opening of its camera on.

    Args:
        speed: seconds of the script per second.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._start: float | None = None
        self._lock = threading.Lock()

    def start(self) -> float:
        """Return the second of the script, which begins with the first call."""
        with self._lock:
            if self._start is None:
                self._start = time.monotonic()
                return 0.0
        return self.now()

    def now(self) -> float:
        """Return the second of the script."""
        return 0.0 if self._start is None else (time.monotonic() - self._start) * self._speed

    def media(self, second: float) -> float:
        """Return the seconds that it takes to get to a second of the script."""
        return second / self._speed

    def second(self, media: float) -> float:
        """Return the second of the script that is reached in some seconds."""
        return media * self._speed


class FakeClip:
    """A connection to a fake camera, in the shape of an open clip.

    Args:
        name: of the camera, for messages.
        script: what the camera does.
        clock: time of the script.
        fps: pictures per second of the script.
        painter: makes the pictures.

    Attributes:
        given: number of pictures that were given.

    Raises:
        SourceError: the camera is away by its script.
        Ended: the script is over.
    """

    def __init__(
        self, name: str, script: Script, clock: Clock, *, fps: float, painter: Painter
    ) -> None:
        self.given = 0
        self._name = name
        self._script = script
        self._clock = clock
        self._fps = fps
        self._painter = painter
        self._stopped = threading.Event()
        self._opened = clock.start()
        scene = script.at(self._opened)
        if scene is None:
            raise Ended
        if isinstance(scene.step, Drop):
            raise SourceError(f"cannot open {name}: connection refused")
        if isinstance(scene.step, Hang):
            left = scene.end - self._opened % script.seconds
            self._stopped.wait(clock.media(left))
            raise SourceError(f"cannot open {name}: no answer")

    def pictures(self) -> Iterator[tuple[NDArray[np.uint8], int, float]]:
        """Yield the pictures when they are due; late ones, as after a long wait, at once.

        Yields:
            The picture, uint8 (H, W, 3), BGR; its number in this connection; and its time in
            seconds since the camera was first opened.

        Raises:
            Ended: the script is over.
        """
        tick = math.ceil(self._opened * self._fps)
        while self._wait_until(second := tick / self._fps):
            if self._script.breaks_between(self._opened, second):
                return
            scene = self._script.at(second)
            if scene is None:
                raise Ended
            if scene.step.gives_pictures:
                picture = self._painter.picture(scene, second, tick)
                yield picture, self.given, self._clock.media(second)
                self.given += 1
            tick += 1

    def fault(self) -> str:
        """Say what was wrong: the connection broke."""
        return "" if self._stopped.is_set() else f"{self._name} broke the connection"

    def stop(self) -> None:
        """Have `pictures` end; from any thread."""
        self._stopped.set()

    def close(self) -> None:
        """Close it."""
        self.stop()

    def _wait_until(self, second: float) -> bool:
        """Wait for a second of the script; returns False if the clip is stopped before."""
        wait = self._clock.media(second - self._clock.now())
        return not self._stopped.wait(max(0.0, wait))
