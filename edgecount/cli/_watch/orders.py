"""Signals as orders to a service: stop, or reload the config."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, Literal, TypeAlias

Order: TypeAlias = signal.Signals | Literal["reload"]
"""The signal that stops the service, or a reload."""

_STOPS = (signal.SIGTERM, signal.SIGINT)


class Orders:
    """A queue of the orders that signals have given."""

    def __init__(self) -> None:
        # Its put may be called by a handler that has interrupted get.
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._is_stopping = False

    def next(self, timeout: float) -> Order | None:
        """Return the next order; None if none has come within so many seconds."""
        try:
            return self._orders.get(timeout=timeout)
        except queue.Empty:
            return None

    def stop(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal: order the stop; the second one stops immediately."""
        if self._is_stopping:
            raise KeyboardInterrupt
        self._is_stopping = True
        self._orders.put(signal.Signals(number))

    def reload(self) -> None:
        """Order a reload of the config."""
        self._orders.put("reload")


class Reload:
    """A signal handler that does not end the process, which `end_stuck_calls` has to know."""

    ends_process = False

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Order a reload of the config."""
        self._orders.reload()


@contextmanager
def reloads_by_signal(orders: Orders) -> Iterator[None]:
    """Take SIGHUP for the order to reload, after `nohup`, too: what that prevents is the end."""
    with _handled({signal.SIGHUP: Reload(orders)}):
        yield


@contextmanager
def stops_by_signals(orders: Orders, *, hangup: bool) -> Iterator[None]:
    """Take SIGTERM and Ctrl-C for the order to stop.

    Args:
        orders: takes the order.
        hangup: whether SIGHUP stops, too, which comes when a terminal is closed; where it is
            ignored, as after `nohup`, it stays so.
    """
    handlers = dict.fromkeys(_STOPS, orders.stop)
    if hangup and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = orders.stop
    with _handled(handlers):
        yield


@contextmanager
def _handled(handlers: Mapping[signal.Signals, Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
