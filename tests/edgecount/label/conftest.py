"""A folder of small pictures, and clients of its page."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("starlette", reason='needs pip install "edgecount[watch]"')
pytest.importorskip("httpx")

with warnings.catch_warnings():
    # It would rather have httpx2, which does not exist for Python 3.10.
    warnings.filterwarnings("ignore", "Using `httpx` with `starlette.testclient`")
    from starlette.testclient import TestClient

from edgecount import EdgeCounter, FakeBackend
from edgecount.label.app import Desk, build_app
from edgecount.label.pictures import Pictures
from edgecount.label.proposals import Proposer
from edgecount.label.store import LabelStore
from edgecount.label.table import choose_file

TOKEN = "a-token-of-a-test"  # noqa: S105
HEADS = [(20, 10), (40, 30), (60, 50)]

ClientMaker = Callable[..., TestClient]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with a.jpg (96x64), b.png (64x48) and c.jpg (80x60)."""
    place = tmp_path / "pictures"
    place.mkdir()
    generator = np.random.default_rng(7)
    for name, width, height in (("a.jpg", 96, 64), ("b.png", 64, 48), ("c.jpg", 80, 60)):
        image = generator.integers(0, 255, (height, width, 3), np.uint8)
        cv2.imwrite(str(place / name), image)
    return place


def fake_counter(threshold: float) -> EdgeCounter:
    return EdgeCounter(backend=FakeBackend(HEADS), threshold=threshold)


@pytest.fixture
def client_of(folder: Path) -> Iterator[ClientMaker]:
    """Make a client of the folder's page that was let in; `proposes`: with heads of a model."""
    ends: list[Callable[[], object]] = []

    def make(*, out: Path | None = None, proposes: bool = False, enter: bool = True) -> TestClient:
        pictures = Pictures(folder)
        store = LabelStore(choose_file(folder, out))
        ends.append(store.close)
        proposer = Proposer(pictures, fake_counter, "fake") if proposes else None
        if proposer:
            ends.append(proposer.close)
        desk = Desk(folder, pictures, store, proposer)
        client = TestClient(
            build_app(desk, token=TOKEN, port=8087),
            base_url="http://127.0.0.1:8087",
            raise_server_exceptions=False,
            follow_redirects=False,
        )
        client.desk = desk
        client.__enter__()
        ends.append(lambda: client.__exit__(None, None, None))
        if enter:
            assert client.get(f"/login?token={TOKEN}").headers["location"] == "/"
        return client

    yield make
    for end in reversed(ends):
        end()


@pytest.fixture
def client(client_of: ClientMaker) -> TestClient:
    return client_of()
