"""The page's app, put together."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Collection

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from edgecount._web.access import Access
from edgecount._web.guard import Guard, Limits
from edgecount._web.reply import http_error, reply
from edgecount.watch.page import api
from edgecount.watch.page.contract import Service
from edgecount.watch.page.live import Hub
from edgecount.watch.page.tokens import COOKIE

_log = logging.getLogger(__name__)

_OTHER_NAME = "the page is not served under this name; add it to serve.hosts in the config"
_READ_ONLY = "the page is read-only (serve.read_only in the config)"


def build_app(
    service: Service,
    access: Access,
    *,
    listens: str = "127.0.0.1",
    hosts: Collection[str] = (),
    read_only: bool = False,
    metrics: Callable[[], tuple[bytes, str]] | None = None,
    version: str = "",
    cookie: str = COOKIE,
) -> ASGIApp:
    """Return the app that serves a service's page.

    Args:
        service: the service.
        access: who may see and change what.
        listens: name or address that it will listen at; loopback is asked for by its names alone.
        hosts: further names by which the page may be asked for.
        read_only: whether nothing may be changed.
        metrics: returns Prometheus' metrics and their media type; None: there are none.
        version: version of edgecount, which the page shows.
        cookie: name of the cookie of a login. Browsers send cookies to every port of a host.
    """
    hub = Hub(service)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        hub.start()
        try:
            yield
        finally:
            await hub.stop()

    app = Starlette(
        routes=_routes(),
        exception_handlers={
            **dict.fromkeys(api.ERRORS, api.refused),
            HTTPException: http_error,
            Exception: _failed,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.service, app.state.access, app.state.hub = service, access, hub
    app.state.metrics, app.state.cookie = metrics, cookie
    app.state.about = {
        "version": version,
        "read_only": read_only,
        "login": not access.is_open,
    }
    # Around the whole app, so that its answers to failures carry the headers, too.
    return Guard(
        app,
        access=access,
        limits=Limits(cookie, _OTHER_NAME, read_only=_READ_ONLY if read_only else ""),
        hosts=hosts,
        listens=listens,
    )


def _routes() -> list[Route | WebSocketRoute]:
    camera = "/api/cameras/{camera}"
    return [
        Route("/", api.index),
        Route("/static/{path:path}", api.static),
        Route("/login", api.login_form, methods=["GET"]),
        Route("/login", api.login, methods=["POST"]),
        Route("/logout", api.logout, methods=["POST"]),
        Route("/api/state", api.state),
        Route("/api/history", api.history),
        Route("/api/patterns", api.patterns),
        Route("/api/events", api.events),
        Route("/api/export.csv", api.export),
        Route(f"{camera}/alarms/{{name}}/acknowledge", api.acknowledge, methods=["POST"]),
        Route(f"{camera}/shapes", api.shapes),
        Route(f"{camera}/shapes", api.change_shapes, methods=["PUT"]),
        Route(f"{camera}/keep", api.keep, methods=["POST"]),
        Route(f"{camera}/snapshot.jpg", api.snapshot),
        Route("/metrics", api.metrics),
        Route("/health", api.health),
        WebSocketRoute("/ws", api.live),
    ]


async def _failed(_: Request, error: Exception) -> Response:
    # What went wrong is for the log; an answer must not tell of paths or addresses.
    _log.error("the page could not answer: %s", type(error).__name__)
    return reply({"error": "the service failed to answer; its log says why"}, 500)
