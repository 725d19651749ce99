"""Packets that wait for the decoder: what is skipped, what holds the camera up, ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest

from edgecount.runtime.sources.live.feed import Pace, PacketFeed
from fake_clips import PATIENCE, wait_for


@dataclass
class Packet:
    number: int
    is_keyframe: bool = False
    dts: int | None = None
    pts: int | None = None
    time_base: Fraction = Fraction(1, 10)


def packets(*keys: int, number: int = 12) -> list[Packet]:
    return [Packet(index, index in keys) for index in range(number)]


def feed(items: Any, *, age: float = 0.0, newest: bool = True, intra_only: bool = False) -> Any:
    """Return a feed whose packets came some seconds ago."""
    return PacketFeed(
        items, newest=newest, intra_only=intra_only, due=lambda _, now: now - age, name="feed"
    )


def read(feed: PacketFeed) -> list[tuple[int, bool]]:
    feed.join()
    return [(item.packet.number, item.is_after_gap) for item in feed]


def test_what_is_in_time_is_given_whole() -> None:
    fed = feed(packets(0))
    assert read(fed) == [(index, False) for index in range(12)]
    assert (fed.skipped, fed.error) == (0, None)


def test_what_is_late_is_skipped_up_to_the_latest_key_frame() -> None:
    fed = feed(packets(0, 5, 9), age=1.0)
    numbers = read(fed)
    assert numbers[0] == (9, True)
    assert [number for number, _ in numbers] == [9, 10, 11]
    assert fed.skipped == 9


def test_without_a_key_frame_it_is_decoded_on_for_a_while() -> None:
    assert [number for number, _ in read(feed(packets(), age=1.0))] == list(range(12))


def test_what_is_far_too_late_is_skipped_until_a_key_frame_comes() -> None:
    gate = threading.Event()

    def later() -> Iterator[Packet]:
        yield from packets()
        gate.wait(PATIENCE)
        yield from (Packet(12), Packet(13, is_keyframe=True), Packet(14))

    def due(packet: Packet, now: float) -> float:
        return now - 3 if packet.number < 13 else now

    fed = PacketFeed(later(), newest=True, intra_only=False, due=due)
    wait_for(lambda: len(fed._waiting) == 12)
    taken: list[Any] = []
    thread = threading.Thread(target=lambda: taken.extend(fed))
    thread.start()
    wait_for(lambda: fed.skipped == 12)
    gate.set()
    thread.join(PATIENCE)
    assert [(item.packet.number, item.is_after_gap) for item in taken] == [(13, True), (14, False)]
    assert fed.skipped == 13


def test_of_pictures_by_themselves_the_last_one_is_given() -> None:
    fed = feed(packets(*range(12)), intra_only=True)
    assert read(fed) == [(11, False)]
    assert fed.skipped == 11


def test_what_lay_ready_came_when_its_times_say() -> None:
    """Ten packets lie ready, 0.1 s apart by their times; the next one has to be waited for."""
    gate = threading.Event()

    def items() -> Iterator[Packet]:
        yield from (Packet(index, index == 0, pts=index) for index in range(10))
        gate.wait(PATIENCE)

    fed = feed(items(), newest=False)
    fed.settle()
    gate.set()
    came = [item.came for item in fed]
    assert [came[-1] - time for time in came] == pytest.approx([0.9 - i / 10 for i in range(10)])


def test_where_all_are_wanted_the_camera_waits() -> None:
    drawn: list[int] = []

    def items() -> Iterator[Packet]:
        for index in range(100):
            drawn.append(index)
            yield Packet(index)

    fed = feed(items(), age=9.0, newest=False)
    wait_for(lambda: len(drawn) == 33)
    time.sleep(0.05)
    assert len(drawn) == 33
    assert [item.packet.number for item in fed] == list(range(100))
    assert fed.skipped == 0


def test_it_stops_when_nobody_takes_anything() -> None:
    fed = feed(iter(lambda: Packet(0), None), newest=False)
    wait_for(lambda: fed.is_waited_for)
    fed.stop()
    fed.join()
    assert list(fed) == []


def test_the_reason_of_an_end_is_kept() -> None:
    def broken() -> Iterator[Packet]:
        yield Packet(0)
        raise OSError("unplugged")

    fed = feed(broken())
    assert read(fed) == [(0, False)]
    assert str(fed.error) == "unplugged"


def test_bursts_are_given_at_their_pace() -> None:
    pace = Pace()
    stamps = [0, 1, 2, 3, None, 100, 101]
    arrivals = [50.0, 50.0, 50.0, 50.35, 50.4, 60.0, 60.0]
    due = [pace(Packet(0, dts=dts), now) for dts, now in zip(stamps, arrivals, strict=True)]
    assert due == pytest.approx([50.0, 50.1, 50.2, 50.35, 50.4, 60.05, 60.15])
    assert pace(Packet(0, dts=9000), 60.2) == 60.2  # a jump


def test_a_packet_is_given_when_it_is_due() -> None:
    begin = time.monotonic()
    fed = PacketFeed(
        packets(0, number=1), newest=True, intra_only=False, due=lambda _, now: now + 0.2
    )
    assert len(list(fed)) == 1
    assert time.monotonic() - begin >= 0.2
