"""All of `edgecount watch` at once: a camera, the service and its config file, a broker, a browser.

The camera sends the figures of fake cameras, which are counted exactly, so that every number on the
page is known.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest
from browsing import Browser, chromium, drag

from camera_servers import INSTALL, CameraServer, gstreamer_encoders
from edgecount import EdgeCounter
from edgecount.fake import HeadBackend, Show
from edgecount.fake.pictures import Painter
from edgecount.fake.script import Script
from edgecount.watch.config import load
from edgecount.watch.page import PageServer
from edgecount.watch.service import Service
from mosquitto import Listener, Mosquitto

SIZE = (640, 480)
FEW, MANY = 5, 12
PASSWORD = "hunter2-of-the-camera"  # noqa: S105 (of a test camera)
CONFIG = """\
# Cameras of the shop.
cameras:
  door:  # at the main entrance
    title: Main entrance
    source: {source}
    check_picture: false  # it never moves
    smooth: {{median: 0, mean: 0}}
    open_timeout: 20
    first_timeout: 20
    stall_timeout: 2
    alarms:
      # More than the fire brigade allows.
      crowded: {{above: 8, below: 7, enter: 0, leave: 0, cooldown: 0}}
history: {{path: {folder}/history.sqlite}}
sinks:
  jsonl: {{path: {folder}/counts.jsonl}}
{broker}"""


@dataclass
class Whole:
    """All of it."""

    camera: CameraServer
    path: Path
    service: Service
    page: PageServer
    browser: Browser
    heard: Listener | None


class Pictures:
    """The camera's pictures as files, and where the heads are in them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._painter = Painter(1, rendered=False)

    def file(self, people: int) -> str:
        path = self._folder / f"{people}.i420"
        image = self._painter.picture(self._scene(people), 0.0, 0)
        path.write_bytes(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420).tobytes())
        return str(path)

    def left(self, people: int) -> int:
        """Return how many heads are in the left half."""
        heads = self._painter.heads(self._scene(people), 0.0)
        return int((heads[:, 0] < SIZE[0] / 2).sum())

    def _scene(self, people: int) -> Any:
        return Script([Show(1, people=people)], SIZE, loop=False).scenes[0]


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    return Pictures(tmp_path)


@pytest.fixture
def whole(tmp_path: Path, pictures: Pictures) -> Iterator[Whole]:
    if "x264enc" not in gstreamer_encoders():
        pytest.skip(f"no GStreamer with an RTSP server here: {INSTALL}")
    with contextlib.ExitStack() as stack:
        driver = stack.enter_context(chromium())
        heard, broker = None, ""
        if shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin"):
            running = stack.enter_context(Mosquitto(tmp_path, "allow_anonymous true"))
            heard = stack.enter_context(Listener(running.port))
            broker = f"  mqtt: {{host: 127.0.0.1, port: {running.port}, tls: false, every: 0}}\n"
        still = {"still": pictures.file(FEW), "fps": 5, "key": 5}
        server = CameraServer("rtsp", {"/cam": still}, user="viewer", password=PASSWORD)
        stack.enter_context(server)
        path = tmp_path / "cameras.yaml"
        source = server.url(login=f"viewer:{PASSWORD}")
        path.write_text(CONFIG.format(source=source, folder=tmp_path, broker=broker))
        counter = stack.enter_context(EdgeCounter(backend=HeadBackend()))
        service = stack.enter_context(Service(load(path), counter=counter))
        page = PageServer(service, "127.0.0.1:0")
        page.start()
        browser = Browser(driver, page.url)
        browser.open("door")
        whole = Whole(server, path, service, page, browser, heard)
        stack.callback(lambda: whole.page.stop())  # noqa: PLW0108 (it is another one by then)
        stack.callback(driver.get, "about:blank")
        yield whole
        assert PASSWORD not in driver.page_source
        for place in ("api/state", "api/events"):
            with urllib.request.urlopen(page.url + place, timeout=10) as answer:  # noqa: S310
                assert PASSWORD not in answer.read().decode()
        # While the page's server was away the browser could not reach it, and said so.
        assert [one for one in browser.faults() if "ERR_CONNECTION" not in one] == []


