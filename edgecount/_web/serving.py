"""A server of an app, in a thread of its own."""

from __future__ import annotations

import logging
import socket
import threading
from typing import TYPE_CHECKING

from edgecount.errors import ConfigError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_log = logging.getLogger(__name__)

_START = 10.0  # s
_MOST_REQUESTS = 128  # at the same time, connections included
_LONGEST_MESSAGE = 16_384  # bytes from a browser
_UNREAD = 30_000  # ms after which the system ends a connection whose peer takes nothing


class AppServer:
    """Serves an app from a thread of its own.

    Args:
        app: the app.
        host: name or address to listen at.
        port: port to listen at; 0 takes a free one.
        setting: name of what says where to listen, for messages.
        websockets: whether the app has WebSockets.

    Raises:
        ImportError: uvicorn is not installed.
    """

    def __init__(
        self, app: ASGIApp, host: str, port: int, *, setting: str, websockets: bool = False
    ) -> None:
        import uvicorn

        from edgecount._web.patience import ImpatientProtocol

        self._host, self._port, self._setting = host, port, setting
        config = uvicorn.Config(
            app,
            lifespan="on",
            ws="websockets-sansio" if websockets else "none",
            ws_max_size=_LONGEST_MESSAGE,
            ws_ping_timeout=60.0,  # pings wait behind pictures, which may take that long
            ws_per_message_deflate=False,  # pictures are compressed, and zip bombs are not wanted
            http=ImpatientProtocol,
            h11_max_incomplete_event_size=16_384,
            limit_concurrency=_MOST_REQUESTS,
            proxy_headers=False,  # anybody can send X-Forwarded-For
            server_header=False,
            access_log=False,
            log_config=None,
            log_level="error",  # anybody can send nonsense, as often as they like
            timeout_keep_alive=10,
            timeout_graceful_shutdown=3,
        )
        self._server = uvicorn.Server(config)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/"

    def start(self) -> None:
        """Begin to serve.

        Raises:
            ConfigError: the address cannot be used.
        """
        self._socket = _listen(self._host, self._port, self._setting)
        self._port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="edgecount-page-server", daemon=True)
        self._thread.start()
        wait = threading.Event()
        for _ in range(int(_START / 0.02)):
            if self._server.started or not self._thread.is_alive():
                break
            wait.wait(0.02)
        if not self._server.started:
            self.stop()
            raise ConfigError(f"{self._setting}: the page could not be served at {self.url}")
        _log.info("the page is at %s", self.url)

    def stop(self) -> None:
        """Close all connections and stop serving."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(10.0)
            self._thread = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket] if self._socket else None)
        except SystemExit:
            _log.error("the page's server ended")
        except Exception:  # noqa: BLE001 (of whatever kind, somebody has to be told)
            _log.exception("the page's server ended; it is served again after a restart")


def _listen(host: str, port: int, setting: str) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"{setting}: {host} is no address of this machine: {error}") from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections have it from the listener
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD)
        found.bind(address)
        found.listen(128)
    except OSError as error:
        found.close()
        raise ConfigError(
            f"{setting}: {host}:{port} cannot be listened at: {error.strerror}; "
            "end what uses it or choose another port"
        ) from None
    return found
