"""HTTP that waits only so long for a request."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_SECONDS = 15.0  # in which the head of a request has to come
_SLOWEST = 60.0  # s that a client may take for what waits for it, some 64 kB
_MOST = 192  # connections: each is an open file, of which cameras and sinks need some, too


class ImpatientProtocol(H11Protocol):
    """Connections that are closed if they ask for nothing.

    Uvicorn closes those that fall silent after an answer. Those that were opened and say nothing,
    or a letter now and then, would go on for ever, and enough of them keep everybody else out. So
    would those that ask and do not read the answers.
    """

    _due: asyncio.TimerHandle | None = None
    _full: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request, unless there are too many connections."""
        super().connection_made(transport)
        if len(self.connections) > _MOST:
            transport.abort()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request, and go on waiting for its head if that is not whole yet."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._due is None and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        self._stop_patience()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Write no more for now, and hang up if the client goes on reading nothing."""
        super().pause_writing()
        self._stop_patience()
        self._full = self.loop.call_later(_SLOWEST, self.transport.abort)

    def resume_writing(self) -> None:
        """Write on."""
        self._stop_patience()
        super().resume_writing()

    def _wait(self) -> None:
        self._due = self.loop.call_later(_SECONDS, self.transport.close)

    def _stop_patience(self) -> None:
        if self._full is not None:
            self._full.cancel()
            self._full = None

    def _stop_waiting(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
