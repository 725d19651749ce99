"""A browser for the tests of the page."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest

from edgecount.watch.page import PageServer

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.chrome.service import Service as Driver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.expected_conditions import alert_is_present  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

__all__ = [
    "Browser",
    "Keys",
    "Way",
    "before_the_page",
    "chromium",
    "drag",
    "serving",
    "speak",
    "visiting",
]

PATIENCE = 30.0  # s


class Element:
    """An element of the page, looked for at each use: the page draws many of them anew.

    Args:
        look: finds it.
    """

    def __init__(self, look: Callable[[], Any]) -> None:
        self._look = look

    def click(self) -> None:
        self._use(lambda found: found.click())

    def send_keys(self, *keys: str) -> None:
        self._use(lambda found: found.send_keys(*keys))

    def is_enabled(self) -> bool:
        return bool(self._use(lambda found: found.is_enabled()))

    def is_displayed(self) -> bool:
        return bool(self._use(lambda found: found.is_displayed()))

    def attribute(self, name: str) -> Any:
        return self._use(lambda found: found.get_attribute(name))

    def _use(self, use: Callable[[Any], Any]) -> Any:
        """Use it; again if it was drawn anew between finding and using."""
        return WebDriverWait(
            None, PATIENCE, 0, ignored_exceptions=[StaleElementReferenceException]
        ).until(lambda _: (use(self._look()),))[0]


class Browser:
    """Chromium without a screen, and what one does with it.

    Args:
        driver: see `chromium`.
        url: where the page is.
        step: called again and again while something is waited for.
    """

    def __init__(self, driver: Any, url: str, step: Callable[[], object] = lambda: None) -> None:
        self.driver, self.url, self.step = driver, url, step

    def open(self, camera: str = "", *, width: int = 1280, height: int = 900) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}#/{camera}")
        self.until(lambda: self.script("return document.querySelector('main canvas') !== null"))

    def script(self, code: str, *given: Any) -> Any:
        return self.driver.execute_script(code, *given)

    def find(self, selector: str) -> Element:
        return Element(lambda: self.driver.find_element(By.CSS_SELECTOR, selector))

    def button(self, text: str) -> Element:
        path = f"//button[normalize-space()='{text}']"
        return Element(lambda: self.driver.find_element(By.XPATH, path))

    def alert(self) -> Any:
        """Wait for the question that the page asks: it may come a moment after a click."""
        return WebDriverWait(self.driver, 60).until(alert_is_present())

    def text(self, selector: str) -> str:
        return str(
            self.script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        )

    def boxes(self, *selectors: str) -> list[tuple[float, float, float, float]]:
        """Return left, top, width and height of parts of the page, the picture in the middle."""
        code = """
        document.querySelector(".view").scrollIntoView({block: "center"});
        return Array.from(arguments, (selector) => {
          const box = document.querySelector(selector).getBoundingClientRect();
          return [box.x, box.y, box.width, box.height];
        });"""
        return [tuple(box) for box in self.script(code, *selectors)]

    def until(self, test: Callable[[], Any]) -> None:
        """Wait until something is so, and let the service go on meanwhile."""
        end = time.monotonic() + PATIENCE
        while not test():
            assert time.monotonic() < end, (self.driver.get_log("browser"), self.text("body"))
            self.step()
            time.sleep(0.05)

    def is_painted(self) -> bool:
        """Return whether the picture shows anything but one colour."""
        code = """
        const canvas = document.querySelector(".view canvas"), c = canvas.getContext("2d");
        const data = c.getImageData(0, 0, canvas.width, canvas.height).data;
        return new Set(Array.from({length: 400}, (_, i) => data[4 * i * 97])).size;"""
        return bool(self.script(code) > 20)

    def focused(self, attribute: str) -> Any:
        """Return an attribute, or a property, of the element that has the focus."""
        code = "const [e, name] = [document.activeElement, arguments[0]];"
        return self.script(f"{code} return e.getAttribute(name) ?? e[name]", attribute)

    def faults(self) -> list[str]:
        """Return the errors that the browser has noted since it was last asked."""
        log = self.driver.get_log("browser")
        return [one["message"] for one in log if one["level"] == "SEVERE"]


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium; skips where there is none."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("needs Chromium: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Driver(shutil.which("chromedriver")))
    driver.set_script_timeout(PATIENCE)
    speak(driver, "en-US")
    try:
        yield driver
    finally:
        driver.quit()


def speak(driver: Any, language: str) -> None:
    """Give the browser a language, whatever that of the machine is."""
    for locale in ("", language):  # the one before stands until it is taken back
        driver.execute_cdp_cmd("Emulation.setLocaleOverride", {"locale": locale})


def drag(
    browser: Browser, selector: str, place: tuple[float, float], *, finger: bool = False
) -> None:
    """Drag a handle to a place of the picture, in shares of it, with the mouse or a finger."""
    (left, top, wide, tall), frame = browser.boxes(selector, ".view canvas")
    begin = left + wide / 2, top + tall / 2
    goal = frame[0] + place[0] * frame[2], frame[1] + place[1] * frame[3]
    for kind, (x, y) in (("Pressed", begin), ("Moved", goal), ("Released", goal)):
        if finger:
            name = {"Pressed": "touchStart", "Moved": "touchMove", "Released": "touchEnd"}[kind]
            points = [] if kind == "Released" else [{"x": x, "y": y}]
            event = {"type": name, "touchPoints": points}
            browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", event)
        else:
            mouse = {"button": "left", "buttons": 1, "clickCount": 1}
            event = {"type": f"mouse{kind}", "x": x, "y": y, **mouse}
            browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)


@contextlib.contextmanager
def serving(driver: Any, service: Any, **files: str) -> Iterator[str]:
    """Serve the page of a service, and give its address; the browser leaves it in the end."""
    server = PageServer(service, "127.0.0.1:0", **files)
    server.start()
    try:
        yield server.url
    finally:
        driver.get("about:blank")
        driver.get_log("browser")  # messages of one test are none of the next one's
        server.stop()


@contextlib.contextmanager
def visiting(driver: Any, service: Any, *, faults: Collection[str]) -> Iterator[Browser]:
    """Serve the page of a service that stands in, and give a browser for it.

    Args:
        driver: see `chromium`.
        service: gives its first readings here.
        faults: what stands in errors that the browser may note; any other fails the test.
    """
    service.step()
    with serving(driver, service) as url:
        browser = Browser(driver, url, service.step)
        browser.service = service
        yield browser
        assert not [one for one in browser.faults() if not any(text in one for text in faults)]


class Way:
    """A way to the service that can lose what is sent on it.

    Args:
        port: the service's.
    """

    def __init__(self, port: int) -> None:
        self.port, self.is_cut = port, False
        self.lost: set[socket.socket] = set()  # what comes from them goes nowhere
        self.ends: list[socket.socket] = []
        self.threads = [threading.Thread(target=self._take)]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.threads[0].start()

    def lose(self) -> None:
        """Lose all that is sent by connections that are open, without closing them."""
        self.lost.update(self.ends)

    def cut(self) -> None:
        """Close all connections; new ones are closed until `is_cut` is False."""
        self.is_cut = True
        self.close(*self.ends)

    def close(self, *sockets: socket.socket) -> None:
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        self.cut()
        self.close(self.listener)
        for thread in self.threads:
            thread.join()
        for one in (self.listener, *self.ends):
            one.close()

    def _take(self) -> None:
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            if self.is_cut:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self.port))
            self.ends += [near, far]
            for one, other in ((near, far), (far, near)):
                self.threads.append(threading.Thread(target=self._carry, args=(one, other)))
                self.threads[-1].start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if one not in self.lost:
                    other.sendall(data)
        self.close(other)


@contextlib.contextmanager
def before_the_page(driver: Any, code: str) -> Iterator[None]:
    """Run a script before those of each page that is opened."""
    added = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": code})
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
