"""A camera that is read all the time, watched, and opened again when it fails."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgecount.runtime.sources.base import Frame
from edgecount.runtime.sources.live.attempt import OpenClip
from edgecount.runtime.sources.live.core import Core
from edgecount.runtime.sources.live.health import SourceHealth

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgecount.runtime.sources.live.options import LiveOptions


class LiveReader:
    """A reader of a live source. A context manager: leaving it closes the camera.

    Made by `LiveSource.reader`.
    """

    def __init__(
        self, name: str, open_clip: OpenClip, options: LiveOptions, *, is_logged: bool = True
    ) -> None:
        self.core = Core(name, open_clip, options, is_logged)
        # The threads know the core alone: a reader that nobody holds any more is closed.
        self._finalizer = weakref.finalize(self, Core.close, self.core)
        self.core.start()

    def take(self, timeout: float | None = None) -> Frame:
        """Return the next picture: the newest one, or the next of all.

        Args:
            timeout: seconds to wait for it; None: as long as it takes.

        Raises:
            NotReady: it did not come in time.
            Ended: there are no more pictures.
            SourceError: the camera cannot be read, or not any further.
        """
        return self.core.take(timeout)

    @property
    def on_change(self) -> Callable[[], None]:
        """A function for any thread to call when there is a picture or the state changes.

        It must return at once and take nothing.
        """
        return self.core.on_change

    @on_change.setter
    def on_change(self, call: Callable[[], None]) -> None:
        self.core.on_change = call

    def health(self) -> SourceHealth:
        """Return how the camera is doing; from any thread."""
        return self.core.health()

    def close(self) -> None:
        """Close the camera, from any thread; a thread that waits in `take` gets `Ended`."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
