"""The page in Chromium: held keys, changes that were left behind, heads outside a picture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecount.label import LabelServer
from edgecount.label.labels import Labels

pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.keys import Keys

SIZE = (96, 64)


@pytest.mark.parametrize("on", ["#board", "#finish"])
def test_a_held_enter_finishes_one_picture(proposing, on):
    page = proposing
    page.open()
    page.shows("a.jpg", "3 proposed")
    page.script("document.querySelector(arguments[0]).focus()", on)
    page.hold("Enter", "Enter", 13)
    page.shows("b.png", "proposed")
    page.is_saved()
    assert page.server.tally() == {"open": 0, "done": 1, "heads": 3}


def test_nobody_is_asked_about_where_heads_are_proposed(proposing):
    page = proposing
    page.open()
    page.shows("a.jpg", "3 proposed")
    page.press("e")
    alert = page.alert()
    assert alert.text == "Nobody here? The 3 proposed heads are not taken."
    alert.dismiss()
    page.shows("a.jpg", "3 proposed")
    page.press("e")
    page.alert().accept()
    page.shows("b.png", "proposed")
    page.is_saved()
    assert page.server.tally() == {"open": 0, "empty": 1, "heads": 0}


def test_held_keys_that_say_nobody_or_mark_the_middle(page):
    page.open()
    page.script("document.querySelector('#board').focus()")
    page.hold("a", "KeyA", 65)
    page.shows("a.jpg", "1 marked")
    page.press("n")
    page.shows("b.png", "0")
    page.hold("e", "KeyE", 69)
    page.shows("c.jpg", "0")
    page.is_saved()
    assert page.server.tally() == {"open": 1, "empty": 1, "heads": 0}


@pytest.mark.parametrize("moves", [False, True])
def test_what_began_in_one_picture_does_not_end_in_the_next(page, moves):
    page.open()
    x, y = page.at(30, 20, SIZE)
    for kind in ("mouseMoved", "mousePressed"):
        mouse = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
        page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", mouse | {"modifiers": 8 * moves})
    page.press("n")
    page.shows("b.png", "0")
    if moves:  # a rectangle that erases
        x += 60
        page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", mouse | {"type": "mouseMoved"})
    end = {"type": "mouseReleased", "x": x, "y": y, "button": "left", "clickCount": 1}
    page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", end)
    page.mouse(page.at(10, 10, (64, 48)))  # the next gesture counts
    page.shows("b.png", "1 marked")
    page.is_saved()
    assert page.server.store.get("a.jpg").points == ()
    assert len(page.server.store.get("b.png").points) == 1


@pytest.fixture
def left(page, folder: Path, full_disk) -> Iterator[None]:
    """Leave a mark in a.jpg that could not be saved, in the browser alone."""
    page.open()

    with full_disk():
        page.mouse(page.at(30, 20, SIZE))
        page.until(lambda: "No space left on device" in page.text("#bars"))
        page.leave()
    yield
    page.leave()


@pytest.mark.usefixtures("left")
def test_what_was_left_is_saved_and_that_is_said(page):
    page.open()
    page.until(lambda: "are saved now: a.jpg" in page.text("#toasts"))
    assert len(page.server.store.get("a.jpg").points) == 1


@pytest.mark.usefixtures("left")
def test_what_was_left_of_a_picture_that_others_changed_is_not_said_to_be_saved(page):
    theirs = Labels("done", ((1.0, 1.0), (2.0, 2.0)), SIZE)
    page.server.store.put("a.jpg", theirs, Labels().revision)
    page.open()
    page.shows("a.jpg", "1 marked")  # which is done, and still the one that is opened
    page.until(lambda: "which version shall stay?" in page.text("#bars"))
    page.until(lambda: "changed elsewhere: a.jpg" in page.text("#toasts"))
    assert "saved now:" not in page.text("#toasts")
    page.press("n")
    page.shows("b.png", "0")
    page.until(lambda: "a.jpg was changed in another window" in page.text("#bars"))
    page.click("#bars button")
    page.shows("a.jpg", "1 marked")
    page.click("#bars button")  # the other one
    page.shows("a.jpg", "2 marked")
    page.is_saved()
    assert page.server.store.get("a.jpg") == theirs


@pytest.mark.usefixtures("left")
def test_what_was_left_is_not_of_another_picture_of_the_same_name(page, folder):
    cv2.imwrite(str(folder / "a.jpg"), np.zeros((64, 96, 3), np.uint8))
    for said in ("another picture has this name now: a.jpg", ""):
        page.open()
        page.shows("a.jpg", "0 marked")
        page.until(lambda said=said: said in page.text("#toasts"))
    assert page.text("#toasts") == ""
    assert page.server.store.names() == []


def test_what_was_left_is_not_of_a_folder_of_the_same_name(driver, page, tmp_path, monkeypatch):
    """The same relative path, the same address, the same bytes: two folders even so."""
    image = np.zeros((64, 96, 3), np.uint8)
    for day in ("monday", "tuesday"):
        (tmp_path / day / "pictures").mkdir(parents=True)
        cv2.imwrite(str(tmp_path / day / "pictures" / "a.png"), image)
    monkeypatch.chdir(tmp_path / "monday")
    with LabelServer(Path("pictures"), port=0) as server:
        port = int(server.address.split(":")[2].partition("/")[0])
        page = type(page)(driver, server)
        page.open()
    page.mouse(page.at(30, 20, SIZE))
    page.until(lambda: "does not answer" in page.text("#bars"))
    page.leave()
    found = {}
    for day in ("tuesday", "monday"):
        monkeypatch.chdir(tmp_path / day)
        with LabelServer(Path("pictures"), port=port) as server:
            page = type(page)(driver, server)
            page.open()
            time.sleep(0.5)
            found[day] = (page.text("#toasts"), server.store.names())
            page.leave()
    driver.get_log("browser")
    assert found["tuesday"] == ("", [])
    assert "are saved now: a.png" in found["monday"][0]
    assert found["monday"][1] == ["a.png"]


@pytest.mark.parametrize("keeps", [False, True])
def test_a_file_that_is_replaced_while_it_is_open_is_asked_about(page, folder, keeps):
    page.open()
    page.mouse(page.at(30, 20, SIZE))
    page.is_saved()
    before = page.server.store.get("a.jpg")
    cv2.imwrite(str(folder / "a.jpg"), np.zeros((48, 96, 3), np.uint8))
    page.mouse(page.at(60, 20, SIZE))
    page.until(lambda: "was replaced by another one" in page.text("#bars"))
    page.shows("a.jpg", "2 marked")
    assert page.server.store.get("a.jpg") == before
    page.press("n")
    page.shows("b.png", "0")
    page.until(lambda: "a.jpg was replaced by another one" in page.text("#bars"))
    page.press("p")
    page.shows("a.jpg", "2 marked")  # which are still there
    page.click(f"#bars button:nth-of-type({1 + keeps})")
    page.shows("a.jpg", "2 marked" if keeps else "0 marked")
    page.is_saved()
    after = page.server.store.get("a.jpg")
    assert len(after.points) == 2 * keeps
    assert after.size == (96, 48) or not keeps
    page.press(Keys.CONTROL, "z")
    page.shows("a.jpg", "1 marked" if keeps else "2 marked")  # the old marks come back
    page.is_saved()


def test_a_page_that_was_left_open_saves_nothing_in_another_folder(page):
    page.open()
    page.script("document.querySelector('#board').focus()")
    page.server._desk._id = "another"
    page.mouse(page.at(30, 20, SIZE))
    page.until(lambda: "this page is of another folder" in page.text("#bars"))
    page.until(lambda: "Another folder is served" in page.text("#message"))
    assert page.server.store.names() == []
    page.leave()


@pytest.fixture
def outside(folder: Path) -> None:
    rows = ["image,x,y", "a.jpg,50,30", "a.jpg,120,20"]
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


@pytest.mark.usefixtures("outside")
def test_a_head_outside_is_told_and_stays_until_it_is_mended(page):
    page.open()
    page.click("li:nth-child(1) .item")
    page.shows("a.jpg", "2 marked")
    page.until(lambda: "1 mark lies outside the picture (120, 20)." in page.text("#bars"))
    page.mouse(page.at(10, 10, SIZE))
    page.shows("a.jpg", "3 marked")
    page.is_saved()
    assert (120.0, 20.0) in page.server.store.get("a.jpg").points
    page.click("#bars button:last-child")  # remove it
    page.shows("a.jpg", "2 marked")
    page.is_saved()
    assert page.text("#bars") == ""
    page.press(Keys.CONTROL, "z")
    page.shows("a.jpg", "3 marked")
    page.is_saved()
    page.click("#bars button")  # move it to the edge
    page.until(lambda: page.text("#bars") == "")
    page.is_saved()
    assert (96.0, 20.0) in page.server.store.get("a.jpg").points
