"""Progress bars on stderr, for people only."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Any

import click

from edgecount.cli._shell.output import printable, write_line


class Progress(AbstractContextManager["Progress"]):
    """A bar that shows only on a terminal and makes way for printed lines.

    Args:
        total: number of steps, None if unknown.
        unit: what a step is called.
        label: text before the bar.
        shown: False never shows a bar.
    """

    def __init__(self, total: int | None, unit: str, label: str, shown: bool = True) -> None:
        self._bar: Any = None
        if not shown or not sys.stderr.isatty():
            return
        from tqdm import tqdm

        tqdm.monitor_interval = 0  # no watcher thread: a bar is updated with every frame
        self._bar = tqdm(
            total=total,
            unit=f" {unit}",
            desc=printable(label),
            leave=False,
            dynamic_ncols=True,
            file=sys.stderr,
        )

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, number: int = 1, note: str = "") -> None:
        """Count ``number`` more steps as done, and show a note behind the bar."""
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(number)

    def step_to(self, number: int) -> None:
        """Count the first ``number`` steps as done."""
        if self._bar is not None:
            self._bar.update(number - self._bar.n)


class Bars(AbstractContextManager["Bars"]):
    """A bar for each part of a task, one after the other."""

    def __init__(self, shown: bool = True) -> None:
        self._shown = shown
        self._what: str | None = None
        self._bar = Progress(None, "step", "", shown=False)

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__()

    def report(self, what: str, done: int, total: int) -> None:
        """Show how many steps of a part are done; its end or a new name closes the bar."""
        if what != self._what:
            self._bar.__exit__()
            self._what, self._bar = what, Progress(total, "step", what, shown=self._shown)
        self._bar.step_to(done)
        if done == total:
            self._bar.__exit__()
            self._what = None


def echo(line: str, err: bool = False) -> None:
    """Print a line above the bars, if there are any.

    Raises:
        StdoutError: stdout takes nothing.
    """
    if "tqdm" not in sys.modules:
        _write(line, err)
        return
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr if err else sys.stdout):
        _write(line, err)


def _write(line: str, err: bool) -> None:
    if err:
        click.echo(line, err=True)
    else:
        write_line(line)
