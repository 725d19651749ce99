"""Events for a receiver by HTTP, which wait on the disk until it has taken them."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgecount.errors import ConfigError, EdgeCountError
from edgecount.watch.readings import Event, Reading
from edgecount.watch.sinks.base import Backlog, Sink
from edgecount.watch.sinks.documents import encode, event_document
from edgecount.watch.sinks.post import Answer, Outcome, Poster
from edgecount.watch.sinks.spool import Message, Spool

_log = logging.getLogger(__name__)

_FIRST, _LONGEST = 1.0, 300.0  # s between tries while the receiver is away
_CLOSING = 2.0  # s that a try may still take when the service ends


class Webhook(Sink):
    """A sender of events to a receiver.

    An event is delivered once it is in the spool on the disk; a thread gives it to the receiver
    until that answers with a status of 200 to 299. While the receiver is away, or answers 5xx, 408,
    425, 429 or a redirect to another host, tries are repeated, ever less often, up to every five
    minutes. Other answers 4xx give the event up, which is counted. An event may come twice, with
    the same id, if the answer was lost; it may come after a later one.

    Args:
        url: http or https address; user and password in it are sent as basic authentication.
        spool: SQLite file in which events wait.
        secret: what messages are signed with (see `Poster`), or what reads it before each try;
            None: they are not signed.
        ca_file: PEM file of the authority that signed the receiver's certificate; None: those that
            the system trusts.
        most: events that wait at most; the oldest are given up for new ones, and counted.
        timeout: seconds that connecting and each part of the answer may take; the whole may take
            three times as long.

    Raises:
        ConfigError: a value makes no sense.
        MissingExtraError: urllib3 is not installed.
    """

    wants_readings = False

    def __init__(
        self,
        url: str,
        spool: str | Path,
        *,
        secret: str | Callable[[], str] | None = None,
        ca_file: str | Path | None = None,
        most: int = 100_000,
        timeout: float = 10.0,
    ) -> None:
        if most < 1:
            raise ConfigError(f"most: expected a number of events, 1 or more, got {most}")
        self.name = "webhook"
        self._poster = Poster(url, secret, ca_file=ca_file, timeout=timeout)
        self._spool = Spool(spool, most)
        self._lock = threading.Lock()
        self._backlog = Backlog()
        self._dropped_before: int | None = None  # by runs before this one
        self._more = threading.Event()
        self._is_closing = threading.Event()  # of the newest thread; one that hangs keeps its own
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Open the spool and begin to send what is in it; OutputError if it cannot be used."""
        self._spool.open()
        self._tell(None)
        self._count()
        self._is_closing = threading.Event()
        self._more.set()
        self._thread = threading.Thread(
            target=self._run, args=(self._is_closing,), name="edgecount-webhook", daemon=True
        )
        self._thread.start()

    def reading(self, reading: Reading) -> None:
        """Leave a reading to other sinks."""

    def event(self, event: Event) -> None:
        """Store an event, so that it is sent whatever happens; OutputError if it cannot be."""
        self._spool.put(event.id, encode(event_document(event)))
        self._count()
        self._more.set()

    def close(self) -> None:
        """End the thread; what is not sent stays in the spool."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._is_closing.set()
            self._more.set()
            thread.join(_CLOSING)
        self._poster.close()
        if thread is None or not thread.is_alive():  # one that hangs may still send
            self._spool.close()

    def backlog(self) -> Backlog:
        """Return what waits in the spool, what this run gave up, and what is wrong."""
        with self._lock:
            return self._backlog

    def _run(self, is_closing: threading.Event) -> None:
        delay = _FIRST
        while not is_closing.is_set():
            self._more.clear()
            try:
                message = self._spool.next()
                answer = None if message is None else self._try(message)
            except EdgeCountError as error:  # a full disk, or a secret that cannot be read
                answer = Answer(Outcome.LATER, str(error))
                self._tell(str(error))
            except Exception as error:  # noqa: BLE001 (else nothing would be sent any more)
                answer = Answer(Outcome.LATER, f"it could not be tried ({type(error).__name__})")
                if answer.reason != self._backlog.error:
                    _log.exception("webhook: %s", answer.reason)
                self._tell(answer.reason)
            if answer is None:
                self._more.wait()
            elif answer.outcome is Outcome.LATER:
                # Less by chance, so that a fleet does not come back at once.
                is_closing.wait(max(delay * random.uniform(0.5, 1.0), answer.pause))  # noqa: S311
                delay = min(2 * delay, _LONGEST)
            else:
                delay = _FIRST

    def _try(self, message: Message) -> Answer:
        answer = self._poster.post(message.id, message.body)
        if answer.outcome is Outcome.LATER:
            self._spool.postpone(message)
        else:
            self._spool.delete(message, dropped=answer.outcome is Outcome.REFUSED)
        if answer.reason and answer.reason != self._backlog.error:
            what = "given up" if answer.outcome is Outcome.REFUSED else "kept"
            _log.warning("webhook: %s; the event is %s", answer.reason, what)
        self._tell(answer.reason or None)
        self._count()
        return answer

    def _tell(self, error: str | None) -> None:
        """Note what is wrong, for health."""
        with self._lock:
            self._backlog = replace(self._backlog, error=error)

    def _count(self) -> None:
        """Count what waits and what was given up, for health."""
        waiting, dropped = self._spool.counts()
        with self._lock:
            if self._dropped_before is None:
                self._dropped_before = dropped
            dropped -= self._dropped_before
            self._backlog = replace(self._backlog, waiting=waiting, dropped=dropped)
