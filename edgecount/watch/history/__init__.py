"""History of counts and events in a SQLite file: minutes, hours and days, and what was when."""

from edgecount.watch.history.history import History
from edgecount.watch.history.settings import HistorySettings

__all__ = ["History", "HistorySettings"]
