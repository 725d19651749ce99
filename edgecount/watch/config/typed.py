"""Values of a document turned into the settings of dataclasses."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from edgecount.errors import ConfigError
from edgecount.watch.config.checks import Point, Points, SettingError, shorten
from edgecount.watch.config.secrets import with_environment

T = TypeVar("T")
Keys = tuple[str | int, ...]

_NAMES: dict[Any, str] = {
    float: "a number",
    int: "a whole number",
    str: "a text",
    bool: "true or false",
    Path: "a path",
    type(None): "null",
    Point: "a point [x, y]",
    Points: "a list of points [x, y]",
    tuple[Points, ...]: "a list of polygons, each a list of points [x, y]",
    tuple[str, ...]: "a list of texts",
    tuple[int, ...]: "a list of whole numbers",
}


class Settings:
    """A reader of settings.

    Args:
        environment: where ``${NAME}`` is taken from.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def section(self, kind: type[T], values: Any, keys: Keys = (), **more: Any) -> T:
        """Return a dataclass with values for its fields.

        Args:
            kind: the dataclass.
            values: plain values by key.
            keys: where they stand.
            more: fields that are no settings of the document.

        Raises:
            SettingError: a key is unknown or missing, or a value makes no sense.
        """
        if not isinstance(values, Mapping):
            raise SettingError(keys, "expected keys and values", values)
        known = fields_of(kind)
        for key in values:
            if key not in known:
                raise SettingError((*keys, key), _unknown(key, known))
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):  # type: ignore[arg-type]
            if field.name not in (*values, *more) and _is_required(field):
                raise SettingError((*keys, field.name), "it is missing")
        settings = {
            key: self.value(hints[key], value, (*keys, key)) for key, value in values.items()
        }
        try:
            return kind(**settings, **more)
        except SettingError as error:
            raise error.below(*keys) from None

    def value(self, kind: Any, value: Any, keys: Keys) -> Any:
        """Return a value as the type of its annotation."""
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin in (Union, types.UnionType):
            return self._either(kind, value, keys)
        if origin is tuple:
            return self._list(kind, value, keys)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return self._mapping(arguments[1], value, keys)
        if dataclasses.is_dataclass(kind):
            return self.section(kind, {} if value is None else value, keys)  # type: ignore[arg-type]
        return self._scalar(kind, value, keys)

    def _scalar(self, kind: Any, value: Any, keys: Keys) -> Any:
        if typing.get_origin(kind) is Literal and isinstance(value, str):
            if value in typing.get_args(kind):
                return value
        elif isinstance(value, str) and kind in (str, Path):
            return kind(self._text(value, keys))
        elif kind is float and type(value) in (int, float):
            return _finite(value, keys)
        elif type(value) is kind:
            return value
        raise SettingError(keys, f"expected {type_name(kind)}", value)

    def _text(self, value: str, keys: Keys) -> str:
        try:
            return with_environment(value, self._environment)
        except ConfigError as error:
            raise SettingError(keys, str(error)) from None

    def _either(self, kind: Any, value: Any, keys: Keys) -> Any:
        kinds = [one for one in typing.get_args(kind) if one is not type(None)]
        may_be_null = len(kinds) < len(typing.get_args(kind))
        if len(kinds) == 1 and dataclasses.is_dataclass(kinds[0]):
            if value is None:
                raise SettingError(
                    keys,
                    "expected keys and values, got nothing: write {} for the defaults, or leave "
                    "the key out",
                )
            return self.section(kinds[0], value, keys)  # type: ignore[arg-type]
        if value is None and may_be_null:
            return None
        for one in kinds:
            if _is_of(one, value):
                return self.value(one, value, keys)
        raise SettingError(keys, f"expected {type_name(kind)}", value)

    def _mapping(self, kind: Any, value: Any, keys: Keys) -> dict[str, Any]:
        if value is None:  # all that was in it is a comment by now
            return {}
        if not isinstance(value, Mapping):
            raise SettingError(keys, "expected names, each with keys and values", value)
        return {name: self.value(kind, one, (*keys, name)) for name, one in value.items()}

    def _list(self, kind: Any, value: Any, keys: Keys) -> tuple[Any, ...]:
        arguments = typing.get_args(kind)
        many = arguments[-1] is Ellipsis
        if not isinstance(value, list) or not (many or len(value) == len(arguments)):
            raise SettingError(keys, f"expected {type_name(kind)}", value)
        return tuple(
            self.value(arguments[0], one, (*keys, index)) for index, one in enumerate(value)
        )


def fields_of(kind: Any) -> list[str]:
    """Return the keys that a document may set of a dataclass."""
    return [field.name for field in dataclasses.fields(kind) if field.compare]


def type_name(kind: Any) -> str:
    """Return what a value of a type is called."""
    if kind in _NAMES:
        return _NAMES[kind]
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        names = [str(one) for one in arguments]
    else:
        names = [type_name(one) for one in arguments]
    return f"{', '.join(names[:-1])} or {names[-1]}" if names else "keys and values"


def _finite(value: float, keys: Keys) -> float:
    with suppress(OverflowError):  # a whole number has no largest
        if math.isfinite(value):
            return float(value)
    raise SettingError(keys, "expected a finite number", value)


def _is_of(kind: Any, value: object) -> bool:
    if kind is float:
        return type(value) in (int, float)
    if typing.get_origin(kind) is tuple:
        return isinstance(value, list)
    return isinstance(value, str) if kind is Path else type(value) is kind


def _is_required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _unknown(key: str, known: list[str]) -> str:
    if not known:
        return "unknown key: nothing can be set here"
    close = difflib.get_close_matches(key.lower(), known, n=1)
    if close:
        return f"unknown key: did you mean {shorten(close[0])}?"
    return f"unknown key: expected one of {', '.join(known)}"
