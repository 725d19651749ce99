"""Plain values of YAML and JSON turned into the typed arguments of a class or dataclass."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, TypeVar, Union

from edgecount._documents import shown
from edgecount.errors import ConfigError, EdgeCountError

T = TypeVar("T")

_NAMES = {
    float: "a number",
    int: "a whole number",
    str: "a text",
    bool: "true or false",
    dict: "keys and values",
    type(None): "null",
}


@dataclass(frozen=True)
class Reader:
    """A reader of one kind of document, which checks each value against its annotation.

    Annotations may be plain types, ``Literal``, tuples (lists in a document), optional types,
    ``dict`` (taken as it is) and dataclasses of these.

    Attributes:
        error: class of the errors that it raises.
        document: name of the whole document in error messages.
        label: text before the name of a key in error messages.
        optional: keys that may be left out; None: those that have a default.
        unknown: possible reason of an unknown key, put at the end of the message.
    """

    error: type[EdgeCountError] = ConfigError
    document: str = "config"
    label: str = ""
    optional: Collection[str] | None = None
    unknown: str = ""

    def build(self, kind: Callable[..., T], values: Any, path: str = "", *args: Any) -> T:
        """Call ``kind`` with ``values`` as its keywords.

        Args:
            kind: a dataclass, or a class whose options are annotated.
            values: keys and values, as YAML or JSON gives them.
            path: place of the values in the document, such as ``objective``.
            args: positional arguments of ``kind``, which are not options.

        Raises:
            EdgeCountError: of the class ``error``: a key is unknown or missing, or a value has
                another type; the message names the key.
        """
        if not isinstance(values, Mapping):
            raise self._failure(path, "keys and values", values)
        options = _options(kind, skip=len(args))
        inside = f"{path}." if path else ""
        for key in values:
            if key not in options:
                name = key if isinstance(key, str) and len(key) < 80 else shown(key)
                raise self.error(
                    f"{self.label}{inside}{name}: unknown key; {_expected(str(key), options)}"
                    f"{self.unknown}"
                )
        for name, option in options.items():
            if name not in values and not self._may_lack(option):
                raise self.error(f"{self.label}{inside}{name} is missing")
        keywords = {
            key: self._convert(options[key].annotation, value, f"{inside}{key}")
            for key, value in values.items()
        }
        return kind(*args, **keywords)

    def _may_lack(self, option: inspect.Parameter) -> bool:
        if self.optional is not None:
            return option.name in self.optional
        return option.default is not inspect.Parameter.empty

    def _failure(self, path: str, expected: str, value: object) -> EdgeCountError:
        name = f"{self.label}{path}" if path else self.document
        hint = _hint(expected, value)
        return self.error(f"{name}: expected {expected}, got {shown(value)}{hint}")

    def _convert(self, annotation: Any, value: Any, path: str) -> Any:
        """Return ``value`` as the type of ``annotation``."""
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin in (Union, types.UnionType):
            return self._convert_union(arguments, value, path)
        if origin is tuple and isinstance(value, list | tuple):
            return self._convert_list(arguments, value, path)
        if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
            return value if isinstance(value, annotation) else self.build(annotation, value, path)
        if annotation is float and type(value) in (int, float):
            return self._convert_number(value, path)
        literal = origin is Literal and value in arguments
        if literal or type(value) is (origin or annotation):
            return value
        raise self._failure(path, _type_name(annotation), value)

    def _convert_number(self, value: float, path: str) -> float:
        with suppress(OverflowError):  # JSON's whole numbers have no largest
            if isfinite(value):
                return float(value)
        raise self._failure(path, "a finite number", value)

    def _convert_union(self, arguments: tuple[Any, ...], value: Any, path: str) -> Any:
        if value is None and type(None) in arguments:
            return None
        kinds = [argument for argument in arguments if argument is not type(None)]
        if len(kinds) == 1 and dataclasses.is_dataclass(kinds[0]):
            return self._convert(kinds[0], value, path)  # whose errors name the key inside
        for kind in kinds:
            with suppress(self.error):
                return self._convert(kind, value, path)
        raise self._failure(path, _either([_type_name(a) for a in arguments]), value)

    def _convert_list(
        self, arguments: tuple[Any, ...], value: Sequence[Any], path: str
    ) -> tuple[Any, ...]:
        if arguments[-1] is Ellipsis:
            single = len(value) == 1
            return tuple(
                self._convert(arguments[0], item, path if single else f"{path}[{index}]")
                for index, item in enumerate(value)
            )
        if len(value) != len(arguments):
            raise self._failure(path, _type_name(tuple.__class_getitem__(arguments)), value)
        return tuple(self._convert(a, v, path) for a, v in zip(arguments, value, strict=True))


def _options(kind: Callable[..., Any], skip: int) -> dict[str, inspect.Parameter]:
    """Return the parameters that a document may set, with their annotations resolved."""
    target = kind.__init__ if inspect.isclass(kind) else kind
    hints = typing.get_type_hints(target)
    parameters = list(inspect.signature(kind).parameters.values())[skip:]
    return {p.name: p.replace(annotation=hints.get(p.name, p.annotation)) for p in parameters}


def _expected(key: str, options: Mapping[str, Any]) -> str:
    import difflib

    if not options:
        return "it takes no options"
    close = difflib.get_close_matches(key.lower(), options, n=1)
    start = f"did you mean {close[0]}? " if close else ""
    return f"{start}expected one of {', '.join(options)}"


def _type_name(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return _either([str(value) for value in arguments])
    if origin is tuple:
        number = "" if arguments[-1] is Ellipsis else f" {len(arguments)}"
        items = {_type_name(a) for a in arguments if a is not Ellipsis}
        article, _, noun = items.pop().partition(" ")
        of = number + (f" {noun}s" if article == "a" and not items else "")
        return f"a list of{of}" if of else "a list"
    return _NAMES.get(origin or annotation, str(getattr(annotation, "__name__", annotation)))


def _hint(expected: str, value: object) -> str:
    """Return a hint for a number that came as text."""
    if isinstance(value, str) and "number" in expected:
        with suppress(ValueError):
            if isfinite(number := float(value)):
                return f"; write a number without quotes: {number:g}"
    return ""


def _either(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"


build = Reader().build
