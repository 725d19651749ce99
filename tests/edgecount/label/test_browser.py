"""The page in Chromium: marks made by mouse, finger and keys, and the CSV that comes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecount.train.data.readers import read_samples

pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

HEADS = [(20, 10), (40, 30), (60, 50)]  # that the model of conftest finds


def points(folder: Path, name: str) -> list[list[int]]:
    """Return what training reads of a picture, rounded to pixels."""
    samples = {sample.path.name: sample for sample in read_samples("csv", folder)}
    return sorted([round(float(x)), round(float(y))] for x, y in samples[name].points)


def test_marks_are_made_moved_removed_and_brought_back(page, folder):
    size = (96, 64)
    page.open()
    page.shows("a.jpg", "0")
    for place in ((10, 10), (50, 30), (80, 50)):
        page.mouse(page.at(*place, size))
    page.shows("a.jpg", "3 marked")
    page.mouse(page.at(80, 50, size), page.at(75, 45, size), page.at(70, 40, size))
    page.mouse(page.at(50, 30, size))  # selects it
    page.until(lambda: page.driver.find_element(By.ID, "remove").is_enabled())
    page.press(Keys.DELETE)
    page.shows("a.jpg", "2 marked")
    page.mouse(page.at(10, 10, size), button="right")
    page.shows("a.jpg", "1 marked")
    page.press(Keys.CONTROL, "z")
    page.shows("a.jpg", "2 marked")
    page.is_saved()
    page.open()  # as after a reload: what is begun is still there
    page.shows("a.jpg", "2 marked")
    page.press(Keys.ENTER)
    page.shows("b.png", "0")
    page.is_saved()
    assert points(folder, "a.jpg") == [[10, 10], [70, 40]]


def test_a_rectangle_is_erased_and_nobody_is_said(page, folder):
    size = (96, 64)
    page.open()
    for place in ((10, 10), (20, 12), (80, 50)):
        page.mouse(page.at(*place, size))
    page.shows("a.jpg", "3 marked")
    page.mouse(page.at(3, 3, size), page.at(15, 15, size), page.at(30, 20, size), shift=True)
    page.shows("a.jpg", "1 marked")
    page.click("#undo")
    page.shows("a.jpg", "3 marked")
    page.press(Keys.CONTROL, "y")
    page.shows("a.jpg", "1 marked")
    page.click("#finish")
    page.shows("b.png", "0")
    page.press(Keys.ENTER)  # with no mark: it must be said that nobody is there
    page.until(lambda: "say so: E" in page.text("#toasts"))
    page.press("e")
    page.shows("c.jpg", "0")
    page.is_saved()
    assert page.text("#done") == "2 of 3 done"
    assert points(folder, "a.jpg") == [[80, 50]]
    assert points(folder, "b.png") == []
    page.press("p")
    page.shows("b.png", "nobody here")
    page.press("p")
    page.shows("a.jpg", "done")


def test_a_place_stays_when_it_is_zoomed(page, folder):
    size = (96, 64)
    page.open()
    x, y = page.at(30, 20, size)
    for _ in range(5):
        event = {"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": -240}
        page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)
    page.mouse((x, y), (x + 40, y + 30), button="right")  # pans
    page.mouse((x + 40, y + 30))
    page.shows("a.jpg", "1 marked")
    page.press("0")
    page.press("]", Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ESCAPE, Keys.ENTER)
    page.shows("b.png", "0")
    page.is_saved()
    assert points(folder, "a.jpg") == [[31, 21]]


def test_fingers(page, folder):
    size = (96, 64)
    page.open(width=390, height=800)
    assert page.script("return document.documentElement.scrollWidth") == 390
    page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        page.touch([page.at(20, 20, size)])
        page.touch([page.at(60, 40, size)])
        page.shows("a.jpg", "2 marked")
        x, y = page.at(48, 32, size)
        apart = [[(x - 20 - 10 * i, y) for i in range(6)], [(x + 20 + 10 * i, y) for i in range(6)]]
        page.touch(*apart)  # a pinch marks nothing
        page.shows("a.jpg", "2 marked")
        page.click("#fit")
        page.touch([page.at(60, 40, size), page.at(65, 45, size), page.at(70, 50, size)])
        page.shows("a.jpg", "2 marked")
        page.click("#finish")
        page.shows("b.png", "0")
        page.is_saved()
    finally:
        page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    assert points(folder, "a.jpg") == [[20, 20], [70, 50]]


def test_a_proposal_is_corrected(proposing, folder):
    page = proposing
    page.open()
    page.shows("a.jpg", "3 proposed")
    page.script(
        "const s = document.querySelector('#threshold'); s.value = 0.99;"
        "s.dispatchEvent(new Event('input'))"
    )
    least = page.text("#count")
    page.script(
        "const s = document.querySelector('#threshold'); s.value = 0.3;"
        "s.dispatchEvent(new Event('input'))"
    )
    page.shows("a.jpg", "3 proposed")
    assert "proposed" in least
    page.mouse(page.at(80, 10, (96, 64)))
    page.shows("a.jpg", "4 marked")
    assert not page.driver.find_element(By.ID, "slider").is_displayed()
    page.press(Keys.CONTROL, "z")
    page.shows("a.jpg", "3 proposed")
    page.press(Keys.ENTER)
    page.shows("b.png", "proposed")
    page.is_saved()
    assert points(folder, "a.jpg") == [list(head) for head in HEADS]


def test_two_windows_and_a_full_disk(page, folder, full_disk):
    size = (96, 64)
    page.open()
    page.mouse(page.at(10, 10, size))
    page.is_saved()
    desk = page.server._desk
    name = "a.jpg"
    revision = desk.store.get(name).revision
    desk.save(name, {"state": "open", "points": [[1, 1], [2, 2]], "revision": revision})
    page.mouse(page.at(50, 50, size))
    page.until(lambda: "changed in another window" in page.text("#bars"))
    assert len(desk.store.get(name).points) == 2
    page.click("#bars button:last-child")  # mine
    page.is_saved()
    assert len(desk.store.get(name).points) == 2
    assert (50.0, 50.0) in {(round(x), round(y)) for x, y in desk.store.get(name).points}

    with full_disk():
        page.mouse(page.at(80, 20, size))
        page.until(lambda: "No space left on device" in page.text("#bars"))
        page.shows(name, "3 marked")
        assert len(desk.store.get(name).points) == 2
    page.click("#bars button")
    page.is_saved()
    assert len(desk.store.get(name).points) == 3


def test_what_was_not_saved_outlives_the_page(page, folder, full_disk):
    page.open()

    with full_disk():
        page.mouse(page.at(10, 10, (96, 64)))
        page.until(lambda: "No space left on device" in page.text("#bars"))
        page.leave()
    page.open()
    page.shows("a.jpg", "1 marked")
    page.is_saved()
    assert len(page.server.store.get("a.jpg").points) == 1


def test_help_themes_and_the_list(page, folder):
    page.open()
    page.press("?")
    page.until(lambda: "Keys and fingers" in page.text("#keys"))
    page.click("#keys button")
    before = page.script("return document.documentElement.dataset.theme")
    page.click("#theme")
    assert page.script("return document.documentElement.dataset.theme") != before
    page.click("#theme")
    assert page.script("return document.querySelectorAll('.item').length") == 3
    page.click("li:nth-child(3) .item")
    page.shows("c.jpg", "0")
    page.script(
        "const f = document.querySelector('#filter'); f.value = 'done';"
        "f.dispatchEvent(new Event('change'))"
    )
    assert page.script("return document.querySelectorAll('.item').length") == 1
    unlabelled = "button:not([aria-label]), input:not([aria-label]), img:not([alt])"
    code = f"""return [...document.querySelectorAll({unlabelled!r})]
        .filter((one) => !one.textContent && !one.labels?.length).map((one) => one.outerHTML)"""
    assert page.script(code) == []
