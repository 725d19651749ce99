"""Measured numbers, written row by row as JSON and as Markdown. Standard library only."""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

Item = TypeVar("Item")
_HEADS = {"us": "µs", "gigabytes_per_second": "GB/s", "ms": "ms"}


class NotHereError(Exception):
    """Something cannot be measured on this machine."""


class Numbers:
    """The numbers so far, on those that are known before, as JSON, and as Markdown after `about`.

    Files are written anew with each row: a run that fails or takes too long leaves what it has.
    The tables go beside the JSON file with the ending .md. Without a path there are no files.
    """

    def __init__(self, path: Path | None, known: Mapping[str, Any], about: str) -> None:
        self._path, self._about = path, about
        self._titles: dict[str, str] = {}
        self.found: dict[str, Any] = {**known, "skipped": []}

    def values(self, key: str, title: str, found: Mapping[str, float]) -> None:
        """Add a table of single values."""
        self._titles[key], self.found[key] = title, dict(found)
        self._save()
        print(f"\n{title}\n\n{table_of_values(found)}", flush=True)

    def rows(
        self,
        key: str,
        title: str,
        items: Iterable[Item],
        measure: Callable[[Item], dict[str, Any]],
    ) -> None:
        """Add a row for each item to a table, whose rows of an earlier call stay.

        Items for which `measure` raises ImportError or `NotHereError` are listed as skipped.
        """
        self._titles.setdefault(key, title)
        rows = self.found.setdefault(key, [])
        reasons, before = collections.Counter[str](), len(rows)
        for item in items:
            try:
                rows.append(measure(item))
                self._save()
            except (ImportError, NotHereError) as error:  # noqa: PERF203 (measuring takes longer)
                reasons[str(error)] += 1
        self.found["skipped"] += [f"{title}, {n} times: {why}" for why, n in reasons.items()]
        self._save()
        print(f"\n{title}\n\n{table(rows[before:])}", flush=True)

    def print_skipped(self) -> None:
        """Print what could not be measured, and why."""
        for reason in self.found["skipped"]:
            print(f"skipped: {reason}")

    def _save(self) -> None:
        if self._path is None:
            return
        parts = [self._about]
        for key, title in self._titles.items():
            found = self.found[key]
            shown = table_of_values(found) if isinstance(found, Mapping) else table(found)
            parts += [f"### {title}", shown] if found else []
        content = {".json": json.dumps(self.found, indent=1), ".md": "\n\n".join(parts)}
        for ending, text in content.items():
            # Whoever ends this program in the middle of a write finds the whole file before it.
            new = self._path.with_suffix(".new")
            new.write_text(text + "\n", encoding="utf-8")
            new.replace(self._path.with_suffix(ending))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a Markdown table with a column for each key."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[cell(key, row.get(key)) for key in keys] for row in rows]
    lines = [[head(key) for key in keys], ["---"] * len(keys), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) if rows else ""


def table_of_values(found: Mapping[str, float]) -> str:
    """Return a Markdown table with a line for each value."""
    return table([{"": head(key), "measured": value} for key, value in found.items()])


def head(key: str) -> str:
    """Return the heading of a key: "read_us" is "read µs"."""
    for ending, unit in _HEADS.items():
        if key == ending or key.endswith(f"_{ending}"):
            key = f"{key.removesuffix(ending)}{unit}"
    return key.replace("_", " ")


def cell(key: str, value: object) -> str:
    """Return a value as text, with at least three digits that count."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if key.startswith("share_"):
            return f"{value:.0%}"
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    if isinstance(value, (list, tuple)):
        return " x ".join(str(part) for part in value)
    return str(value).replace("|", "/")
