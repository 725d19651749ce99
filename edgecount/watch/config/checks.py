"""Checks of settings, whose errors know the key that they are about."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from edgecount._documents import shown
from edgecount.errors import ConfigError
from edgecount.runtime.sources.urls import shown_url

Point: TypeAlias = tuple[float, float]
Points: TypeAlias = tuple[Point, ...]

CAMERA_ID = re.compile(r"[a-z0-9_-]{1,64}")
_MOST_POINTS = 200  # of a polygon
_SLACK = 1.0  # frames by which points may lie outside: a line may begin where nobody is seen
_SECONDS = 7 * 86_400.0  # longest setting in seconds


class SettingError(ConfigError):
    """A setting has a value that makes no sense.

    Args:
        keys: where it stands, from the outside in; empty: the whole config.
        expected: what is wrong, such as "expected 1 or more".
        got: the value, which is shown without the passwords of addresses; nothing if not given.
        where: file and line.
    """

    def __init__(
        self, keys: Sequence[str | int], expected: str, *got: Any, where: str = ""
    ) -> None:
        self.keys, self.expected, self.got, self.where = tuple(keys), expected, got, where
        start = f"{where}: " if where else ""
        super().__init__(f"{start}{key_text(self.keys) or 'config'}: {self.reason}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how the error is made again, in another process or as a copy."""
        again = functools.partial(type(self), where=self.where)
        return again, (self.keys, self.expected, *self.got)

    @property
    def reason(self) -> str:
        """Reason of the error, with the value that came."""
        return self.expected + "".join(f", got {shown_value(one)}" for one in self.got)

    def below(self, *keys: str | int) -> SettingError:
        """Return the error of the same setting as seen from farther outside."""
        return type(self)((*keys, *self.keys), self.expected, *self.got, where=self.where)

    def at(self, where: str) -> SettingError:
        """Return the error with a file and a line."""
        return type(self)(self.keys, self.expected, *self.got, where=where)


def key_text(keys: Sequence[str | int]) -> str:
    """Return keys as they are shown: ``cameras.door.excluded[0]``."""
    text = ""
    for key in keys:
        part = f"[{key}]" if isinstance(key, int) else shorten(key)
        text += part if isinstance(key, int) or not text else f".{part}"
    return text


def shorten(key: str) -> str:
    """Return a key on one line, whatever somebody wrote for one."""
    plain = key.isprintable() and key and len(key) <= 80 and not key.isspace()
    return key if plain else shown(key)


def shown_value(value: object) -> str:
    """Return a value for an error message: without secrets, and on one line.

    Lists and sections are not shown: there may be an address with its password in them.
    """
    if isinstance(value, str):
        return shown(shown_url(str(value)))
    if isinstance(value, Mapping):
        return "keys and values" if value else "an empty section"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return shown(value)


def check(holds: bool, key: str, expected: str, got: object) -> None:
    """Refuse a value unless a condition holds."""
    if not holds:
        raise SettingError((key,), f"expected {expected}", got)


def check_seconds(settings: object, *keys: str, least: float = 0.0) -> None:
    """Refuse settings that are no spans of time, of ``least`` seconds or more."""
    for key in keys:
        check_finite(key, getattr(settings, key), least, _SECONDS, "seconds")


def check_name(key: str, name: str) -> None:
    """Refuse a name that could not stand in a topic, an address or a table."""
    good = (
        0 < len(name) <= 64
        and name.isprintable()
        and name == name.strip()
        and not name.startswith(".")
        and not set(name) & set("/+#\\")
    )
    if not good:
        raise SettingError(
            (key, name),
            "expected a name of 1 to 64 characters, without / \\ + # and without a point at its "
            "start",
        )


def check_number_of(key: str, things: Mapping[str, object] | Sequence[object], most: int) -> None:
    """Refuse more than so many."""
    if len(things) > most:
        raise SettingError((key,), f"expected at most {most} of them, got {len(things)}")


def check_polygon(keys: Sequence[str | int], points: Points) -> None:
    """Refuse a polygon of too few points or without an area."""
    from edgecount.regions import Region

    if not 3 <= len(points) <= _MOST_POINTS:
        raise SettingError(keys, f"expected 3 to {_MOST_POINTS} points [x, y], got {len(points)}")
    check_shares(keys, points)
    try:
        Region("polygon", points, fractions=True)
    except ConfigError:
        raise SettingError(keys, "expected points that do not lie on one line") from None


def check_polygons(key: str, polygons: Sequence[Points]) -> None:
    """Refuse a list with a polygon that is none."""
    check_number_of(key, polygons, 64)
    for index, points in enumerate(polygons):
        check_polygon((key, index), points)


def check_shares(keys: Sequence[str | int], points: Points) -> None:
    """Refuse points that are not in, or a little beside, the frame of 0 to 1."""
    for index, (x, y) in enumerate(points):
        if not all(-_SLACK <= share <= 1 + _SLACK for share in (x, y)):
            raise SettingError(
                (*keys, index),
                "expected x and y as shares of the frame's width and height, 0 to 1, got "
                f"[{x:g}, {y:g}]",
            )


def check_path(key: str, path: Path | None) -> None:
    """Refuse a path that no file can have."""
    if path is None:
        return
    text = str(path)
    good = text not in ("", ".", "..", "/") and "\0" not in text and len(text) < 4096
    check(good, key, "the path of a file or folder", text)


def check_finite(key: str, value: float | None, least: float, most: float, what: str) -> None:
    """Refuse a number out of its range; None passes."""
    if value is not None:
        good = math.isfinite(value) and least <= value <= most
        check(good, key, f"{what}, {least:.15g} to {most:.15g}", value)
