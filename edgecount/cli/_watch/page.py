"""The page's server, which is restarted when its settings change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecount.errors import EdgeCountError

if TYPE_CHECKING:
    from pathlib import Path

    from edgecount.watch.config import ServeConfig, WatchConfig
    from edgecount.watch.page import PageServer
    from edgecount.watch.service import Service


class Page:
    """The page's server, as the config wants it.

    Args:
        service: the service that the page shows.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._server: PageServer | None = None
        self._settings: Any = None

    @property
    def url(self) -> str | None:
        """URL of the page; None: it is not served."""
        return None if self._server is None else self._server.url

    def follow(self, config: WatchConfig) -> None:
        """Serve the page as a config says, or not at all if the config has none.

        A server whose settings and tokens have not changed is kept.

        Raises:
            EdgeCountError: it cannot be served so; the previous server is kept.
        """
        settings = _settings(config)
        if settings == self._settings:
            return
        server = None if config.serve is None else self._made(config, config.serve)
        before, old = self._server, self._settings
        has_moved = settings is None or old is None or settings[0].address != old[0].address
        if server is not None and has_moved:
            server.start()  # while the old one goes on: the new address may be in use
        if before is not None:
            before.stop()
        self._server, self._settings = server, settings
        if server is not None and not has_moved:
            try:
                server.start()
            except EdgeCountError:
                self._server = self._settings = None
                raise

    def stop(self) -> None:
        """Stop the server."""
        if self._server is not None:
            self._server.stop()
        self._server = self._settings = None

    def _made(self, config: WatchConfig, serve: ServeConfig) -> PageServer:
        from edgecount.watch.page import PageServer
        from edgecount.watch.sinks.metrics import CONTENT_TYPE

        return PageServer(
            self._service,
            serve.address,
            token_file=None if serve.token_file is None else str(serve.token_file),
            viewer_token_file=None
            if serve.viewer_token_file is None
            else str(serve.viewer_token_file),
            hosts=serve.hosts,
            read_only=serve.read_only,
            metrics=(lambda: (self._service.metrics() or b"", CONTENT_TYPE))
            if config.sinks.prometheus is not None
            else None,
        )


def _settings(config: WatchConfig) -> tuple[Any, ...] | None:
    """Return all that the server depends on, the tokens included."""
    from edgecount.watch.config import read_secret

    def secret(path: Path | None) -> str | None:
        return None if path is None else read_secret(path)

    serve = config.serve
    if serve is None:
        return None
    tokens = secret(serve.token_file), secret(serve.viewer_token_file)
    return serve, *tokens, config.sinks.prometheus is not None
