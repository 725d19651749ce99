"""Draw the pictures of the page of `edgecount watch`: rendered crowds and the bundled model.

Six weeks of counts, made up to look as those of a market square do, are written into the history
beforehand. It needs `pip install -e ".[dev]"` and `apt install chromium chromium-driver`.

.venv/bin/python scripts/watch_pictures.py
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver

from edgecount.scenes import render_clip
from edgecount.scenes.stage import Setting, set_stage
from edgecount.watch.config import HistoryConfig, load
from edgecount.watch.history import History
from edgecount.watch.page import PageServer
from edgecount.watch.readings import Event
from edgecount.watch.service import Service

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"
SIZE = (960, 540)
FRAMES, FPS = 12, 5
HEADS = 1.55  # m above the ground, where the rectangle is marked: heads stand out from there
CROWDS = {
    "square": {"people": 74, "seed": 5, "place": "plaza", "light": "day"},
    "hall": {"people": 34, "seed": 4, "place": "hall", "light": "indoor"},
    "street": {"people": 22, "seed": 9, "place": "street", "light": "dusk"},
}
BUTTONS = "[...document.querySelectorAll('button')]"
PICTURE = ".view canvas[aria-label*=people]"
ALARMS = ((3, "raised", 18.2), (3, "cleared", 19.1), (1, "raised", 17.4), (1, "cleared", 18.1))
SERIES = {  # and their share of the people on the square
    ("square", "count"): 1.0,
    ("square", "region:stalls"): 0.35,
    ("square", "region:stage"): 0.22,
    ("square", "line:north gate"): 0.12,
    ("hall", "count"): 0.5,
    ("street", "count"): 0.33,
}
CONFIG = """\
cameras:
  square:
    title: Market square
    source: http://127.0.0.1:{port}/square
    pixelate: false
    regions:
      stalls:
        polygon: [[0.06, 0.42], [0.46, 0.36], [0.52, 0.92], [0.03, 0.95]]
      stage:
        polygon: [[0.58, 0.33], [0.93, 0.38], [0.97, 0.86], [0.62, 0.8]]
    lines:
      north gate: {{start: [0.47, 0.31], end: [0.63, 0.31]}}
    ground: {{corners: {corners}, width: 8, depth: 10}}
    alarms:
      crowded: {{region: stalls, above: {above}, below: {below}, enter: 1, leave: 30}}
  hall:
    title: Station hall
    source: http://127.0.0.1:{port}/hall
    pixelate: false
    regions:
      ticket machines:
        polygon: [[0.55, 0.3], [0.95, 0.3], [0.98, 0.75], [0.55, 0.7]]
  street:
    title: High street
    source: http://127.0.0.1:{port}/street
    pixelate: false
    lines:
      kerb: {{start: [0.1, 0.62], end: [0.9, 0.62]}}
history:
  path: {folder}/history.sqlite
"""


def main() -> None:
    """Render, count, open the page, and draw it."""
    make_it_evening()
    with tempfile.TemporaryDirectory() as place, cameras() as port:
        folder = Path(place)
        fill(folder / "history.sqlite")
        for name, above in (("quiet", 40), ("alarm", 18)):
            path = folder / f"{name}.yaml"
            settings = {"corners": ground(), "above": above, "below": above - 3}
            path.write_text(CONFIG.format(port=port, folder=folder, **settings))
        with Service(load(folder / "quiet.yaml")) as service, browser() as driver:
            server = PageServer(service, "127.0.0.1:0")
            server.start()
            try:
                draw(driver, server.url, service, folder)
            finally:
                driver.get("about:blank")
                server.stop()


def make_it_evening() -> None:
    """Choose a local time of about 18 o'clock, so that the day has been seen."""
    hours = (18 - datetime.now(timezone.utc).hour + 12) % 24 - 12
    os.environ["LANGUAGE"] = "en_GB"
    os.environ["TZ"] = f"Etc/GMT{-hours:+d}"
    time.tzset()


