"""YAML read within bounds, with the line of every key."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecount._documents import DEEPEST, MOST_VALUES, shown
from edgecount._files import require_regular
from edgecount._text import valid_text
from edgecount.errors import ConfigError, MissingExtraError
from edgecount.watch.config.checks import SettingError

LARGEST = 256 * 1024
"""Most bytes of a config: a hundred cameras with ten regions each."""


@dataclass(frozen=True)
class Text:
    """The text of a config, as it is in its file.

    Attributes:
        name: how the file is called in messages.
        text: with line feeds alone, and without a mark of the byte order.
        start: the mark, or nothing.
        newline: how lines end in the file.
        version: SHA-256 of the file.
    """

    name: str
    text: str
    start: str
    newline: str
    version: str

    @classmethod
    def read(cls, path: Path) -> Text:
        """Read a file.

        Raises:
            ConfigError: it cannot be read, is too large, or is no UTF-8.
        """
        name = file_name(path)
        require_regular(path, ConfigError)
        try:
            with path.open("rb") as file:
                data = file.read(LARGEST + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"{name}: cannot read the config: {reason}") from None
        return cls.of(data, name)

    @classmethod
    def of(cls, data: bytes, name: str) -> Text:
        """Return the text of a file's bytes; errors as of `read`."""
        if len(data) > LARGEST:
            raise ConfigError(f"{name}: expected a config of at most {LARGEST // 1024} kB")
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise ConfigError(f"{name}:{line}: expected UTF-8, got other bytes") from None
        start = "\ufeff" if text.startswith("\ufeff") else ""
        newline = "\r\n" if "\r\n" in text else "\n"
        text = text.removeprefix(start).replace("\r\n", "\n")
        return cls(name, text, start, newline, hashlib.sha256(data).hexdigest())

    def bytes_of(self, text: str) -> bytes:
        """Return another text as bytes of this file's kind."""
        return (self.start + text.replace("\n", self.newline)).encode()


def file_name(path: Path) -> str:
    """Return a file's path for a message of one line."""
    name = valid_text(str(path))
    return name if name.isprintable() else repr(name)


def parser() -> Any:
    """Return a parser that keeps what is needed to find the place of a value.

    Raises:
        MissingExtraError: ruamel.yaml is not installed.
    """
    try:
        from ruamel.yaml import YAML
    except ImportError as error:
        raise MissingExtraError("ruamel.yaml", "watch", "to read configs") from error
    return YAML()


def parse(text: str, name: str) -> Any:
    """Return the values of a YAML text, with their lines.

    Raises:
        ConfigError: it is no YAML of one document, has a key twice, a tag, or too much in it.
    """
    from_text = parser()
    try:
        _check_events(from_text.parse(text), name)
        return parser().load(text)
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 (of odd texts the parser raises anything)
        raise _yaml_error(error, name) from None


def line_of(values: Any, keys: Sequence[str | int]) -> int:
    """Return the line, from 1, of the innermost of these keys that is there."""
    line = 0
    for key in keys:
        places = getattr(values, "lc", None)
        try:
            line = (places.key if isinstance(values, Mapping) else places.item)(key)[0]  # type: ignore[union-attr]
            values = values[key]
        except (AttributeError, KeyError, IndexError, TypeError):
            break  # the rest is missing, or comes from elsewhere by an anchor
    return int(line) + 1


def plain(values: Any) -> Any:
    """Return values of a document as plain Python types.

    Raises:
        SettingError: there are too many, they nest too deep, or one is of a kind that no setting
            has.
    """
    return _Plain().value(values, ())


class _Plain:
    """A copy in plain types, which counts what it copies: aliases stand for a lot."""

    def __init__(self) -> None:
        self._left = MOST_VALUES

    def value(self, value: Any, keys: tuple[str | int, ...]) -> Any:
        self._left -= 1
        if self._left < 0:
            raise SettingError(keys[:2], f"expected at most {MOST_VALUES} values")
        if len(keys) > DEEPEST:
            raise SettingError(keys[:2], f"expected at most {DEEPEST} levels")
        if isinstance(value, Mapping):
            return {
                self._key(key, keys): self.value(one, (*keys, key)) for key, one in value.items()
            }
        if isinstance(value, list):
            return [self.value(one, (*keys, index)) for index, one in enumerate(value)]
        return self._scalar(value, keys)

    def _key(self, key: Any, keys: tuple[str | int, ...]) -> str:
        if not isinstance(key, str):
            raise SettingError(keys, f"expected texts for keys, got {shown(key)}: put it in quotes")
        return str(key)

    def _scalar(self, value: Any, keys: tuple[str | int, ...]) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value).__name__ == "ScalarBoolean":  # of true with an anchor, an int
            return bool(value)
        for kind in (int, float, str):
            if isinstance(value, kind):
                return kind(value)
        if isinstance(value, dt.date):
            raise SettingError(keys, "expected no date: put it in quotes if it is a text")
        raise SettingError(keys, "expected a number, a text, true, false or null")


def _check_events(events: Any, name: str) -> None:
    """Refuse what nests too deep or has tags, before anything is made of it."""
    depth = 0
    for number, event in enumerate(events):
        kind = type(event).__name__
        depth += kind.endswith(("MappingStartEvent", "SequenceStartEvent"))
        depth -= kind.endswith(("MappingEndEvent", "SequenceEndEvent"))
        where = f"{name}:{event.start_mark.line + 1}"
        if depth > DEEPEST:
            raise ConfigError(f"{where}: expected at most {DEEPEST} levels")
        if number > MOST_VALUES:
            raise ConfigError(f"{where}: expected at most {MOST_VALUES} values")
        if getattr(event, "ctag", None) is not None:
            raise ConfigError(f"{where}: expected no tag: put a text that begins with ! in quotes")


_MISSING = re.compile(r"(?:could not find )?expected ('[^\w\s]'(?: or '[^\w\s]')*)")
_QUOTES = "; texts with * & ! % @ ` or a backslash are put in 'single quotes'"


def _yaml_error(error: Exception, name: str) -> ConfigError:
    """Return the error of a text that is no YAML; its message shows no value, only a line."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f"{name}:{mark.line + 1}" if mark is not None else name
    problem = str(getattr(error, "problem", None) or "")
    key = re.match(r'found duplicate key "(.{1,80}?)" with value', problem)
    if key:
        return ConfigError(f"{where}: the key {key[1]} is given twice")
    # Behind a quote there may be what should be nowhere else, such as a password with a * in front:
    # only the marks that YAML misses are shown.
    marks = _MISSING.match(problem)
    if marks:
        what = f"found no {marks[1]}"
    else:
        what = re.split("['\"]|, but ", problem)[0].strip(" ,:") or "it cannot be read"
    hint = ""
    if problem.startswith(r"found character '\t'"):
        what = "found a tab"
        hint = "; lines are indented with spaces"
    elif problem.startswith("found character '"):
        what += f" {problem[16:].partition(' ')[0]}"
        hint = _QUOTES
    elif "alias" in what or "token" in what or "tag" in what or "escape" in what:
        hint = _QUOTES
    elif "mapping values" in what:
        hint = "; a text with a colon and a space in it is put in quotes"
    return ConfigError(f"{where}: expected YAML: {what}{hint}")
