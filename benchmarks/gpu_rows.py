"""What the GPU benchmarks found, written to their file row by row, and shown as tables."""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gpu_extension import NotHereError

Item = TypeVar("Item")


class Numbers:
    """Everything that was measured so far.

    Each number is written at once, so that what fails or takes too long later leaves all before it.

    Args:
        path: of the JSON; None: none is written.
        known: what is known before anything is measured.
    """

    def __init__(self, path: Path | None, known: Mapping[str, Any]) -> None:
        self._path = path
        self.found: dict[str, Any] = {**known, "skipped": []}

    def put(self, name: str, value: Any) -> None:
        """Write a part, and show it."""
        self.found[name] = value
        self.save()
        show(name, value)

    def rows(
        self,
        name: str,
        title: str,
        items: Iterable[Item],
        work: Callable[[Item], dict[str, Any]],
    ) -> None:
        """Write a row for each item behind those that a part has, and show them.

        Why there is none goes to what was skipped, each reason once.
        """
        rows, reasons = self.found.setdefault(name, []), collections.Counter[str]()
        before = len(rows)
        for item in items:
            try:
                rows.append(work(item))
                self.save()
            except (ImportError, NotHereError) as error:  # noqa: PERF203 (the work takes far longer)
                reasons[str(error)] += 1
        found = [f"{title}, {number} times: {reason}" for reason, number in reasons.items()]
        self.found["skipped"] += found
        self.save()
        show(title, rows[before:])

    def save(self) -> None:
        """Write the file anew, whole or not at all."""
        if self._path is None:
            return
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self.found, indent=1) + "\n")
        new.replace(self._path)

    def show_skipped(self) -> None:
        """Print what could not be measured, and why."""
        for reason in self.found["skipped"]:
            print(f"skipped: {reason}")


def show(title: str, value: Any) -> None:
    """Print a part as a table."""
    print(f"\n{title}", flush=True)
    if isinstance(value, Mapping):
        for key, number in value.items():
            print(f"  {key:36}{number:14.2f}")
    elif value:
        print_rows(value)


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with the same keys, a column for each."""
    lines = [list(rows[0])] + [[cell(value) for value in row.values()] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  " + "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))


def cell(value: object) -> str:
    """A value in a table."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    if isinstance(value, (list, tuple)):
        return "x".join(str(part) for part in value)
    return str(value)
