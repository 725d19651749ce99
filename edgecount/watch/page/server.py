"""The page's server, in a thread beside the service."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from edgecount._web.serving import AppServer
from edgecount.errors import ConfigError, MissingExtraError
from edgecount.watch.page.tokens import COOKIE, read_access

if TYPE_CHECKING:
    from edgecount.watch.page.contract import Service


class PageServer(AppServer):
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
        host, port = parse_address(address)
        access = read_access(host, token_file, viewer_token_file)
        try:
            import uvicorn  # noqa: F401 (of the server; its lack is told here)

            from edgecount.watch.page.app import build_app
        except ImportError as error:
            package = (error.name or "uvicorn").partition(".")[0]
            raise MissingExtraError(package, "watch", "to serve the page") from error
        from edgecount import __version__

        app = build_app(
            service,
            access,
            listens=host,
            hosts=hosts,
            read_only=read_only,
            metrics=metrics,
            version=__version__,
            # Two services on one host would log each other's users out.
            cookie=f"{COOKIE}_{port or secrets.token_hex(4)}",
        )
        super().__init__(app, host, port, setting="serve.address", websockets=True)


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
