"""How often somebody may try."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_CLIENTS = 4096  # that are remembered; of more, those that were quiet longest are forgotten


class RateLimit:
    """A number of tries that a client has, which comes back with time.

    Args:
        tries: that a client has at once.
        seconds: in which all of them come back.
        now: a clock that only goes forward, in seconds.
    """

    def __init__(
        self, tries: int, seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._tries, self._rate, self._now = tries, tries / seconds, now
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Return after how many seconds a client may try again; 0: now."""
        left = self._left(client)
        return 0.0 if left >= 1 else (1 - left) / self._rate

    def take(self, client: str) -> float:
        """Take a try; returns as `wait` did before it, and takes none if that is above 0."""
        wait = self.wait(client)
        if not wait:
            self._clients[client] = (self._left(client) - 1, self._now())
            self._clients.move_to_end(client)
            if len(self._clients) > _MOST_CLIENTS:
                self._clients.popitem(last=False)
        return wait

    def _left(self, client: str) -> float:
        left, at = self._clients.get(client, (float(self._tries), self._now()))
        return min(float(self._tries), left + (self._now() - at) * self._rate)
