"""A folder of small pictures, clients of its page, and Chromium that shows it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("starlette", reason='needs pip install "edgecount[label]"')
pytest.importorskip("httpx")

with warnings.catch_warnings():
    # It would rather have httpx2, which does not exist for Python 3.10.
    warnings.filterwarnings("ignore", "Using `httpx` with `starlette.testclient`")
    from starlette.testclient import TestClient

from edgecount import EdgeCounter, FakeBackend
from edgecount.label import LabelServer
from edgecount.label.app import Desk, build_app
from edgecount.label.pictures import Pictures
from edgecount.label.proposals import Proposer
from edgecount.label.store import LabelStore
from edgecount.label.table import choose_file

TOKEN = "a-token-of-a-test"  # noqa: S105
HEADS = [(20, 10), (40, 30), (60, 50)]

PATIENCE = 30.0  # s
Place = tuple[float, float]
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


class Page:
    """Chromium without a screen, and what one does with the page in it."""

    def __init__(self, driver: Any, server: LabelServer) -> None:
        self.driver, self.server = driver, server

    def open(self, *, width: int = 1000, height: int = 700) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get(self.server.address)
        self.until(lambda: self.text("#title") and not self.text("#message"))

    def script(self, code: str, *given: Any) -> Any:
        return self.driver.execute_script(code, *given)

    def text(self, selector: str) -> str:
        return str(
            self.script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        )

    def press(self, *keys: str) -> None:
        self.driver.find_element("id", "board").send_keys(*keys)

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def until(self, test: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE
        while not test():
            assert time.monotonic() < end, (self.text("body"), self.driver.get_log("browser"))
            time.sleep(0.05)

    def shows(self, title: str, count: str) -> None:
        """Wait until a picture and its count are shown."""
        self.until(lambda: self.text("#title") == title and count in self.text("#count"))

    def is_saved(self) -> None:
        self.until(lambda: self.text("#saved") == "Saved")

    def at(self, x: float, y: float, size: tuple[int, int]) -> tuple[float, float]:
        """Return where a place of a picture that is shown whole is in the window."""
        code = "return (({x, y, width, height}) => [x, y, width, height])(document.querySelector('#board').getBoundingClientRect())"  # noqa: E501
        left, top, wide, tall = self.script(code)
        scale = min(wide / size[0], tall / size[1])
        return (
            left + (wide - size[0] * scale) / 2 + x * scale,
            top + (tall - size[1] * scale) / 2 + y * scale,
        )

    def mouse(
        self, *places: tuple[float, float], button: str = "left", shift: bool = False
    ) -> None:
        """Press at the first place, move over the others and let go at the last."""
        kinds = ["mousePressed", *["mouseMoved"] * (len(places) - 1), "mouseReleased"]
        for kind, (x, y) in zip(kinds, [*places, places[-1]], strict=True):
            event = {"type": kind, "x": x, "y": y, "button": button, "clickCount": 1}
            event |= {"buttons": 2 if button == "right" else 1, "modifiers": 8 if shift else 0}
            self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    def hold(self, key: str, code: str, number: int) -> None:
        """Hold a key down for some seconds, until the keyboard has repeated it 20 times."""
        event = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        text = {"text": "\r"} if key == "Enter" else {}
        for i in range(21):
            pressed = {"type": "keyDown", **event, **text, "autoRepeat": i > 0}
            self.driver.execute_cdp_cmd("Input.dispatchKeyEvent", pressed)
            time.sleep(0.5 if not i else 0.03)  # as keyboards do
        self.driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": "keyUp", **event})

    def alert(self) -> Any:
        """Wait for the question that the page asks."""
        from selenium.webdriver.support.expected_conditions import alert_is_present
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(self.driver, 60).until(alert_is_present())

    def leave(self) -> None:
        """Go to an empty page, also where changes are not saved."""
        self.driver.get("about:blank")
        if "about:blank" not in self.driver.current_url:
            self.driver.switch_to.alert.accept()

    def touch(self, *fingers: list[Place]) -> None:
        """Lay one or more fingers on, move each along its places, and lift them."""
        for step in range(len(fingers[0])):
            points = [
                {"x": path[step][0], "y": path[step][1], "id": i} for i, path in enumerate(fingers)
            ]
            kind = "touchMove" if step else "touchStart"
            event = {"type": kind, "touchPoints": points}
            self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", event)
        self.driver.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []}
        )


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """Start Chromium; skips where there is none."""
    from browsing import chromium

    with chromium() as started:
        yield started


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[None]]:
    """Return what fills the disk, as far as saving goes, for the length of a with block."""

    def no_space(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    @contextmanager
    def full() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", no_space)
            yield

    return full


@pytest.fixture
def page(driver: Any, folder: Path) -> Iterator[Page]:
    with LabelServer(folder, port=0) as server:
        yield Page(driver, server)
        faults = [one["message"] for one in driver.get_log("browser") if one["level"] == "SEVERE"]
        driver.get("about:blank")
    assert not [one for one in faults if "status of 4" not in one and "status of 507" not in one]


@pytest.fixture
def proposing(driver: Any, folder: Path) -> Iterator[Page]:
    with LabelServer(folder, port=0, open_counter=fake_counter, model="fake") as server:
        yield Page(driver, server)
        driver.get("about:blank")
