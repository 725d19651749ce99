"""How often the readings of a camera are taken, and when."""

import itertools

import pytest

from edgecount.watch.sinks.pace import Pace

EVERY, RATE = 5, 10


def taken(pace, make_reading, camera="door", seconds=60):
    """Return the times at which readings of a camera are taken, of so many a second."""
    times = []
    for number in range(seconds * RATE):
        reading = make_reading(camera=camera, at=number / RATE)
        if pace.is_due(reading):
            pace.note(reading)
            times.append(number / RATE)
    return times


def test_periods_are_those_of_the_clock(make_reading):
    assert taken(Pace(EVERY), make_reading) == list(range(0, 60, EVERY))


def test_services_and_cameras_go_at_moments_of_their_own(make_reading):
    begins = set()
    for service in ("north", "south"):
        for camera in ("door", "hall", "back"):
            times = taken(Pace(EVERY, service), make_reading, camera)[1:]
            gaps = {round(b - a, 3) for a, b in itertools.pairwise(times)}
            assert gaps == {EVERY}
            assert times[0] <= EVERY
            begins.add(times[0])
    assert len(begins) == 6
    assert max(begins) - min(begins) > EVERY / 4


@pytest.mark.parametrize("service", [None, "north"])
def test_every_reading(make_reading, service):
    assert len(taken(Pace(0, service), make_reading, seconds=2)) == 2 * RATE