def draw(driver: Any, url: str, service: Service, folder: Path) -> None:
    """Draw all pictures."""
    page = Page(driver, url)
    page.open("square", 1240, 1060)
    time.sleep(60)  # the short line beside the count becomes as long as it gets
    page.draw("watch-camera-light")
    page.script("scrollTo(0, document.body.scrollHeight)")
    page.draw("watch-patterns")
    page.script("scrollTo(0, 0)")
    page.click("#theme")
    page.click("[data-layer=density]")
    page.draw("watch-camera-dark")
    page.click("[data-layer=density]")
    page.open("", 1360, 560)
    page.draw("watch-all")
    page.open("square", 1240, 720)
    page.script(f"{BUTTONS}.find((one) => one.innerText === 'Edit regions').click()")
    page.draw("watch-editor")
    service.reload(load(folder / "alarm.yaml"))
    page.open("square", 1240, 720)
    page.until("return document.querySelector('.banner') !== null")
    page.draw("watch-alarm")
    page.open("square", 390, 844, scale=2)
    page.draw("watch-phone")


class Page:
    """The page in a browser.

    Args:
        driver: Chromium.
        url: where the page is.
    """

    def __init__(self, driver: Any, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, camera: str, width: int, height: int, scale: int = 1) -> None:
        """Show a camera, or all, in a window of a size, and wait for its picture."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": scale > 1}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}#/{camera}")
        self.until(f"return document.querySelector('{PICTURE}') !== null")

    def script(self, code: str) -> Any:
        """Run JavaScript in the page."""
        return self.driver.execute_script(code)

    def click(self, selector: str) -> None:
        """Click on an element."""
        self.script(f"document.querySelector('{selector}').click()")

    def until(self, code: str) -> None:
        """Wait until JavaScript returns something true."""
        end = time.monotonic() + 60
        while not self.script(code):
            if time.monotonic() > end:
                raise SystemExit(f"the page did not come to: {code}")
            time.sleep(0.2)

    def boxes(self) -> list[list[int]]:
        """Return left, top, right and lower edge of the cameras' pictures in the window."""
        return self.script(
            "return [...document.querySelectorAll('.view')].map((one) => {"
            " const {left, top, right, bottom} = one.getBoundingClientRect();"
            " return [left, top, right, bottom].map((at) => Math.round(at * devicePixelRatio)); })"
        )

    def draw(self, name: str) -> None:
        """Write what the window shows, with as few colours as do."""
        time.sleep(2)
        path = FOLDER / f"{name}.png"
        with Image.open(io.BytesIO(self.driver.get_screenshot_as_png())) as image:
            shrink(image.convert("RGB"), self.boxes()).save(path, optimize=True)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def shrink(image: Image.Image, boxes: list[list[int]]) -> Image.Image:
    """Return a picture with 256 colours, 88 of them for the cameras' pictures."""
    rest, views = image.copy(), []
    for box in boxes:
        views.append(np.asarray(image.crop(box)).reshape(-1, 3))
        rest.paste(image.getpixel((0, 0)), tuple(box))
    pixels = np.concatenate(views)
    colours = Image.fromarray(pixels[: len(pixels) // 8 * 8].reshape(8, -1, 3)).quantize(88)
    both = [*colours.getpalette(), *rest.quantize(168).getpalette()]
    palette = Image.new("P", (1, 1))
    palette.putpalette(both)
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Start Chromium without a screen."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Driver(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


@contextlib.contextmanager
def cameras() -> Iterator[int]:
    """Send rendered crowds that walk to and fro over HTTP; yields the port."""
    pictures = {f"/{name}": render(**crowd) for name, crowd in CROWDS.items()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self.end_headers()
            with contextlib.suppress(OSError):
                for data in itertools.cycle(pictures[self.path]):
                    self.wfile.write(b"--picture\r\nContent-Type: image/jpeg\r\n")
                    self.wfile.write(b"Content-Length: %d\r\n\r\n%b\r\n" % (len(data), data))
                    time.sleep(1 / FPS)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def render(people: int, seed: int, place: str, light: str) -> list[bytes]:
    """Return JPEGs of a crowd that walks ahead and back again."""
    clip = render_clip(
        people, frames=FRAMES, fps=FPS, size=SIZE, seed=seed, place=place, light=light
    )
    # With less noise: PNGs of it are smaller.
    calm = [cv2.bilateralFilter(scene.image, 7, 24, 3) for scene in clip]
    ahead = [cv2.imencode(".jpg", image)[1].tobytes() for image in calm]
    return ahead + ahead[-2:0:-1]


def ground() -> list[list[float]]:
    """Return where eight by ten metres of the square's ground are in its pictures."""
    crowd = CROWDS["square"]
    setting = Setting(crowd["people"], SIZE, crowd["place"], crowd["light"], "auto", crowd["seed"])
    camera = set_stage(np.random.default_rng(setting.seed), setting).camera
    x, near, deep = np.array([-4.0, 4.0, 4.0, -4.0]), camera.near + 2.0, 10.0
    column, row, _ = camera.project(x, np.full(4, HEADS), near + np.array([deep, deep, 0.0, 0.0]))
    corners = np.column_stack([column / SIZE[0], row / SIZE[1]]).clip(0, 1)
    return [[round(value, 4) for value in corner] for corner in corners.tolist()]


def fill(path: Path) -> None:
    """Write 40 days of counts, and some events, into a new history."""
    history = History(HistoryConfig(path=path))
    history.open()
    now = datetime.now().astimezone()
    for days, change, hour in ALARMS:
        at = (now - timedelta(days=days)).replace(hour=int(hour), minute=int(60 * (hour % 1)))
        history.event(Event("square", at.timestamp(), "alarm", "crowded", change, 41.0, 52.0))
    history.close()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    gate = {"into": 812.0, "out": 797.0, "since": midnight}
    kerb = {"into": 274.0, "out": 268.0, "since": midnight}
    lines = {"square": {"north gate": gate}, "street": {"kerb": kerb}}
    path.with_name(f"{path.name}.state.json").write_text(json.dumps({"version": 1, "lines": lines}))
    start = (now - timedelta(days=40)).replace(hour=0, minute=0, second=0, microsecond=0)
    rng = np.random.default_rng(1)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        for number, ((camera, what), share) in enumerate(SERIES.items(), 1):
            database.execute("INSERT INTO series VALUES (?, ?, ?)", (number, camera, what))
            minutes = counts(start, now, share, rng)
            for table, step in (("minutes", 60), ("hours", 3600), ("days", 86400)):
                rows = [row(number, at, part, step, what) for at, part in grouped(minutes, step)]
                marks = ", ".join("?" * 12)
                database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608


def counts(
    start: datetime, end: datetime, share: float, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Return the people of each minute, and when it began."""
    found, drift = [], 0.0
    first, last = int(start.timestamp()) // 60 * 60, int(end.timestamp()) // 60 * 60
    for at in range(first, last, 60):
        moment = datetime.fromtimestamp(at).astimezone()
        drift = 0.97 * drift + rng.normal(0, 0.02)
        if not (moment.day % 13 == 4 and 3 <= moment.hour < 5):  # away for maintenance
            found.append((at, max(0.0, share * people(moment) * (1 + drift) + rng.normal(0, 0.4))))
    return found


def people(moment: datetime) -> float:
    """Return how many people a square has on an ordinary day of the week."""
    hour = moment.hour + moment.minute / 60
    weekday = (moment - timedelta(hours=5)).weekday()  # nights belong to the day before
    market = weekday in {2, 5}
    day = math.exp(-(((hour - (11 if market else 13)) / 2.6) ** 2)) * (95 if market else 48)
    evening = math.exp(-(((hour - 18) / 1.7) ** 2)) * (52 if weekday < 5 else 62)
    late = (hour - 22.5 + 12) % 24 - 12  # it goes on after midnight
    night = math.exp(-((late / 1.6) ** 2)) * (34 if weekday in {4, 5} else 6)
    return 1.5 + day + evening + night


def grouped(minutes: list[tuple[float, float]], step: int) -> Iterator[tuple[int, list[float]]]:
    """Return the minutes of each stretch of time, and when it began."""
    ahead = -time.timezone  # s, of the local time: days begin by it
    for at, part in itertools.groupby(
        minutes, lambda one: int((one[0] + ahead) // step * step - ahead)
    ):
        yield at, [value for _, value in part]


def row(number: int, at: int, values: list[float], step: int, what: str) -> tuple[Any, ...]:
    """Return a row of a table of the history."""
    seconds = 60.0 * len(values)
    if what.startswith("line:"):
        into = sum(values)
        return (number, at, seconds, len(values), *[None] * 6, into, 0.92 * into)
    mean = sum(values) / len(values)
    spread = 0.12 if step == 60 else 0.05
    low, high = min(values) * (1 - spread), max(values) * (1 + spread)
    return (
        number,
        at,
        seconds,
        len(values),
        low,
        mean,
        high,
        float(np.percentile(values, 95)),
        0.88 * mean,
        1.12 * mean,
        None,
        None,
    )


if __name__ == "__main__":
    main()
