"""Scripts of fake cameras, laid out in time."""

from __future__ import annotations

from typing import Any

import pytest

from edgecount import EdgeCountError
from edgecount.fake import Cover, Drop, FakeCamera, Freeze, Hang, Resize, Show, Still
from edgecount.fake.script import Script

STEPS = [Show(5, people=20), Drop(3), Freeze(4), Resize((320, 240)), Still(2), Cover(1), Show(1)]


def test_what_is_done_when() -> None:
    script = Script(STEPS, (640, 480))
    assert script.seconds == 16
    found = [script.at(second) for second in (0, 4.999, 5, 8, 12, 14, 15, 15.999)]
    kinds = [type(scene.step) for scene in found if scene]
    assert kinds == [Show, Show, Drop, Freeze, Still, Cover, Show, Show]
    assert [scene.people for scene in found if scene] == [20, 20, 20, 20, 20, 0, 20, 20]
    sizes = [scene.size for scene in found if scene]
    assert sizes == [(640, 480)] * 4 + [(320, 240)] * 4
    assert script.at(16) is None


def test_a_loop_begins_anew() -> None:
    script = Script(STEPS, (640, 480), loop=True)
    scene = script.at(16 + 4)
    assert scene is not None
    assert (scene.people, scene.size) == (20, (640, 480))


def test_breaks_are_seen_however_short() -> None:
    script = Script([Show(1), Drop(0.01), Show(1)], (640, 480), loop=True)
    assert not script.breaks_between(0, 0.99)
    assert script.breaks_between(0.9, 1.1)
    assert not script.breaks_between(1.1, 2)
    assert script.breaks_between(1.5, 3.5)
    assert not Script([Show(1), Drop(1)], (640, 480)).breaks_between(1.5, 99)


def test_breaks_of_a_loop_that_runs_for_months() -> None:
    """Seconds are no whole numbers of binary fractions, and steps no whole numbers of them."""
    script = Script([Show(0.1), Drop(0.05), Show(0.1), Hang(0.05)], (640, 480), loop=True)
    at = 0.0
    for _ in range(5000):
        at += 0.073
        scene = script.at(at)
        assert scene is not None
        left = scene.end - at % script.seconds
        if not scene.step.breaks and left > 1e-6:
            assert not script.breaks_between(at, at + left - 1e-6)
            assert script.breaks_between(at, at + left + 0.11)
    assert script.breaks_between(1e7, 1e7 + 0.3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Show(0), "Show: expected seconds, more than 0, got 0"),
        (lambda: Drop(float("inf")), "Drop: expected seconds"),
        (lambda: Hang("3"), "Hang: expected seconds"),  # type: ignore[arg-type]
        (lambda: Show(1, people=-1), "people: expected 0 or more, got -1"),
        (lambda: Show(1, walk=5), "walk: expected two speeds"),  # type: ignore[arg-type]
        (lambda: Resize((10, 480)), "size: expected width and height from 64"),
        (lambda: FakeCamera([]), "script: expected steps such as"),
        (lambda: FakeCamera([Resize((64, 64))]), "script: expected steps such as"),
        (lambda: FakeCamera(["show"]), "script: expected steps such as"),  # type: ignore[list-item]
        (lambda: FakeCamera([Show(1)], fps=0), "fps: expected more than 0, got 0"),
        (lambda: FakeCamera([Show(1)], speed=-1), "speed: expected more than 0, got -1"),
        (lambda: FakeCamera([Show(1)], size=(0, 0)), "size: expected"),
        (lambda: FakeCamera([Show(1, people=9999)]), "people: expected at most 3072 in pictures"),
        (lambda: FakeCamera([Show(1, 2, (1, 1))], rendered=True), "walk: rendered people stand"),
    ],
)
def test_what_makes_no_sense(make: Any, message: str) -> None:
    with pytest.raises(EdgeCountError, match=message):
        make()
