"""The loop over the pictures of a camera or a stream: the newest ones, until somebody stops it."""

from __future__ import annotations

from collections.abc import Callable, Generator

from edgecount.cli._shell.signals import Stop
from edgecount.runtime.sources.base import Frame
from edgecount.runtime.sources.live import LiveSource
from edgecount.runtime.sources.prefetch import Ended, NotReady

_LOOK = 0.25  # s between looks for a Ctrl-C, while no picture comes


def live_frames(
    source: LiveSource, every: int, stop: Stop, on_wait: Callable[[], None]
) -> Generator[Frame, None, None]:
    """Yield the pictures to count as they are asked for, until a stop is requested.

    Args:
        source: a camera or stream, which is opened here.
        every: N for one of N pictures that come in, those that are dropped included.
        stop: what Ctrl-C requests.
        on_wait: called now and then while no picture comes.

    Raises:
        SourceError: the camera cannot be read, by what its options allow.
    """
    due = 0
    with source.reader() as reader:
        while not stop.requested:
            try:
                frame = reader.take(_LOOK)
            except NotReady:
                on_wait()
                continue
            except Ended:
                return
            if frame.index >= due:
                due = frame.index + every
                yield frame
            del frame  # not kept while the next one is waited for
