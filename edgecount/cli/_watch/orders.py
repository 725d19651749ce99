"""Signals as orders to a service: stop, or reload the config."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Iterator
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
def orders_by_signals(*, reloads: bool) -> Iterator[Orders]:
    """Take SIGTERM and Ctrl-C for the order to stop, and SIGHUP for the order to reload.

    Args:
        reloads: whether there is a config to reload; SIGHUP stops otherwise, as it does where a
            terminal is closed, unless it is ignored, as after `nohup`.
    """
    orders = Orders()
    handlers: dict[int, Any] = dict.fromkeys(_STOPS, orders.stop)
    if reloads:  # after `nohup`, too: what it is to prevent is the end
        handlers[signal.SIGHUP] = Reload(orders)
    elif signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = orders.stop
    if threading.current_thread() is not threading.main_thread():
        yield orders
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield orders
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
