"""Draw the picture of docs/label.md: the page of `edgecount label` over rendered scenes.

.venv/bin/python scripts/label_picture.py    # needs Chromium: apt install chromium chromium-driver
"""

import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.expected_conditions import alert_is_present
from selenium.webdriver.support.ui import WebDriverWait

from edgecount import EdgeCounter
from edgecount.label import LabelServer
from edgecount.scenes import render_scene

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "label.jpg"
SCENES = ((40, "day"), (0, "overcast"), (26, "day"), (70, "dusk"), (12, "night"))


def main() -> None:
    """Render, label some, take the picture."""
    with tempfile.TemporaryDirectory() as folder:
        for number, (people, light) in enumerate(SCENES, 1):
            scene = render_scene(people, seed=30 + number, size=(1280, 853), light=light)
            cv2.imwrite(str(Path(folder) / f"gate-{number}.jpg"), scene.image)
        with LabelServer(Path(folder), port=0, open_counter=_open, model="edgecount-s") as server:
            picture = _photograph(server.address)
    cv2.imwrite(str(TARGET), picture, [cv2.IMWRITE_JPEG_QUALITY, 82])
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")


def _open(threshold: float) -> EdgeCounter:
    return EdgeCounter(threshold=threshold)


def _photograph(address: str) -> np.ndarray:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        size = {"width": 1180, "height": 720, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get(address)
        for title, keys in (("gate-1", Keys.ENTER), ("gate-2", "e"), ("gate-3", "")):
            _wait(driver, title)
            asks = keys == "e" and not _text(driver, "count").startswith("0")
            driver.find_element("id", "board").send_keys(keys)
            if asks:  # heads are proposed
                WebDriverWait(driver, 60).until(alert_is_present()).accept()
        _wait(driver, "gate-3")
        driver.execute_script("document.activeElement.blur()")
        WebDriverWait(driver, 60).until(lambda _: _text(driver, "saved") == "Saved")
        data = np.frombuffer(driver.get_screenshot_as_png(), np.uint8)
    finally:
        driver.quit()
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def _wait(driver: webdriver.Chrome, title: str) -> None:
    wait = WebDriverWait(driver, 60)
    wait.until(lambda _: title in _text(driver, "title") and "proposed" in _text(driver, "count"))
    code = "return [...document.images].every((one) => one.complete)"
    wait.until(lambda _: driver.execute_script(code))


def _text(driver: webdriver.Chrome, name: str) -> str:
    return str(driver.find_element("id", name).text)


if __name__ == "__main__":
    main()
