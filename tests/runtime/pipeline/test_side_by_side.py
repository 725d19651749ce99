"""Frames side by side: whatever comes of one is given, and calls are made in turn."""

from __future__ import annotations

import threading

import pytest

from edgecount.runtime.pipeline.job import LateJob
from edgecount.runtime.pipeline.lanes import Lanes
from edgecount.runtime.pipeline.side_by_side import SideBySide
from edgecount.runtime.sources.prefetch import ReadAhead


@pytest.mark.parametrize("number", [1, 3])
def test_a_frame_of_which_nothing_comes_keeps_its_place(number: int) -> None:
    def nothing(_: LateJob) -> None:
        threads.add(threading.current_thread().name)

    def open_lanes(on_done):
        return Lanes(number, nothing, on_done) if number > 1 else None

    threads: set[str] = set()
    jobs = [LateJob(lambda _: pytest.fail("it is not read here")) for _ in range(20)]
    called: list[int] = []
    with ReadAhead([job] for job in jobs) as feed:
        frames = SideBySide(feed, nothing, open_lanes, number)
        given = []
        for one in frames.run():
            given.append(one)
            if len(given) == 5:
                frames.defer(lambda: called.append(len(given)))
    assert given == [None] * 20
    assert called
    assert 5 <= called[0] <= 5 + number + 2
