"""Run a service by a config until SIGTERM; SIGHUP reads the config again."""

from __future__ import annotations

import logging
import signal
import sys
import threading

from edgecount.errors import EdgeCountError
from edgecount.watch.config import load
from edgecount.watch.page.server import PageServer
from edgecount.watch.service import Service
from edgecount.watch.sinks.metrics import CONTENT_TYPE

_log = logging.getLogger(__name__)


def main() -> None:
    """Run it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stop, reload = threading.Event(), threading.Event()
    wake = threading.Event()

    def on_signal(number: int, _frame: object) -> None:
        (reload if number == signal.SIGHUP else stop).set()
        wake.set()

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    config = load(sys.argv[1])
    service = Service(config)
    with service:
        page = PageServer(
            service, config.serve.address, metrics=lambda: (service.metrics() or b"", CONTENT_TYPE)
        )
        page.start()
        while not stop.is_set():
            wake.wait()
            wake.clear()
            if reload.is_set():
                reload.clear()
                try:
                    service.reload(load(sys.argv[1]))
                    _log.info("reloaded")
                except EdgeCountError as error:
                    _log.error("not reloaded: %s", error)
        page.stop()


if __name__ == "__main__":
    main()
