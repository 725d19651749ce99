"""Typed reading of a manifest's JSON, with errors that name the field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NoReturn, overload

from edgecount.errors import ModelError

__all__ = ["Reader", "fail"]

_REQUIRED: Any = object()


def fail(field: str, expected: str, got: object) -> NoReturn:
    """Raise the ModelError of one field of a manifest."""
    raise ModelError(f"manifest field {field}: expected {expected}, got {got!r}")


class Reader:
    """Takes the fields of one JSON object, one by one.

    Args:
        data: the JSON object.
        path: where it sits in the manifest, such as "input".

    Raises:
        ModelError: in each method, when the field is missing or of another kind.
    """

    def __init__(self, data: object, path: str) -> None:
        if not isinstance(data, Mapping):
            fail(path or "(whole)", "an object", data)
        self._data: Mapping[str, Any] = data
        self._path = path
        self._taken: set[str] = set()

    def text(self, key: str, default: str = _REQUIRED) -> str:
        value = self._take(key, default)
        if not isinstance(value, str):
            fail(self._name(key), "a text", value)
        return value

    def number(self, key: str, default: float = _REQUIRED) -> float:
        return self._as_number(key, self._take(key, default))

    def integer(self, key: str) -> int:
        value = self._take(key, _REQUIRED)
        if isinstance(value, bool) or not isinstance(value, int):
            fail(self._name(key), "a whole number", value)
        return value

    def triple(self, key: str) -> tuple[float, float, float]:
        value = self._take(key, _REQUIRED)
        if not isinstance(value, (list, tuple)) or len(value) != 3:
            fail(self._name(key), "a list of three numbers", value)
        first, second, third = (self._as_number(key, item) for item in value)
        return first, second, third

    def size(self, key: str) -> tuple[int, int] | None:
        value = self._take(key, None)
        if value is None:
            return None
        if (
            not isinstance(value, (list, tuple))
            or len(value) != 2
            or any(isinstance(side, bool) or not isinstance(side, int) for side in value)
        ):
            fail(self._name(key), "[height, width] in pixels, or null", value)
        return value[0], value[1]

    def mapping(self, key: str) -> dict[str, Any]:
        value = self._take(key, {})
        if not isinstance(value, Mapping):
            fail(self._name(key), "an object", value)
        return dict(value)

    @overload
    def child(self, key: str) -> Reader: ...
    @overload
    def child(self, key: str, *, optional: Literal[True]) -> Reader | None: ...
    def child(self, key: str, *, optional: bool = False) -> Reader | None:
        value = self._take(key, None if optional else _REQUIRED)
        return None if optional and value is None else Reader(value, self._name(key))

    def children(self, key: str) -> Iterator[Reader]:
        value = self._take(key, _REQUIRED)
        if not isinstance(value, (list, tuple)):
            fail(self._name(key), "a list", value)
        return (Reader(item, f"{self._name(key)}[{i}]") for i, item in enumerate(value))

    def done(self) -> None:
        """Refuse fields nobody took: one that is not understood could change the result."""
        unknown = sorted(set(self._data) - self._taken)
        if unknown:
            raise ModelError(
                f"manifest field {self._name(unknown[0])} is unknown to this edgecount: "
                "a typing error, or the model was made by a newer edgecount"
            )

    def _name(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def _take(self, key: str, default: Any) -> Any:
        self._taken.add(key)
        value = self._data.get(key, default)
        if value is _REQUIRED:
            raise ModelError(f"manifest field {self._name(key)} is missing")
        return value

    def _as_number(self, key: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            fail(self._name(key), "a number", value)
        if not math.isfinite(value):
            fail(self._name(key), "a finite number", value)
        return float(value)
