"""Changes to a YAML text that leave everything else in it as it was written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from edgecount.errors import ConfigError
from edgecount.watch.config.checks import SettingError
from edgecount.watch.config.document import parse, parser, plain

_MOST_STEPS = 2000
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# Texts that YAML 1.1 or 1.2 takes for something else.
_TAKEN = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def edited(text: str, target: Mapping[str, Any], name: str) -> str:
    """Return a YAML text changed so that it says what is wanted.

    Comments, quotes and blanks stay, except within what is changed, and so does the order, except
    of names (see `in_order`). New values are written on one line.

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
            return in_order(text, target, name)
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


def in_order(text: str, target: Mapping[str, Any], name: str) -> str:
    """Return a YAML text whose regions, lines, and others that have names are in another order.

    Comments go with the keys that they stand above or beside. What is shared by anchors, or cannot
    be moved, stays as it is.

    Args:
        text: a YAML text of keys and values.
        target: plain values, the same as those of the text but for the order.
        name: how the text's file is called in messages.
    """
    for _ in range(_MOST_STEPS):
        after = _Edit(text, name).order(parser().compose(text), target)
        try:
            if after == text or not same(plain(parse(after, name)), target):
                break
        except ConfigError:  # an alias that would come before its anchor
            break
        text = after
    return text


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

    def order(self, node: Any, want: Mapping[str, Any]) -> str:
        """Return the text with one mapping of names in the order that is wanted."""
        own = {key.value: (key, value) for key, value in node.value}
        has_names = all(isinstance(value, dict) for value in want.values())
        if has_names and own.keys() == want.keys() and [*own] != [*want]:
            return self._moved(node, [*want])
        for name, value in want.items():
            key, one = own.get(name, (None, None))
            if not isinstance(value, dict) or key is None or _is_shared(key, one):
                continue
            after = self.order(one, value)
            if after != self._text:
                return after
        return self._text

    def _moved(self, node: Any, names: list[str]) -> str:
        """Return the text with the keys of a mapping in another order."""
        text, places = self._text, self._pairs_of(node)
        if _is_block(node):
            places = self._lines_of(node)
        pieces = {
            key.value: text[start:end]
            for (key, _), (start, end) in zip(node.value, places, strict=True)
        }
        if _is_block(node):  # the last line of a file may have no end
            pieces = {name: piece.removesuffix("\n") + "\n" for name, piece in pieces.items()}
        gaps = [text[one[1] : other[0]] for one, other in pairwise(places)]
        moved = [pieces[name] + gap for name, gap in zip(names, [*gaps, ""], strict=True)]
        return text[: places[0][0]] + "".join(moved) + text[places[-1][1] :]

    def _pairs_of(self, node: Any) -> list[tuple[int, int]]:
        """Return where each key and its value begin and end."""
        return [(_start(key), self._last_of(key, value)) for key, value in node.value]

    def _lines_of(self, node: Any) -> list[tuple[int, int]]:
        """Return where the lines of each key of a block begin and end, with its comments."""
        column = node.value[0][0].start_mark.column
        deeper = re.compile(rf"(?: {{{column + 1},}}#[^\n]*\n)*")
        start = self._line_start(_start(node.value[0][0]))
        above = re.search(r"(?:^ *#[^\n]*\n)*\Z", self._text[:start], re.MULTILINE)
        start = above.start() if above else start
        places = []
        for key, value in node.value:
            end = self._line_end(self._last_of(key, value))
            comments = deeper.match(self._text, end)
            end = comments.end() if comments else end
            places.append((start, end))
            start = end
        return places

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
    """Return the new name of a key that goes; None: it was removed, whatever has come since.

    A new name stands in the place of the old one, and for the same: a region that is drawn where
    one was removed has another polygon.
    """
    names = [*want]
    before = [name for name in [*have][: [*have].index(key)] if name in want]
    for name in names[names.index(before[-1]) + 1 if before else 0 :]:
        if name in have:
            return None
        if _is_renamed(have[key], want[name]):
            return name
    return None


def _is_renamed(have: Any, want: Any) -> bool:
    """Return whether two values are the same as far as both say something."""
    if not isinstance(have, dict) or not isinstance(want, dict):
        return same(have, want)
    shared = have.keys() & want.keys()
    return bool(shared) and all(same(have[key], want[key]) for key in shared)


def _goes_on(node: Any, have: Mapping[str, Any], want: Mapping[str, Any]) -> bool:
    """Return whether a mapping is changed key by key, and not written anew."""
    kept = [key for key in have if key in want or _new_name(key, have, want) is not None]
    return bool(kept) and (len(kept) == len(have) or _is_block(node))


def _is_shared(key: Any, node: Any) -> bool:
    """Return whether a value may stand for others, too: it has an anchor, or is an alias."""
    return node.anchor is not None or _start(node) < _end(key)


def _is_block(node: Any) -> bool:
    return isinstance(node.value, list) and node.flow_style is False


def _start(node: Any) -> int:
    return int(node.start_mark.index)


def _end(node: Any) -> int:
    return int(node.end_mark.index)
