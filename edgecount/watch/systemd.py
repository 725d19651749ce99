"""Notifications to systemd: ready, reloading, stopping, status and watchdog."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

_log = logging.getLogger(__name__)

_LONGEST = 200  # characters of a status


class Notifier:
    """Sends the state of this process to systemd; does nothing where that did not start it.

    Nothing that goes wrong here is raised: the service matters more than who watches it.

    Args:
        environment: where systemd says what it wants to hear; None: that of the process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        given = os.environ if environment is None else environment
        self._address = _address(given.get("NOTIFY_SOCKET", ""))
        self._watchdog = _watchdog(given)
        self._status = ""
        self._has_failed = False

    @property
    def is_on(self) -> bool:
        """Whether somebody listens."""
        return self._address is not None

    @property
    def watchdog(self) -> float | None:
        """Seconds without `alive` after which systemd ends the process; None: it does not."""
        return self._watchdog

    def ready(self, status: str = "") -> None:
        """Tell that it runs, after its start or a reload."""
        self._status = status
        self._send("READY=1", *_lines(status))

    def reloading(self) -> None:
        """Tell that it reads its config again; `ready` tells that it has."""
        # Named, because MONOTONIC_USEC has to be of CLOCK_MONOTONIC.
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """Tell that it ends."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Tell how it is doing, in a line that `systemctl status` shows."""
        if text != self._status:
            self._status = text
            self._send(*_lines(text))

    def alive(self) -> None:
        """Tell that it is alive, if that is watched."""
        if self._watchdog is not None:
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self._address is None or not lines:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(1.0)  # systemd that hangs does not make the service hang
                # An error may name a path that is no text.
                sender.sendto("\n".join(lines).encode(errors="replace"), self._address)
        except OSError as error:
            level = logging.DEBUG if self._has_failed else logging.WARNING
            _log.log(level, "systemd could not be notified: %s", error)
            self._has_failed = True


def _address(name: str) -> str | None:
    """Return the socket's address; a name that begins with @ is in the abstract namespace."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def _lines(status: str) -> list[str]:
    line = " ".join(status.split())[:_LONGEST]
    return [f"STATUS={line}"] if line else []


def _watchdog(environment: Mapping[str, str]) -> float | None:
    try:
        micros = int(environment.get("WATCHDOG_USEC", "0"))
        process = int(environment.get("WATCHDOG_PID", "0")) or os.getpid()
    except ValueError:
        return None
    return micros / 1e6 if micros > 0 and process == os.getpid() else None
