"""When a picture was taken, by the time in its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

APART = 300.0  # seconds from which on two pictures of a camera no longer show the same people
_TIME = re.compile(
    r"""(?<!\d)
    (?P<year>(?:19|20)\d\d) (?P<dash>[-_.]?) (?P<month>0[1-9]|1[0-2]) (?P=dash)
    (?P<day>0[1-9]|[12]\d|3[01]) \D{0,4}
    (?P<hour>[01]\d|2[0-3]) (?P<colon>[-_.:]?) (?P<minute>[0-5]\d) (?P=colon) (?P<second>[0-5]\d)
    (?:[-_.,]?(?P<fraction>\d{3}|\d{6}))?
    (?!\d)""",
    re.VERBOSE,
)
_FRAME = re.compile(r"\D*\d+")
_NUMBERS = re.compile(r"[\d\W_]+")


@dataclass(frozen=True)
class Moment:
    """The camera and the time that a name tells.

    Attributes:
        camera: what the name has before the time, but for a leading number.
        second: the time, on a scale of its own: names tell no time zone.
    """

    camera: str
    second: float

    def close_to(self, other: Moment) -> bool:
        """Return whether the two may show the same people."""
        return self.camera == other.camera and abs(self.second - other.second) < APART


def moment_of(stem: str) -> Moment | None:
    """Read the time in a name, such as ``door-20240501-120003-417`` of ``edgecount watch``.

    Returns:
        None where there is none, or where a number behind it counts the frames of a video: the
        time is that of its beginning then.
    """
    found = _TIME.search(stem)
    if not found or _FRAME.fullmatch(stem[found.end() :]):
        return None
    day, time = (
        "-".join(found.group(*parts))
        for parts in (("year", "month", "day"), ("hour", "minute", "second"))
    )
    try:
        moment = datetime.strptime(f"{day} {time}Z", "%Y-%m-%d %H-%M-%S%z")
    except ValueError:  # the 31st of a month of 30 days
        return None
    before = stem[: found.start()]
    number = _NUMBERS.match(before)
    camera = before[number.end() :] if number else before
    return Moment(camera, moment.timestamp() + float(f"0.{found['fraction'] or 0}"))
