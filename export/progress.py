"""How the steps of an export report their progress."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with a task in words, the number of steps done, and the number of steps in all."""


def silent(task: str, done: int, total: int) -> None:
    """Report nothing."""
    del task, done, total


class Steps:
    """A task of so many steps in all: call it after each, and it is reported."""

    def __init__(self, progress: Progress, task: str, total: int) -> None:
        self._progress, self._task, self._total = progress, task, total
        self._done = 0

    def __call__(self) -> None:
        """Count a step, and report it."""
        self._done += 1
        self._progress(self._task, self._done, self._total)
