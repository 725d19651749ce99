"""Changes to a YAML text that leave everything else in it as it was written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from edgecount.watch.config.checks import SettingError
from edgecount.watch.config.document import parse, parser, plain

_MOST_STEPS = 2000
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# Texts that YAML 1.1 or 1.2 takes for something else.
_TAKEN = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def edited(text: str, target: Mapping[str, Any], name: str) -> str:
    """Return a YAML text changed so that it says what is wanted.

    Comments, order, quotes and blanks stay, except within what is changed. New values are written
    on one line.

    Args:
        text: a YAML text of keys and values.
        target: plain values.
        name: how the text's file is called in messages.

    Raises:
        ConfigError: it cannot be changed so, because of anchors or an odd form.
    """
    for _ in range(_MOST_STEPS):
        values = plain(parse(text, name))
        if same(values, target):
            return text
        after = _Edit(text, name).step(parser().compose(text), values, target)
        if after == text:
            break
        text = after
    raise _refusal(())


def same(one: Any, other: Any) -> bool:
    """Return whether two plain values are the same; true is not 1, but 1.0 is."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    is_alike = isinstance(one, bool) == isinstance(other, bool)
    return is_alike and type(one) is not dict and bool(one == other)


def flow(value: Any) -> str:
    """Return a plain value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _TAKEN:
            return value
        quoted = json.dumps(value, ensure_ascii=False)
        return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)
    return json.dumps(value)


def _refusal(keys: tuple[str, ...]) -> SettingError:
    return SettingError(
        keys,
        "cannot be changed from here, because of an anchor, an alias or an odd form of YAML: "
        "change it by hand",
    )


class _Edit:
    """One change of a text, by the places of its nodes."""

    def __init__(self, text: str, name: str) -> None:
        self._text, self._name = text, name

    def step(
        self,
        node: Any,
        have: Mapping[str, Any],
        want: Mapping[str, Any],
        keys: tuple[str, ...] = (),
    ) -> str:
        """Return the text with one difference less between a mapping and what is wanted."""
        own = {key.value: (key, value) for key, value in node.value}
        for key in have:
            if key not in want:
                if key not in own:  # merged into it from elsewhere
                    raise _refusal((*keys, key))
                name = _new_name(key, have, want)
                if name is None or own[key][0].anchor is not None:
                    return self._remove(*own[key])
                return self._rename(own[key][0], name)
        for key, value in want.items():
            if key in have and same(have[key], value):
                continue
            if key not in own:
                return self._insert(node, key, value)
            return self._replace(*own[key], have[key], value, (*keys, key))
        return self._text

    def _replace(self, key: Any, node: Any, have: Any, value: Any, keys: tuple[str, ...]) -> str:
        if _start(node) < _end(key):
            raise _refusal(keys)  # an alias: its node stands elsewhere, for others too
        if isinstance(have, dict) and isinstance(value, dict) and _goes_on(node, have, value):
            return self.step(node, have, value, keys)
        text = self._text
        if node.anchor is not None:
            raise _refusal(keys)
        if _is_block(node):
            after = self._after_colon(key)
            first, last = self._line_start(_start(node)), self._line_end(self._last(node))
            return f"{text[:after]} {flow(value)}{text[after:first]}{text[last:]}"
        if _start(node) == _end(node):
            after = self._after_colon(key)
            return f"{text[:after]} {flow(value)}{text[after:]}"
        newline = "\n" if getattr(node, "style", None) in ("|", ">") else ""
        return f"{text[: _start(node)]}{flow(value)}{newline}{text[_end(node) :]}"

    def _rename(self, key: Any, name: str) -> str:
        return f"{self._text[: _start(key)]}{flow(name)}{self._text[_end(key) :]}"

    def _remove(self, key: Any, node: Any) -> str:
        """Remove the lines of a key of a block; flow mappings are replaced as a whole."""
        first = self._line_start(_start(key))
        last = self._line_end(self._last_of(key, node))
        return self._text[:first] + self._text[last:]

    def _insert(self, node: Any, key: str, value: Any) -> str:
        text, pair = self._text, f"{flow(key)}: {flow(value)}"
        if not _is_block(node):
            if not node.value:
                inside = text.index("{", _start(node)) + 1
                return f"{text[:inside]}{pair}{text[inside:]}"
            inside = self._last_of(*node.value[-1])
            return f"{text[:inside]}, {pair}{text[inside:]}"
        at = self._line_end(self._last(node))
        before = text[:at] if text[:at].endswith("\n") else f"{text[:at]}\n"
        indent = " " * node.value[0][0].start_mark.column
        return f"{before}{indent}{pair}\n{text[at:]}"

    def _last(self, node: Any) -> int:
        """Return where the last value in a node ends, before comments that follow it."""
        if _is_block(node) and node.value:
            last = node.value[-1]
            if isinstance(last, tuple):
                return self._last_of(*last)
            return max(_start(node), self._last(last))
        end = _end(node)
        return end - 1 if self._text[end - 1 : end] == "\n" else end

    def _last_of(self, key: Any, node: Any) -> int:
        """Return where a key's value ends."""
        if _start(node) == _end(node):  # nothing: its marks may be those of what follows
            return self._after_colon(key)
        return max(_end(key), self._last(node))

    def _after_colon(self, key: Any) -> int:
        return self._text.find(":", _end(key)) + 1 or _end(key)

    def _line_start(self, place: int) -> int:
        return self._text.rfind("\n", 0, place) + 1

    def _line_end(self, place: int) -> int:
        end = self._text.find("\n", place)
        return len(self._text) if end < 0 else end + 1


def _new_name(key: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> str | None:
    """Return the key that stands in the place of the first one that goes; None: it was removed."""
    names = [*want]
    before = [*have][: [*have].index(key)]
    following = names[names.index(before[-1]) + 1 if before else 0 :]
    return following[0] if following and following[0] not in have else None


def _goes_on(node: Any, have: Mapping[str, Any], want: Mapping[str, Any]) -> bool:
    """Return whether a mapping is changed key by key, and not written anew."""
    removed = have.keys() - want.keys()
    return bool(have) and (not removed or (_is_block(node) and bool(have.keys() & want.keys())))


def _is_block(node: Any) -> bool:
    return isinstance(node.value, list) and node.flow_style is False


def _start(node: Any) -> int:
    return int(node.start_mark.index)


def _end(node: Any) -> int:
    return int(node.end_mark.index)
