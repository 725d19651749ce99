"""The history of counts and events: a sink that can be queried."""

from __future__ import annotations

from edgecount.watch.history.query import Queries
from edgecount.watch.history.sink import HistorySink


class History(Queries, HistorySink):
    """A sink that writes readings and events to a SQLite file, with queries of it.

    One thread writes; any number of threads may query meanwhile, also before it is opened and after
    it is closed.
    """

    def found_damage(self) -> None:
        """Have the file checked before the next write, which may not notice the damage itself."""
        self.check_soon()
