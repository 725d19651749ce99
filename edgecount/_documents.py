"""JSON and YAML that anybody may have written: read within bounds, and shown in few words."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, ClassVar, NoReturn

from edgecount.errors import EdgeCountError

# A config or a manifest has a few hundred values, four or five levels deep. The first bound is for
# YAML's anchors, by which a line can stand for a billion values.
MOST_VALUES = 100_000
DEEPEST = 50
# Characters of a value in an error message.
LONGEST = 200

_REPR = reprlib.Repr()
_REPR.maxlevel = 3
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = _REPR.maxset = 4
_REPR.maxstring = _REPR.maxother = 120
_REPR.maxlong = 40


def shown(value: object) -> str:
    """Return a value as an error message shows it: as `repr` does, and short whatever it holds."""
    try:
        text = _REPR.repr(value)
    except ValueError:  # Python writes out no number of more than 4300 digits
        return "a whole number of thousands of digits"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def load_json(text: str, what: str, error: type[EdgeCountError]) -> Any:
    """Return the values of a JSON text.

    Args:
        text: the text.
        what: start of the error message, such as "the manifest is not JSON".
        error: class of the error.

    Raises:
        EdgeCountError: of the class `error`: the text is no JSON, nests too deep, gives a key
            twice, or has NaN, endless numbers or halves of characters.
    """
    try:
        values = json.loads(text, object_pairs_hook=unique_keys, parse_constant=_no_constant)
        _check_values(values)
    except (ValueError, RecursionError) as failure:
        raise error(f"{what}: {_reason(failure)}") from None
    return values


def load_yaml(text: str, what: str, error: type[EdgeCountError]) -> Any:
    """Return the values of a YAML text of one document; arguments and errors as in `load_json`.

    Numbers are those of YAML 1.2: 1e-4 is one.
    """
    import yaml

    try:
        loader = _loader()(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_nodes(node)
        return loader.construct_document(node)
    # Numbers and dates may be out of Python's range.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as failure:
        raise error(f"{what}: {_reason(failure)}") from None


# Of YAML 1.2 (10.3.2, core schema): 012 is twelve, and 1:30 a text. In YAML 1.1 they are 10 and 90.
_INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$")
_FLOAT = re.compile(
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


@cache
def _loader() -> type[Any]:
    """Return PyYAML's safe loader, which follows YAML 1.1, with the numbers of YAML 1.2."""
    import yaml

    integer, real = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"

    class Loader(yaml.SafeLoader):  # type: ignore[misc] # PyYAML has no types
        yaml_implicit_resolvers: ClassVar = {
            first: [(tag, pattern) for tag, pattern in known if tag not in (integer, real)]
            for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    # An integer is a float, too: the first that matches counts.
    Loader.add_implicit_resolver(integer, _INT, "-+0123456789")
    Loader.add_implicit_resolver(real, _FLOAT, "-+0123456789.")
    Loader.add_constructor(integer, lambda loader, node: _int_of(loader.construct_scalar(node)))
    return Loader


def _int_of(text: str) -> int:
    """Return the integer of a scalar of YAML 1.2; ValueError where a tag calls another one so."""
    bases = {"0o": 8, "0x": 16}
    return int(text, bases.get(text[:2], 10))


def _reason(failure: Exception) -> str:
    if isinstance(failure, RecursionError):
        return f"it nests deeper than {DEEPEST} levels"
    return " ".join(str(failure).split())


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the values of a JSON object by key.

    Raises:
        ValueError: a key is given twice.
    """
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for index, key in enumerate(keys) if key in keys[:index])
        raise ValueError(f"the key {shown(twice)} is given twice")
    return values


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _walk(root: Any, inside: Callable[[Any], Iterable[Any]]) -> Iterable[Any]:
    """Go through all values, those that are there by reference as often as they are.

    Raises:
        ValueError: there are too many, or they nest too deep.
    """
    waiting = [(root, 0)]
    for _ in range(MOST_VALUES):
        if not waiting:
            return
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise ValueError(f"it nests deeper than {DEEPEST} levels")
        yield value
        waiting.extend((part, depth + 1) for part in inside(value))
    raise ValueError(f"it holds more than {MOST_VALUES} values")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the text {shown(text)} holds half a character (a surrogate)") from None


def _check_values(values: Any) -> None:
    def inside(value: Any) -> Iterable[Any]:
        if isinstance(value, dict):
            return [*value.keys(), *value.values()]
        return value if isinstance(value, list) else ()

    for value in _walk(values, inside):
        if isinstance(value, str):
            _check_text(value)


def _check_nodes(root: Any) -> None:
    import yaml

    def inside(node: Any) -> Iterable[Any]:
        if isinstance(node, yaml.MappingNode):
            return [part for pair in node.value for part in pair]
        return node.value if isinstance(node, yaml.SequenceNode) else ()

    for node in _walk(root, inside):
        if isinstance(node, yaml.ScalarNode):
            _check_text(node.value)
        elif isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            unique_keys([(key, None) for key in keys if key != "<<"])
