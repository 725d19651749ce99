"""Lanes: the ways of frames through an engine, each for one thread at a time."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from edgecount.errors import BackendError
from edgecount.runtime.pipeline.postprocess import Counts, count_outputs
from edgecount.runtime.pipeline.timer import Clock

if TYPE_CHECKING:
    from edgecount.manifest import Manifest
    from edgecount.result import Timings
    from edgecount.runtime.frames.picture import Picture
    from edgecount.runtime.pipeline.infer import MapRunner
    from edgecount.runtime.pipeline.postprocess import RegionMasks
    from edgecount.runtime.pipeline.preprocess import InputPlan

__all__ = ["Counted", "HostLane", "Lane", "LanePool"]


class Counted(NamedTuple):
    """What a lane says of one frame."""

    counts: Counts
    timings: Timings


class Lane(ABC):
    """Takes pictures of one size at a time; what is submitted is collected before the next."""

    @abstractmethod
    def submit(self, pictures: Sequence[Picture], plan: InputPlan, masks: RegionMasks) -> None:
        """Start to count pictures of one size and kind.

        Raises:
            BackendError: the engine failed.
        """

    @abstractmethod
    def collect(self) -> list[Counted]:
        """Wait for what was submitted.

        Raises:
            BackendError: the engine failed, or gave maps that its manifest does not promise.
        """

    @abstractmethod
    def settle(self) -> None:
        """Let what was submitted end, and forget it.

        Raises:
            BackendError: it failed; the lane is of no use any more.
        """

    @abstractmethod
    def close(self) -> None:
        """Free what the lane holds; calling it twice is fine."""


class HostLane(Lane):
    """Frames and maps in the host's memory; nothing overlaps.

    Args:
        runner: the engine.
        manifest: its model's manifest.
        threshold: a peak is above it.
        capacity: most points of a frame; 0: all.
    """

    def __init__(
        self, runner: MapRunner, manifest: Manifest, threshold: float, capacity: int
    ) -> None:
        self._runner, self._manifest = runner, manifest
        self._threshold, self._capacity = threshold, capacity
        self._counted: list[Counted] = []

    def submit(self, pictures: Sequence[Picture], plan: InputPlan, masks: RegionMasks) -> None:
        """Count the pictures, one by one."""
        self._counted = [self._count(picture, plan, masks) for picture in pictures]

    def collect(self) -> list[Counted]:
        """What was counted."""
        counted, self._counted = self._counted, []
        return counted

    def settle(self) -> None:
        """Forget what was counted."""
        self._counted = []

    def close(self) -> None:
        """Nothing to free."""

    def _count(self, picture: Picture, plan: InputPlan, masks: RegionMasks) -> Counted:
        clock = Clock()
        maps = self._runner.run(picture, plan, clock)
        counts = count_outputs(
            maps,
            self._manifest,
            plan,
            masks,
            threshold=self._threshold,
            capacity=self._capacity,
        )
        clock.lap("postprocess")
        return Counted(counts, clock.timings)


class LanePool:
    """Lends lanes to threads, and makes as many as are in use at once.

    Args:
        make: opens a lane.
    """

    def __init__(self, make: Callable[[], Lane]) -> None:
        self._make = make
        self._idle: list[Lane] = []
        self._lent = 0
        self._lock = threading.Lock()
        self._after: Callable[[], None] | None = None
        self._closed = False

    def check_open(self) -> None:
        """Raises BackendError when the pool is closed."""
        if self._closed:
            raise BackendError("the counter is closed: make a new one")

    @contextmanager
    def lend(self) -> Iterator[Lane]:
        """A lane for the length of a with block.

        Raises:
            BackendError: the pool is closed, or there is no memory left for a lane.
        """
        with self._lock:
            self.check_open()
            self._lent += 1
            lane = self._idle.pop() if self._idle else None
        try:
            lane = lane or self._make()
            try:
                yield lane
            except BaseException:
                # A bad frame is no fault of the lane, but a failed engine leaves it unusable.
                try:
                    lane.settle()
                except BackendError:
                    lane.close()
                    lane = None
                raise
        finally:
            self._take_back(lane)

    def close(self, after: Callable[[], None] | None = None) -> None:
        """Close the lanes that are not lent; the others are closed when they come back.

        Args:
            after: called once all of them are closed.
        """
        with self._lock:
            if self._closed:
                return
            self._closed, self._after = True, after
            idle, self._idle = self._idle, []
        for lane in idle:
            lane.close()
        self._end()

    def _take_back(self, lane: Lane | None) -> None:
        with self._lock:
            if lane is not None and not self._closed:
                self._idle.append(lane)
                lane = None
        if lane is not None:
            lane.close()
        with self._lock:
            self._lent -= 1
        self._end()

    def _end(self) -> None:
        with self._lock:
            done = self._closed and not self._lent
            after, self._after = (self._after, None) if done else (None, self._after)
        if after is not None:
            after()
