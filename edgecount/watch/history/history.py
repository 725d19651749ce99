"""A history that is written, and asked meanwhile."""

from __future__ import annotations

from edgecount.watch.history.query import Questions
from edgecount.watch.history.sink import HistorySink


class History(Questions, HistorySink):
    """Writes readings and events to a file as a sink, and answers questions about it.

    One thread writes; any number may ask meanwhile, and before it is opened and after it is closed.
    """

    def found_damage(self) -> None:
        """Have the file checked before it is written next: the writer may not meet the damage."""
        self.check_soon()
