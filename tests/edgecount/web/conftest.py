"""A small app, as those of the pages are, and clients of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason='needs pip install "edgecount[label]"')
pytest.importorskip("httpx")

with warnings.catch_warnings():
    # It would rather have httpx2, which does not exist for Python 3.10.
    warnings.filterwarnings("ignore", "Using `httpx` with `starlette.testclient`")
    from starlette.testclient import TestClient

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from edgecount._web.assets import serve
from edgecount._web.reply import RefusedError, http_error, read_json, reply

LARGE = b"x" * 200_000


@pytest.fixture
def app(tmp_path: Path) -> ASGIApp:
    """Make an app that tells who asks, returns JSON, and has the files of a folder."""

    async def told(request: Request) -> Response:
        return reply({"role": getattr(request.state, "role", None)})

    async def returned(request: Request) -> Response:
        return reply({"given": await read_json(request)})

    async def large(_: Request) -> Response:
        return Response(LARGE)

    async def static(request: Request) -> Response:
        found = serve(request, request.path_params["path"], tmp_path)
        if found is None:
            raise RefusedError(404, "there is no such file")
        return found

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        return reply({"error": str(error)}, error.status)

    routes = [
        Route("/api/told", told, methods=["GET", "POST"]),
        Route("/api/returned", returned, methods=["POST"]),
        Route("/large", large),
        Route("/static/{path:path}", static),
    ]
    failures = {RefusedError: refused, HTTPException: http_error}
    return Starlette(routes=routes, exception_handlers=failures)


@pytest.fixture
def make_client() -> Iterator[Callable[[ASGIApp], TestClient]]:
    """Make clients, which are closed in the end."""
    opened: list[TestClient] = []

    def make(app: ASGIApp) -> TestClient:
        client = TestClient(app, "http://127.0.0.1:8080", follow_redirects=False)
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def client(app: ASGIApp, make_client: Callable[[ASGIApp], TestClient]) -> TestClient:
    return make_client(app)
