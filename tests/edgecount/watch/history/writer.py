"""Write a history until it is killed: a count that follows from the time, and people at a gate.

    python writer.py FILE FIRST PACE

Readings come every second of a time of their own that begins at FIRST, PACE of them a second (0:
as many as there can be). Each is told on stdout once the history has taken it.
"""

import os
import sys
import time
from datetime import timezone
from pathlib import Path

from recorded import START, event, reading

from edgecount.watch.history import History, HistorySettings


def count_at(second):
    """Return people at a time: minutes differ, and so do seconds."""
    return float(second // 60 % 50 + second % 2)


def main():
    path, first, pace = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    now = first
    history = History(HistorySettings(path), timezone.utc, wall=lambda: now, monotonic=lambda: now)
    history.open()
    while True:
        gate = (float(now - START) // 5, 0.0, float(START))
        history.reading(reading(now, count_at(now), regions={"hall": 1.0}, lines={"gate": gate}))
        if now % 60 == 30:
            history.event(event(now, name=f"at {now}"))
        os.write(1, f"{now}\n".encode())
        now += 1
        if pace:
            time.sleep(1 / pace)


if __name__ == "__main__":
    main()
