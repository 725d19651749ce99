"""The page's server, in a thread beside the service."""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from edgecount.errors import ConfigError, MissingExtraError
from edgecount.watch.page.access import Access

if TYPE_CHECKING:
    from edgecount.watch.page.contract import Service

_log = logging.getLogger(__name__)

_START = 10.0  # s
_MOST_REQUESTS = 128  # at the same time, connections included
_LONGEST_MESSAGE = 16_384  # bytes from a browser


class PageServer:
    """Serves a service's page from a thread of its own.

    Args:
        service: the service.
        address: HOST:PORT, [IPV6]:PORT, or HOST with port 8080; port 0 takes a free one.
        token_file: file with the editors' token.
        viewer_token_file: file with the viewers' token.
        hosts: further names by which the page may be asked for, such as a proxy's.
        read_only: whether nothing may be changed from the page.
        metrics: returns Prometheus' metrics and their media type; None: there are none.

    Raises:
        ConfigError: the address or a token makes no sense, or the address needs a token.
        MissingExtraError: starlette or uvicorn is not installed.
    """

    def __init__(
        self,
        service: Service,
        address: str = "127.0.0.1:8080",
        *,
        token_file: str | None = None,
        viewer_token_file: str | None = None,
        hosts: Collection[str] = (),
        read_only: bool = False,
        metrics: Callable[[], tuple[bytes, str]] | None = None,
    ) -> None:
        self._host, self._port = parse_address(address)
        access = Access.from_files(self._host, token_file, viewer_token_file)
        try:
            import uvicorn

            from edgecount.watch.page.app import build_app
        except ImportError as error:
            package = (error.name or "uvicorn").partition(".")[0]
            raise MissingExtraError(package, "watch", "to serve the page") from error
        from edgecount import __version__

        app = build_app(
            service,
            access,
            listens=self._host,
            hosts=hosts,
            read_only=read_only,
            metrics=metrics,
            version=__version__,
        )
        config = uvicorn.Config(
            app,
            lifespan="on",
            ws="websockets-sansio",
            ws_max_size=_LONGEST_MESSAGE,
            ws_per_message_deflate=False,  # pictures are compressed, and zip bombs are not wanted
            http="h11",
            h11_max_incomplete_event_size=16_384,
            limit_concurrency=_MOST_REQUESTS,
            proxy_headers=False,  # anybody can send X-Forwarded-For
            server_header=False,
            access_log=False,
            log_config=None,
            log_level="warning",
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
        self._socket = _listen(self._host, self._port)
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
            raise ConfigError(f"serve.address: the page could not be served at {self.url}")
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


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT, [IPV6]:PORT or HOST.

    Raises:
        ConfigError: the text is none of them.
    """
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?", text)
    port = int(found[3] or 8080) if found else -1
    if found is None or not 0 <= port <= 65535:
        raise ConfigError(f"serve.address: expected HOST:PORT such as 127.0.0.1:8080, got {text!r}")
    return found[1] or found[2], port


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"serve.address: {host} is no address of this machine: {error}") from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(128)
    except OSError as error:
        found.close()
        raise ConfigError(
            f"serve.address: {host}:{port} cannot be listened at: {error.strerror}; "
            "end what uses it or choose another port"
        ) from None
    return found
