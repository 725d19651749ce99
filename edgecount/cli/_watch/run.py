"""The run of the service: its start, its reloads and its end."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from edgecount._memory import use_few_arenas
from edgecount.cli._watch.observer import Observer, status_of
from edgecount.cli._watch.orders import Orders, stops_by_signals
from edgecount.cli._watch.page import Page
from edgecount.cli._watch.printing import Printer
from edgecount.errors import BackendError, ConfigError, EdgeCountError, ModelError
from edgecount.watch.service import Service
from edgecount.watch.systemd import Notifier

if TYPE_CHECKING:
    from edgecount.watch.config import WatchConfig
    from edgecount.watch.logs import LogFormatter

_log = logging.getLogger(__name__)

_PRINTED = 10.0  # s between lines of counts that go nowhere else


class Run:
    """A service that runs until a signal stops it.

    Args:
        load: reads the config; called again at each SIGHUP.
        formatter: formatter of the log, which needs the cameras' ids.
        orders: orders that come by signals.
        reloads: whether SIGHUP reloads the config; otherwise it stops the service.
        print_every: seconds between lines of a camera on stdout; 0: none; None: 10 if the counts
            go nowhere else, otherwise none.
    """

    def __init__(
        self,
        load: Callable[[], WatchConfig],
        formatter: LogFormatter,
        orders: Orders,
        *,
        reloads: bool,
        print_every: float | None,
    ) -> None:
        self._load, self._formatter, self._reloads = load, formatter, reloads
        self._orders, self._every = orders, print_every
        self._notifier = Notifier()
        self._config: WatchConfig

    def until_stopped(self) -> signal.Signals:
        """Run until a signal stops the service, and return that signal.

        Raises:
            EdgeCountError: it cannot start with this config.
            StdoutError: stdout takes nothing.
        """
        orders = self._orders
        config = self._config = self._load()
        self._formatter.cameras = config.cameras
        use_few_arenas()  # before there are threads
        service = _service(config)
        with ExitStack() as stack:
            stack.callback(service.stop)
            page = Page(service)
            stack.callback(page.stop)
            page.follow(config)
            stack.enter_context(stops_by_signals(orders, hangup=not self._reloads))
            stack.enter_context(Observer(service, self._notifier))
            service.start()
            stack.callback(self._notifier.stopping)
            self._say_start(config)
            self._notifier.ready(status_of(service))
            printer = Printer(service, _print_every(config, self._every))
            stopped_by = self._obey(orders, service, page, printer)
        _log.info("stopped")
        return stopped_by

    def _obey(
        self, orders: Orders, service: Service, page: Page, printer: Printer
    ) -> signal.Signals:
        while True:
            order = orders.next(printer.wait)
            if isinstance(order, signal.Signals):
                _log.info("stopping: %s came", order.name)
                return order
            if order == "reload":
                self._notifier.reloading()
                self._reload(service, page)
                self._notifier.ready(status_of(service))
            printer.print_due()

    def _reload(self, service: Service, page: Page) -> None:
        """Apply the current config; an invalid one is logged and changes nothing."""
        try:
            config = self._load()
            self._formatter.cameras = {*service.cameras, *config.cameras}
            page.follow(config)
            try:
                service.reload(config)
            except Exception:  # of whatever kind: the page has to fit what the service does
                page.follow(self._config)
                raise
        except EdgeCountError as error:
            _log.error("not reloaded, the previous config stays in use: %s", error)
            return
        except Exception:  # noqa: BLE001 (a mistake of ours is no reason to stop counting, either)
            _log.exception("not reloaded")
            return
        self._config = config
        _log.info("reloaded: %s", _summary(config))

    def _say_start(self, config: WatchConfig) -> None:
        _log.info("watching %s", _summary(config))
        for name, camera in config.cameras.items():
            _log.info("%s: %s", name, camera.shown_source, extra={"camera": name})


def _service(config: WatchConfig) -> Service:
    """Return the service of a config; errors begin with its file, so that keys stay keys.

    Without it they are about options of the command line.

    Raises:
        EdgeCountError: see `Service`.
    """
    kinds = (BackendError, ConfigError, ModelError)
    try:
        return Service(config)
    except kinds as error:
        if config.path is None:
            raise
        kind = next(one for one in kinds if isinstance(error, one))
        raise kind(f"{config.path}: {error}") from error


def _print_every(config: WatchConfig, every: float | None) -> float:
    if every is not None:
        return every
    sinks = any(section is not None for section in vars(config.sinks).values())
    goes_nowhere = config.serve is None and config.history is None and not sinks
    return _PRINTED if goes_nowhere else 0.0


def _summary(config: WatchConfig) -> str:
    number = len(config.cameras)
    return f"{number} camera{'' if number == 1 else 's'} with {config.model}"
