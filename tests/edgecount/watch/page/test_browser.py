"""The page in Chromium, over a service that shows rendered people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browsing import Browser, Keys, chromium, drag

from edgecount.runtime.sources.live import SourceState
from edgecount.scenes import render_scene
from edgecount.watch.page import PageServer
from stand_in import Camera, StandIn

RAISED = {
    "region": "hall",
    "above": 2,
    "below": 1,
    "by": "count",
    "state": "raised",
    "since": 1.0,
    "count": 3.0,
    "peak": 4.0,
}


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="module")
def picture() -> Any:
    scene = render_scene(12, size=(320, 240), seed=3, place="plaza", light="day")
    return scene.image, scene.points


@pytest.fixture
def browser(driver: Any, picture: Any) -> Iterator[Browser]:
    shapes = {
        "regions": {"hall": {"polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]}},
        "lines": {"gate": {"start": [0.5, 1], "end": [0.5, 0]}},
        "ground": {"corners": [[0.4, 0.5], [0.6, 0.5], [0.8, 1], [0.2, 1]], "width": 4, "depth": 6},
    }
    door = Camera("door", "<i>Door</i>", [picture], shapes=shapes, alarms={"crowded": RAISED})
    service = StandIn([door, Camera("yard", "Yard", [picture])])
    service.step()
    server = PageServer(service, "127.0.0.1:0")
    server.start()
    try:
        browser = Browser(driver, server.url, service.step)
        browser.service = service
        yield browser
        assert not [one for one in browser.faults() if "status of 4" not in one]
    finally:
        driver.get("about:blank")
        server.stop()


def test_a_camera_is_shown_with_its_numbers(browser):
    browser.open("door")
    browser.until(browser.is_painted)
    assert browser.text(".big").startswith("12")
    assert "likely 11 to 14" in browser.text(".count")
    assert "gate" in browser.text("table")
    browser.until(lambda: "Mean" in browser.text(".read"))
    browser.until(lambda: "Busiest hours" in browser.text(".patterns > table"))
    # Names are text, whatever is in them.
    assert browser.text("h1") == "<i>Door</i>"
    assert browser.script("return document.querySelectorAll('h1 i').length") == 0
    assert browser.script("return document.querySelectorAll('.heat td[aria-label]').length") == 168


def test_density_is_switched_on_and_stays_on(browser):
    browser.open("door")
    browser.until(browser.is_painted)
    browser.find("[data-layer=density]").click()
    browser.until(lambda: "people per 100" in browser.text(".legend"))
    browser.open("door")
    assert browser.find("[data-layer=density]").get_attribute("aria-pressed") == "true"
    browser.find("[data-layer=density]").click()


def test_an_alarm_is_acknowledged(browser):
    browser.open("door")
    browser.until(lambda: "ALARM" in browser.text("#banners"))
    browser.find("#banners button").click()
    browser.until(lambda: not browser.text("#banners"))
    assert browser.service.calls == [("acknowledge", "door", "crowded")]
    browser.until(lambda: "raised, acknowledged" in browser.text(".alarm"))
    browser.until(lambda: "crowded acknowledged" in browser.text(".events"))


def test_a_corner_is_moved_with_keys_and_saved(browser):
    browser.open("door")
    browser.until(browser.is_painted)
    browser.button("Edit regions").click()
    handle = browser.find("[data-corner='0']")
    assert "hall, corner 1 of 4, 10% across" in handle.get_attribute("aria-label")
    handle.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    browser.button("Save").click()
    browser.until(lambda: browser.service.calls)
    name, camera, shapes = browser.service.calls[0]
    assert (name, camera) == ("change_shapes", "door")
    assert shapes["regions"]["hall"]["polygon"][0] == [0.105, 0.105]
    assert shapes.keys() == {"regions"}  # the rest of the config stays as it is


def test_a_region_is_drawn_with_the_mouse_and_its_count_appears(browser):
    browser.open("yard")
    browser.until(browser.is_painted)
    browser.button("Edit regions").click()
    browser.button("+ Region").click()
    browser.button("Undo").click()
    browser.button("+ Region").click()
    for corner, place in enumerate([(0, 0), (1, 0), (1, 1), (0, 1)]):
        drag(browser, f"[data-corner='{corner}']", place)
    browser.button("Save").click()
    browser.until(lambda: browser.text(".side table").split() == ["region", "1", "12"])


def test_a_refusal_is_told_and_nothing_is_lost(browser):
    from edgecount.errors import ConfigError

    browser.open("door")
    browser.until(browser.is_painted)
    browser.service.refuse = ConfigError("cameras.door.regions.hall: expected 3 corners")
    browser.button("Edit regions").click()
    browser.find("[data-corner='0']").send_keys(Keys.ARROW_RIGHT)
    browser.button("Save").click()
    browser.until(lambda: "expected 3 corners" in browser.text("#toasts"))
    assert browser.button("Save").is_enabled()
    browser.button("Cancel").click()
    browser.driver.switch_to.alert.dismiss()  # stay
    assert browser.button("Save").is_enabled()
    browser.button("Cancel").click()
    browser.driver.switch_to.alert.accept()
    browser.until(lambda: not browser.script("return document.querySelector('#editor')"))


def test_a_camera_that_is_away_is_told_and_comes_back(browser):
    browser.open("door")
    browser.until(browser.is_painted)
    door = browser.service.cameras["door"]
    door.state, door.error = SourceState.WAITING, "no answer"
    browser.until(lambda: "is away; it is tried again: no answer" in browser.text(".message"))
    door.state, door.error = SourceState.LIVE, None
    browser.until(lambda: not browser.find(".message").is_displayed())


def test_all_cameras_on_a_phone(browser):
    browser.open(width=390, height=800)
    browser.until(browser.is_painted)
    assert browser.script("return document.querySelectorAll('.tile').length") == 2
    for camera in ("", "door"):
        browser.open(camera, width=390, height=800)
        browser.until(browser.is_painted)
        assert browser.script("return document.documentElement.scrollWidth") == 390


def test_dark_and_light(browser):
    browser.open("door")
    shown = [browser.script("return getComputedStyle(document.body.parentElement).backgroundColor")]
    browser.find("#theme").click()
    shown.append(
        browser.script("return getComputedStyle(document.body.parentElement).backgroundColor")
    )
    assert len(set(shown)) == 2
    browser.find("#theme").click()