def test_a_day_with_a_camera(whole: Whole, pictures: Pictures) -> None:
    browser = whole.browser
    browser.until(lambda: browser.text(".big").startswith(f"{FEW}.0"))
    browser.until(browser.is_painted)
    _draw_a_region(whole, pictures)
    _lose_the_camera(whole)
    _raise_an_alarm(whole, pictures)
    _edit_the_config(whole)
    _restart_the_page(whole)


def _draw_a_region(whole: Whole, pictures: Pictures) -> None:
    browser = whole.browser
    browser.button("Edit regions").click()
    browser.button("+ Region").click()
    for corner, place in enumerate([(0, 0), (0.5, 0), (0.5, 1), (0, 1)]):
        drag(browser, f"[data-corner='{corner}']", place)
    browser.button("Save").click()
    browser.until(lambda: f"region 1\t{pictures.left(FEW)}.0" in browser.text(".side table"))
    # The file has it, and all that people wrote there.
    saved = load(whole.path).cameras["door"].regions["region 1"].polygon
    assert [(round(x, 2), round(y, 2)) for x, y in saved] == [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]
    text = whole.path.read_text()
    for kept in ("# Cameras of the shop.", "# at the main entrance", "# it never moves", PASSWORD):
        assert kept in text
    # Drawn once more: the count changes.
    browser.until(lambda: browser.button("Edit regions").is_enabled())
    browser.button("Edit regions").click()
    for corner in (1, 2):
        drag(browser, f"[data-corner='{corner}']", (1, corner - 1))
    browser.button("Save").click()
    browser.until(lambda: f"region 1\t{FEW}.0" in browser.text(".side table"))


def _lose_the_camera(whole: Whole) -> None:
    browser = whole.browser
    whole.camera.kill()
    browser.until(lambda: "Main entrance" in browser.text(".message"))
    browser.until(lambda: "camera lost" in browser.text(".events"))
    whole.camera.restart()
    browser.until(lambda: not browser.find(".message").is_displayed())
    browser.until(lambda: "camera back" in browser.text(".events"))
    browser.until(lambda: browser.text(".big").startswith(f"{FEW}.0"))


def _raise_an_alarm(whole: Whole, pictures: Pictures) -> None:
    browser = whole.browser
    whole.camera.order(still=pictures.file(MANY))
    browser.until(lambda: "Main entrance: crowded, above 8 people" in browser.text("#banners"))
    browser.until(lambda: browser.text(".big").startswith(f"{MANY}"))
    browser.find("#banners button").click()
    browser.until(lambda: not browser.text("#banners"))
    browser.until(lambda: "raised, acknowledged" in browser.text(".alarm"))
    browser.until(lambda: "crowded acknowledged" in browser.text(".events"))
    if whole.heard is not None:
        kept = whole.heard.kept
        topic = "edgecount/door/alarms/crowded"
        browser.until(lambda: topic in kept and json.loads(kept[topic])["acknowledged"])
        assert json.loads(kept[topic])["state"] == "ON"


def _edit_the_config(whole: Whole) -> None:
    browser = whole.browser
    text = whole.path.read_text()
    whole.path.write_text(text.replace("title: Main entrance", "title: Side <b>entrance</b>"))
    whole.service.reload(load(whole.path))
    browser.until(lambda: browser.text("h1") == "Side <b>entrance</b>")
    # Nothing of what was drawn, and no alarm that was known of, is lost by it.
    assert "region 1" in browser.text(".side table")
    assert "raised, acknowledged" in browser.text(".alarm")


def _restart_the_page(whole: Whole) -> None:
    browser = whole.browser
    whole.page.stop()
    browser.until(lambda: "No connection to the service" in browser.text("#link"))
    whole.page = PageServer(whole.service, whole.page.url.split("/")[2])
    whole.page.start()
    browser.until(lambda: not browser.text("#link"))
    counted = whole.service.cameras["door"].health().counted
    browser.until(lambda: _counted(browser) > counted)


def _counted(browser: Browser) -> int:
    """Return the number of counted pictures that the page shows."""
    found = re.search(r"Counted, dropped\s+(\d+)", browser.text(".facts"))
    return int(found[1]) if found else 0
