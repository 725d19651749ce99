"""Threads for frames side by side, and the room that they share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from edgecount.runtime.pipeline.lanes import Lanes, Room


def lanes(number: int, work: Callable[[int], int]) -> Lanes[int, int]:
    return Lanes(number, work, lambda: None)


def test_items_are_worked_on_side_by_side() -> None:
    meeting = threading.Barrier(3, timeout=60)

    def work(item: int) -> int:
        meeting.wait()
        return 10 * item

    with lanes(3, work) as three:
        futures = [three.submit(item) for item in range(6)]
        assert [future.result(60) for future in futures] == [0, 10, 20, 30, 40, 50]


def test_leaving_ends_what_is_in_hand_and_drops_what_waits() -> None:
    begun, gate = threading.Event(), threading.Event()

    def work(item: int) -> int:
        begun.set()
        gate.wait(60)
        return item

    with lanes(1, work) as one:
        first, second = one.submit(1), one.submit(2)
        assert begun.wait(60)
        threading.Timer(0.05, gate.set).start()
    assert first.result(0) == 1
    assert second.cancelled()
    assert not any(thread.name == "edgecount-lane" for thread in threading.enumerate())


def test_an_error_is_the_item_s_own() -> None:
    def work(item: int) -> int:
        return 6 // item

    with lanes(1, work) as one:
        futures = [one.submit(item) for item in (1, 0, 2)]
        assert futures[0].result(60) == 6
        with pytest.raises(ZeroDivisionError):
            futures[1].result(60)
        assert futures[2].result(60) == 3


def test_a_lane_may_be_what_closes_the_lanes() -> None:
    """A generator that holds them may be collected in any thread."""
    mine: list[Lanes[int, int]] = []

    def work(item: int) -> int:
        mine[0].close()
        return item

    mine.append(lanes(1, work))
    assert mine[0].submit(1).result(60) == 1


def test_small_pieces_share_the_room_and_a_large_one_has_it_alone() -> None:
    room, changed = Room(100, 50), threading.Condition()
    inside: list[int] = []
    seen: list[list[int]] = []
    leave = {size: threading.Event() for size in (40, 50, 60)}

    def stay(size: int) -> None:
        with room.hold(size):
            with changed:
                inside.append(size)
                seen.append(sorted(inside))
                changed.notify_all()
            leave[size].wait(60)
            with changed:
                inside.remove(size)

    def begin(size: int) -> threading.Thread:
        thread = threading.Thread(target=stay, args=(size,))
        thread.start()
        return thread

    threads = [begin(40), begin(50)]
    with changed:
        assert changed.wait_for(lambda: len(inside) == 2, 60)
    threads.append(begin(60))
    leave[40].set()
    threads[0].join(60)
    assert [60] not in seen  # it waits for the other one as well
    leave[50].set()
    with changed:
        assert changed.wait_for(lambda: inside == [60], 60)
    leave[60].set()
    for thread in threads:
        thread.join(60)
    assert seen[-1] == [60]
    assert (room.has_for_two(50), room.has_for_two(51)) == (True, False)


def test_small_pieces_that_come_later_do_not_keep_a_large_one_out() -> None:
    room, order = Room(100, 50), list[int]()

    def enter(size: int) -> None:
        with room.hold(size):
            order.append(size)

    threads = [threading.Thread(target=enter, args=(size,)) for size in (60, 50)]
    with room.hold(40):
        for number, thread in enumerate(threads, 1):
            thread.start()
            end = time.monotonic() + 60
            while len(room._waiting) < number and time.monotonic() < end:
                time.sleep(0.001)
        assert order == []  # there is room for 50, and 60 came before
    for thread in threads:
        thread.join(60)
    assert order == [60, 50]


def test_an_interrupt_does_not_wait_for_what_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecount.runtime.pipeline.lanes._PATIENCE", 0.01)
    begun, gate = threading.Event(), threading.Event()

    def work(item: int) -> int:
        begun.set()
        gate.wait(60)
        return item

    def interrupted() -> None:
        with lanes(2, work) as two:
            futures.append(two.submit(1))
            assert begun.wait(60)
            raise KeyboardInterrupt

    futures: list[Future[int]] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not futures[0].done()
    gate.set()
    assert futures[0].result(60) == 1
