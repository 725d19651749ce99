"""Runners take frames through an engine; a pool lends each of them to one thread at a time."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from edgecount.errors import BackendError

if TYPE_CHECKING:
    from edgecount.result import CountResult
    from edgecount.runtime.pipeline.job import FrameJob


class Runner(ABC):
    """The buffers for frames on their way through an engine, used by one thread at a time."""

    @abstractmethod
    def count(self, job: FrameJob) -> CountResult:
        """Count one frame.

        Raises:
            BackendError: the engine failed, or gave maps that its manifest does not promise.
        """

    def drain(self) -> None:  # noqa: B027 (a runner that waits for nothing has nothing to do)
        """Wait for work that was begun, and discard its results; nothing by default.

        Raises:
            BackendError: the work failed, and the runner cannot be used any more.
        """

    def close(self) -> None:  # noqa: B027
        """Free what is not Python's to free; nothing by default. Calling it twice is fine."""


Pending: TypeAlias = "Callable[[], list[CountResult]]"
"""Waits for the counts of frames, and returns them in the frames' order; raises BackendError."""


class QueueingRunner(Runner):
    """A runner that works in the background while its thread goes on."""

    def count(self, job: FrameJob) -> CountResult:
        """Count one frame, and wait for the result."""
        return self.submit([job])()[0]

    @abstractmethod
    def submit(self, jobs: Sequence[FrameJob]) -> Pending:
        """Begin to count frames of one kind. Ask for their result before the next `submit`.

        Raises:
            BackendError: the engine failed.
        """


RunnerT = TypeVar("RunnerT", bound=Runner)


class RunnerPool(Generic[RunnerT]):
    """A pool that lends runners to threads, and opens as many as are in use at once.

    Args:
        open_runner: opens a runner, one function for each device.
    """

    def __init__(self, *open_runner: Callable[[], RunnerT]) -> None:
        self._open_runner = open_runner
        self._idle: list[list[RunnerT]] = [[] for _ in open_runner]
        self._in_use = [0] * len(open_runner)
        self._lock = threading.Lock()
        self._after: Callable[[], None] | None = None
        self._closed = False

    def check_open(self) -> None:
        """Raise BackendError if the pool is closed."""
        if self._closed:
            raise BackendError("the counter is closed: make a new one")

    @property
    def places(self) -> int:
        """The number of devices that have runners."""
        return len(self._in_use)

    def least_used(self) -> int:
        """Return the place, among the devices, of the one with the fewest runners in use."""
        with self._lock:
            return self._in_use.index(min(self._in_use))

    @contextmanager
    def acquire(self, place: int = 0) -> Iterator[RunnerT]:
        """Lend a runner for the length of a with block.

        Args:
            place: position of its device among them.

        Raises:
            BackendError: the pool is closed, or there is no memory left for a runner.
        """
        with self._lock:
            self.check_open()
            # Counted before the runner is there, so that closing waits for one that is being made.
            self._in_use[place] += 1
            # The one that came back last, whose buffers are likely to be in the caches.
            idle = self._idle[place]
            runner = idle.pop() if idle else None
        try:
            # Outside the lock: opening one may take as long as building kernels does.
            runner = runner or self._open_runner[place]()
            try:
                yield runner
            except BaseException:
                # A bad frame is no fault of the runner, but a failed engine leaves it unusable.
                try:
                    runner.drain()
                except BackendError:
                    runner.close()
                    runner = None
                raise
        finally:
            self._release(runner, place)

    def start_anew(self) -> None:
        """Free the lock in a process that was forked while another thread held it."""
        self._lock = threading.Lock()

    def close(self, after: Callable[[], None] | None = None) -> None:
        """Close the idle runners, and those in use when they come back; then call `after`."""
        with self._lock:
            if self._closed:
                return
            self._closed, self._after = True, after
            idle = [runner for of_device in self._idle for runner in of_device]
            self._idle = [[] for _ in self._idle]
        for runner in idle:
            runner.close()
        self._finish()

    def _release(self, runner: RunnerT | None, place: int) -> None:
        with self._lock:
            if runner is not None and not self._closed:
                self._idle[place].append(runner)
                runner = None
        if runner is not None:
            runner.close()
        # Only now: `after` frees the engine, which the runner needed until it was closed.
        with self._lock:
            self._in_use[place] -= 1
        self._finish()

    def _finish(self) -> None:
        """Call `after` once the pool is closed and its last runner has come back."""
        with self._lock:
            done = self._closed and not any(self._in_use)
            # Taken away under the lock, so that of two threads that come here one calls it.
            after, self._after = (self._after, None) if done else (None, self._after)
        if after is not None:
            after()
