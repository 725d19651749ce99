"""Signals as orders."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from edgecount.cli._watch.orders import orders_by_signals


@pytest.fixture
def hangups_ignored() -> Iterator[None]:
    """Ignore SIGHUP, as `nohup` has a program do."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangups_ignored")
def test_a_config_is_read_again_after_nohup_too() -> None:
    with orders_by_signals(reloads=True) as orders:
        os.kill(os.getpid(), signal.SIGHUP)
        assert orders.next(30) == "reload"
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.usefixtures("hangups_ignored")
def test_nohup_keeps_a_service_without_a_config_running() -> None:
    with orders_by_signals(reloads=False) as orders:
        os.kill(os.getpid(), signal.SIGHUP)
        assert orders.next(0.1) is None


def test_a_second_signal_ends_at_once() -> None:
    with orders_by_signals(reloads=True) as orders:
        os.kill(os.getpid(), signal.SIGTERM)
        assert orders.next(30) is signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
