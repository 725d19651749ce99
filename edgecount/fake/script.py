"""Scripts of fake cameras: what one shows, and what becomes of its connection."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, TypeAlias

from edgecount._numbers import check_seconds, is_finite, is_number
from edgecount.errors import ConfigError

Size: TypeAlias = tuple[int, int]

_LEAST_SIDE, _MOST_SIDE = 64, 8192  # pixels


@dataclass(frozen=True)
class Step:
    """A step of a script that takes some time.

    Attributes:
        seconds: how long it takes.
        gives_pictures: whether pictures come meanwhile.
        breaks: whether it breaks the connection.
    """

    seconds: float

    gives_pictures: ClassVar[bool] = True
    breaks: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_seconds(type(self).__name__, self.seconds, above_zero=True)


@dataclass(frozen=True)
class Show(Step):
    """People in view, in pictures with a little noise as of a real sensor.

    Attributes:
        people: how many; None: as many as before, and 0 at first.
        walk: pixels per second to the right and downwards that all of them go; who leaves the
            picture at one side enters it at the other, so that their number stays.
    """

    people: int | None = None
    walk: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_people(self.people)
        walk: object = self.walk
        fine = isinstance(walk, (tuple, list)) and len(walk) == 2 and is_finite(*walk)
        if not fine:
            raise ConfigError(f"walk: expected two speeds in pixels per second, got {walk!r}")


@dataclass(frozen=True)
class Still(Step):
    """The very same picture again and again, as of a camera whose encoder hangs.

    Attributes:
        people: how many are in it; None: as many as before.
    """

    people: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_people(self.people)


@dataclass(frozen=True)
class Cover(Step):
    """Dark pictures, as of a covered lens; nobody can be seen in them."""


@dataclass(frozen=True)
class Freeze(Step):
    """No pictures, while the connection stays open."""

    gives_pictures: ClassVar[bool] = False


@dataclass(frozen=True)
class Drop(Step):
    """The connection breaks, and the camera refuses another one meanwhile."""

    gives_pictures: ClassVar[bool] = False
    breaks: ClassVar[bool] = True


@dataclass(frozen=True)
class Hang(Step):
    """The connection breaks, and the camera takes another one meanwhile without an answer."""

    gives_pictures: ClassVar[bool] = False
    breaks: ClassVar[bool] = True


@dataclass(frozen=True)
class Resize:
    """Pictures of another size from here on, in the same connection.

    Attributes:
        size: width and height in pixels.
    """

    size: Size

    def __post_init__(self) -> None:
        check_size(self.size)


@dataclass(frozen=True)
class Scene:
    """Behaviour of a fake camera for a while.

    Attributes:
        begin: first second of it, by the script.
        step: the step that it comes from.
        people: how many can be seen.
        size: width and height of the pictures.
    """

    begin: float
    step: Step
    people: int
    size: Size

    @property
    def end(self) -> float:
        """Second that it ends before."""
        return self.begin + self.step.seconds


class Script:
    """Steps laid out in time.

    Args:
        steps: what is done one after the other.
        size: width and height of the first pictures.
        loop: whether it begins anew at its end, with that size and without people.

    Attributes:
        scenes: what is done once through, in order.
        seconds: how long that takes.

    Raises:
        ConfigError: a step that is none, or none that takes time.
    """

    def __init__(self, steps: Sequence[Step | Resize], size: Size, *, loop: bool = False) -> None:
        check_size(size)
        if not isinstance(steps, Sequence):
            raise ConfigError(f"script: expected steps in a list, got {steps!r}")
        self.scenes = list(_lay_out(steps, size))
        if not self.scenes:
            raise ConfigError("script: expected steps such as [Show(5, people=20), Drop(3)]")
        self.seconds = self.scenes[-1].end
        self._loop = loop
        self._begins = [scene.begin for scene in self.scenes]
        self._breaks = [scene.begin for scene in self.scenes if scene.step.breaks]

    def at(self, second: float) -> Scene | None:
        """Return what is done in a second from the start; None after the end."""
        if second >= self.seconds and not self._loop:
            return None
        within = second % self.seconds
        return self.scenes[bisect.bisect_right(self._begins, within) - 1]

    def breaks_between(self, first: float, last: float) -> bool:
        """Return whether the connection breaks after one second from the start, up to another."""
        for begin in self._breaks:
            # The first time round that is not before `first`; without a loop there is one round.
            rounds = math.ceil((first - begin) / self.seconds) if self._loop else 0
            if first <= begin + rounds * self.seconds <= last:
                return True
        return False


def check_size(size: object) -> None:
    """Refuse what is no size of a picture.

    Raises:
        ConfigError: it is not two whole numbers from 64 to 8192.
    """
    fine = (
        isinstance(size, tuple)
        and len(size) == 2
        and all(is_number(n, Integral) and _LEAST_SIDE <= n <= _MOST_SIDE for n in size)
    )
    if not fine:
        raise ConfigError(
            f"size: expected width and height from {_LEAST_SIDE} to {_MOST_SIDE} pixels, such as "
            f"(640, 480), got {size!r}"
        )


def _lay_out(steps: Sequence[Step | Resize], size: Size) -> Iterator[Scene]:
    begin, people = 0.0, 0
    for step in steps:
        if isinstance(step, Resize):
            size = step.size
        elif isinstance(step, Step):
            given = getattr(step, "people", None)
            people = people if given is None else given
            yield Scene(begin, step, 0 if isinstance(step, Cover) else people, size)
            begin += step.seconds
        else:
            raise ConfigError(f"script: expected steps such as Show(5, people=20), got {step!r}")


def _check_people(people: Any) -> None:
    if people is not None and not (is_number(people, Integral) and people >= 0):
        raise ConfigError(f"people: expected 0 or more, got {people!r}")
