"""Measure the page of `edgecount watch` in Chromium: the first picture, and pictures a second.

Fake cameras play rendered pictures, which are counted without a model, so that what is measured is
the service, its page and the browser, which share the processor. Prints Markdown. It needs
`pip install -e ".[dev]"` and `apt install chromium chromium-driver`.

    python benchmarks/page.py [--cameras 3] [--fps 5] [--seconds 30] [--visits 10]
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import time
from collections.abc import Iterator
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver

from edgecount import EdgeCounter
from edgecount._web.assets import SHARED, assets
from edgecount.fake import FakeCamera, HeadBackend, Show
from edgecount.watch.config import CameraConfig, WatchConfig
from edgecount.watch.page import PageServer
from edgecount.watch.page.api import STATIC
from edgecount.watch.service import Service

SIZE = (1280, 720)
PEOPLE = 60
# Notes when a camera's picture is drawn onto a canvas of the page, in ms since the visit began.
NOTE = """
window.drawn = [];
const draw = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (source, ...rest) {
  if (source instanceof ImageBitmap) window.drawn.push(performance.now());
  return draw.call(this, source, ...rest);
};"""


def main() -> None:
    """Run the service with its page, visit it, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cameras", type=int, default=3)
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--visits", type=int, default=10)
    given = parser.parse_args()
    files = [*assets(SHARED).values(), *assets(STATIC).values()]
    size = sum(len(one.content) for one in files)
    packed = sum(len(one.packed) for one in files)
    print(f"Files of the page: {size / 1000:.1f} kB, {packed / 1000:.1f} kB as they are sent.\n")
    with running(given.cameras, given.fps, given.seconds) as service, browser() as driver:
        server = PageServer(service, "127.0.0.1:0")
        server.start()
        try:
            visit(driver, server.url)  # the browser itself has to come up once
            first = [visit(driver, server.url) for _ in range(given.visits)]
            before = counted(service)
            driver.execute_script("window.drawn = []")
            time.sleep(given.seconds)
            drawn = len(driver.execute_script("return window.drawn")) / given.seconds
            counts = (counted(service) - before) / given.seconds
        finally:
            driver.get("about:blank")
            server.stop()
    print(
        f"First picture, ms after the visit began, {given.visits} visits: "
        f"median {statistics.median(first):.0f}, worst {max(first):.0f}.\n"
    )
    print("| cameras | pictures/s of each | counted/s in all | drawn/s in all |")
    print("|---|---|---|---|")
    print(f"| {given.cameras} | {given.fps:g} | {counts:.1f} | {drawn:.1f} |")


@contextlib.contextmanager
def running(cameras: int, fps: float, seconds: float) -> Iterator[Service]:
    """Run a service over fake cameras."""
    names = [f"camera-{number}" for number in range(cameras)]
    script = [Show(600 + 10 * seconds, people=PEOPLE, walk=(20, 0))]
    sources = {
        name: FakeCamera(script, size=SIZE, fps=fps, name=name, seed=seed)
        for seed, name in enumerate(names)
    }
    config = WatchConfig(cameras={name: CameraConfig("fake", rate=None) for name in names})
    with (
        EdgeCounter(backend=HeadBackend()) as counter,
        Service(config, counter=counter, sources=sources) as service,
    ):
        while any(camera.latest() is None for camera in service.cameras.values()):
            time.sleep(0.1)
        yield service


def counted(service: Service) -> int:
    """Return how many pictures have been counted."""
    return sum(camera.health().counted for camera in service.cameras.values())


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Start Chromium without a screen."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Driver(shutil.which("chromedriver")))
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NOTE})
    driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    try:
        yield driver
    finally:
        driver.quit()


def visit(driver: Any, url: str) -> float:
    """Open the page, and return after how many ms its first picture was drawn."""
    driver.get("about:blank")
    driver.get(url)
    while not (drawn := driver.execute_script("return window.drawn")):
        time.sleep(0.05)
    return float(drawn[0])


if __name__ == "__main__":
    main()
