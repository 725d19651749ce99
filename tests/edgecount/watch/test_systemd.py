"""Messages to systemd, at sockets such as its own."""

from __future__ import annotations

import logging
import os
import socket
import time
from pathlib import Path

import pytest

from edgecount.watch.systemd import Notifier


@pytest.mark.parametrize("is_abstract", [False, True])
def test_states(tmp_path: Path, is_abstract: bool) -> None:
    name = f"@edgecount-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:] if is_abstract else name)
        notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"})
        assert (notifier.is_on, notifier.watchdog) == (True, 30)
        notifier.ready("1 camera\nlives")
        assert listener.recv(1000) == b"READY=1\nSTATUS=1 camera lives"
        notifier.status("1 camera\nlives")  # which it knows
        notifier.alive()
        assert listener.recv(1000) == b"WATCHDOG=1"
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        notifier.reloading()
        first, _, second = listener.recv(1000).decode().partition("\nMONOTONIC_USEC=")
        assert first == "RELOADING=1"
        assert before <= int(second) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        notifier.status("no file /srv/\udcff")
        assert listener.recv(1000) == b"STATUS=no file /srv/?"
        notifier.stopping()
        assert listener.recv(1000) == b"STOPPING=1"


def test_without_systemd() -> None:
    notifier = Notifier({})
    assert not notifier.is_on
    for tell in (notifier.ready, notifier.reloading, notifier.alive, notifier.stopping):
        tell()


@pytest.mark.parametrize("more", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "x"}])
def test_a_watchdog_of_others(more: dict[str, str]) -> None:
    assert Notifier({"WATCHDOG_USEC": "1000", **more}).watchdog is None


def test_a_socket_that_is_gone_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    with caplog.at_level(logging.INFO):
        notifier.ready()
        notifier.stopping()
    assert len(caplog.records) == 1
