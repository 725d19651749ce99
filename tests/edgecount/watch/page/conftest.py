"""The page over a service that stands in for a real one."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from stand_in import EDITOR, RAISED, VIEWER, Camera, StandIn, blank

pytest.importorskip("starlette", reason='needs pip install "edgecount[watch]"')
pytest.importorskip("httpx")

with warnings.catch_warnings():
    # It would rather have httpx2, which does not exist for Python 3.10.
    warnings.filterwarnings("ignore", "Using `httpx` with `starlette.testclient`")
    from starlette.testclient import TestClient

from edgecount._web.access import Access
from edgecount.scenes import render_scene
from edgecount.watch.page.app import build_app

HALL = {"polygon": [[0, 0], [1, 0], [1, 1], [0, 1]], "excluded": []}


class PageClient(TestClient):
    """A client that leaves a WebSocket after its handler has ended.

    Starlette's cancels a handler that is still saying goodbye, and now and then that cancellation
    comes out of the test, whose assertions were met.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        self._running = 0  # handlers of WebSockets

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            is_socket = scope["type"] == "websocket"
            self._running += is_socket
            try:
                await app(scope, receive, send)
            finally:
                self._running -= is_socket

        super().__init__(watched, **options)

    @contextmanager
    def websocket_connect(self, *args: Any, **options: Any) -> Iterator[Any]:
        """Connect; closes the connection when the block has ended."""
        with super().websocket_connect(*args, **options) as websocket:
            yield websocket
            websocket.close()
            deadline = time.monotonic() + 20
            while self._running and time.monotonic() < deadline:
                time.sleep(0.001)
            assert not self._running


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """Start Chromium, for the tests of one file."""
    from browsing import chromium  # skips where there is no Selenium

    with chromium() as driver:
        yield driver


ClientMaker = Callable[..., TestClient]


@pytest.fixture
def service() -> StandIn:
    door = Camera(
        "door",
        "Main <b>door</b>",
        [blank()],
        shapes={
            "regions": {"hall": HALL},
            "lines": {"gate": {"start": [0.5, 1], "end": [0.5, 0]}},
            "ground": {
                "corners": [[0.3, 0.3], [0.7, 0.3], [0.9, 1], [0.1, 1]],
                "width": 4,
                "depth": 6,
            },
        },
        alarms={
            "crowded": RAISED,
        },
    )
    service = StandIn([door, Camera("away", "Away")])
    service.step()
    return service


@pytest.fixture
def client_of(service: StandIn) -> Iterator[ClientMaker]:
    """Make a client of the page; by `tokens` or `access`, one that has to show one."""
    opened: list[TestClient] = []

    def make(
        *,
        tokens: bool = False,
        access: Access | None = None,
        host: str = "127.0.0.1:8080",
        **options: object,
    ) -> TestClient:
        access = access or (Access(EDITOR, VIEWER) if tokens else Access())
        app = build_app(service, access, **options)
        client = PageClient(
            app, base_url=f"http://{host}", raise_server_exceptions=False, follow_redirects=False
        )
        client.__enter__()
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(client_of: ClientMaker) -> TestClient:
    return client_of()


@pytest.fixture(scope="module")
def picture() -> Any:
    scene = render_scene(12, size=(320, 240), seed=3, place="plaza", light="day")
    return scene.image, scene.points


@pytest.fixture
def browser(driver: Any, picture: Any) -> Iterator[Any]:
    from browsing import visiting  # skips where there is no Selenium

    shapes = {
        "regions": {"hall": {"polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]}},
        "lines": {"gate": {"start": [0.5, 1], "end": [0.5, 0]}},
        "ground": {"corners": [[0.4, 0.5], [0.6, 0.5], [0.8, 1], [0.2, 1]], "width": 4, "depth": 6},
    }
    door = Camera("door", "<i>Door</i>", [picture], shapes=shapes, alarms={"crowded": RAISED})
    service = StandIn([door, Camera("yard", "Yard", [picture])])
    with visiting(driver, service, faults=["status of 4"]) as browser:
        yield browser
