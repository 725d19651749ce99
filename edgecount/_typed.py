"""Plain values from a config turned into the typed arguments of a class or dataclass."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, Union

from edgecount.errors import ConfigError

T = TypeVar("T")


def build(kind: Callable[..., T], values: Any, prefix: str = "", *args: Any) -> T:
    """Call ``kind`` with ``values`` as its keywords, each checked against its annotation.

    Args:
        kind: a dataclass or a class whose options are annotated with plain types, ``Literal``,
            tuples, optional types or dataclasses.
        values: keys and values, as YAML gives them.
        prefix: what error messages put before a key, such as ``objective.``.
        args: positional arguments of ``kind``, which are not options.

    Raises:
        ConfigError: a key is unknown or missing, or a value has another type.
    """
    return kind(*args, **convert(kind, values, prefix, skip=len(args)))


def convert(
    kind: Callable[..., Any], values: Any, prefix: str = "", skip: int = 0
) -> dict[str, Any]:
    """The checked keywords of :func:`build`, without the call."""
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{prefix.rstrip('.') or 'config'}: expected keys and values, got {values!r}"
        )
    options = _options(kind, skip)
    for key in values:
        if key not in options:
            raise ConfigError(f"{prefix}{key}: unknown key; {_expected(str(key), options)}")
    for name, option in options.items():
        if name not in values and option.default is inspect.Parameter.empty:
            raise ConfigError(f"{prefix}{name}: missing")
    return {
        key: convert_value(options[key].annotation, value, f"{prefix}{key}")
        for key, value in values.items()
    }


def convert_value(annotation: Any, value: Any, name: str) -> Any:
    """``value`` as ``annotation`` asks for it.

    Raises:
        ConfigError: it is of another type.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        return _convert_union(arguments, value, name)
    if origin is Literal:
        if value in arguments:
            return value
        raise ConfigError(f"{name}: expected {_either(arguments)}, got {value!r}")
    if origin is tuple:
        return _convert_tuple(arguments, value, name)
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        same = isinstance(value, annotation)
        return value if same else build(annotation, value, f"{name}.")
    return _convert_plain(annotation, value, name)


def _convert_plain(annotation: Any, value: Any, name: str) -> Any:
    if (origin := typing.get_origin(annotation)) is dict or annotation is dict:
        if isinstance(value, Mapping):
            return dict(value)
    elif annotation is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif origin is None and type(value) is annotation:
        return value
    raise ConfigError(f"{name}: expected {_type_name(annotation)}, got {value!r}{_hint(value)}")


def _options(kind: Callable[..., Any], skip: int) -> dict[str, inspect.Parameter]:
    """The parameters that a config may set, with their annotations resolved."""
    target = kind.__init__ if inspect.isclass(kind) else kind
    hints = typing.get_type_hints(target)
    parameters = list(inspect.signature(kind).parameters.values())[skip:]
    return {p.name: p.replace(annotation=hints.get(p.name, p.annotation)) for p in parameters}


def _convert_union(arguments: tuple[Any, ...], value: Any, name: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    errors = []
    for argument in arguments:
        if argument is type(None):
            continue
        try:
            return convert_value(argument, value, name)
        except ConfigError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    expected = _either([_type_name(a) for a in arguments], quote=False)
    raise ConfigError(f"{name}: expected {expected}, got {value!r}")


def _convert_tuple(arguments: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{name}: expected a list, got {value!r}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        single = len(value) == 1
        return tuple(
            convert_value(arguments[0], item, name if single else f"{name}[{index}]")
            for index, item in enumerate(value)
        )
    if len(value) != len(arguments):
        raise ConfigError(f"{name}: expected a list of {len(arguments)}, got {value!r}")
    return tuple(convert_value(a, v, name) for a, v in zip(arguments, value, strict=True))


def _expected(key: str, options: Mapping[str, Any]) -> str:
    if not options:
        return "it takes no options"
    close = difflib.get_close_matches(key, options, n=1)
    start = f"did you mean {close[0]}? " if close else ""
    return f"{start}expected one of {', '.join(options)}"


def _type_name(annotation: Any) -> str:
    names = {
        float: "a number",
        int: "a whole number",
        str: "a text",
        bool: "true or false",
        dict: "keys and values",
        type(None): "null",
    }
    if annotation in names:
        return names[annotation]
    if typing.get_origin(annotation) is tuple:
        return f"a list of {len(typing.get_args(annotation))}"
    return str(getattr(annotation, "__name__", annotation))


def _hint(value: Any) -> str:
    """YAML 1.1 reads 1e-4 as a text: it wants a point."""
    if isinstance(value, str) and "e" in value.lower():
        try:
            number = float(value)
        except ValueError:
            return ""
        return f"; YAML wants a point in it: {number:.1e}"
    return ""


def _either(values: Any, *, quote: bool = True) -> str:
    texts = [str(v) if not quote or not isinstance(v, str) else v for v in values]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"
