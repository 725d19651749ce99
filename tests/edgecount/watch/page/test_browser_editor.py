"""The editor of regions and lines in Chromium: what others draw, what is typed, and keys."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from browsing import Browser, Keys, visiting

from stand_in import RAISED, Camera, StandIn

HALL = {"polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]}
SHAPES = {"regions": {"hall": HALL}, "lines": {"gate": {"start": [0.5, 1], "end": [0.5, 0]}}}
# Nothing comes from the service by itself: the page does not learn of what others do.
SILENT = "window.WebSocket = class { close() {} send() {} };"
LATE = """
const real = window.fetch;
window.fetch = async (path, options) => {
  const answer = await real(path, options);
  if (String(path).endsWith("/shapes")) await new Promise((go) => { window.answerNow = go; });
  return answer;
};"""


@pytest.fixture
def browser(driver: Any) -> Iterator[Browser]:
    noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
    heads = np.array([[120, 90], [200, 90]], np.float32)
    service = StandIn([Camera("door", "Door", [(noise, heads)], shapes=copy.deepcopy(SHAPES))])
    with visiting(driver, service, faults=["status of 4"]) as browser:
        yield browser


@pytest.fixture
def unlinked(browser: Browser) -> Iterator[Browser]:
    """The editor of a page that hears nothing, with a corner moved."""
    add, remove = (
        "Page.addScriptToEvaluateOnNewDocument",
        "Page.removeScriptToEvaluateOnNewDocument",
    )
    script = browser.driver.execute_cdp_cmd(add, {"source": SILENT})
    try:
        browser.open("door")
        browser.button("Edit regions").click()
        browser.find("[data-corner='0']").send_keys(Keys.ARROW_RIGHT)
        yield browser
    finally:
        browser.driver.execute_cdp_cmd(remove, script)


def edit(browser: Browser) -> None:
    browser.open("door")
    browser.until(browser.is_painted)
    browser.button("Edit regions").click()


def is_open(browser: Browser) -> bool:
    return bool(browser.driver.find_elements("css selector", "#editor"))


def titles(browser: Browser) -> list[str]:
    return [one.text for one in browser.driver.find_elements("css selector", ".shape .name")]


def chosen(browser: Browser) -> list[str]:
    """Return what is marked in the list, and the name in the field."""
    name = browser.find("input[type=text]").attribute("value")
    return [browser.text(".shape[aria-current=true] .name"), name]


def write(browser: Browser, name: str) -> None:
    """Type a name, and stay in the field."""
    browser.find("input[type=text]").send_keys(Keys.CONTROL, "a")
    browser.find("input[type=text]").send_keys(name)


def press(
    browser: Browser, selector: str, share: tuple[float, float], button: str = "left"
) -> None:
    """Press and let go a button of the mouse over a part of the page."""
    left, top, wide, tall = browser.boxes(selector)[0]
    place = {"x": left + share[0] * wide, "y": top + share[1] * tall}
    for kind in ("Pressed", "Released"):
        held = {"button": button, "buttons": 1 if button == "left" else 2, "clickCount": 1}
        event = {"type": f"mouse{kind}", **held, **place}
        browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def others_draw(browser: Browser, kind: str) -> dict[str, Any]:
    given = browser.service.cameras["door"].given
    given[kind] = {**given[kind], "theirs": next(iter(SHAPES[kind].values()))}
    return given


def test_what_others_drew_is_asked_about_though_the_page_has_not_heard_of_it(unlinked):
    given = others_draw(unlinked, "regions")
    for _ in range(2):  # who does not answer is asked again
        unlinked.button("Save").click()
        unlinked.until(
            lambda: "Somebody else has changed this" in unlinked.text("[role=alert].stack")
        )
    assert unlinked.service.calls == []
    unlinked.button("Save over it").click()
    unlinked.until(lambda: not is_open(unlinked))
    ((_, _, saved),) = unlinked.service.calls
    assert saved.keys() == {"regions"}
    assert [*given["regions"]] == ["hall"]


def test_what_others_drew_is_taken_and_undo_brings_the_own_drawing_back(unlinked):
    others_draw(unlinked, "regions")
    unlinked.button("Save").click()
    unlinked.until(lambda: "Somebody else" in unlinked.text("[role=alert].stack"))
    unlinked.button("Take theirs").click()
    assert titles(unlinked) == ["hall", "theirs", "→ gate"]
    unlinked.button("Undo").click()
    assert titles(unlinked) == ["hall", "→ gate"]
    unlinked.button("Undo").click()
    unlinked.button("Cancel").click()
    unlinked.alert().accept()
    unlinked.until(lambda: not is_open(unlinked))
    assert unlinked.service.calls == []


def test_what_others_drew_elsewhere_stays_and_nothing_is_asked(unlinked):
    given = others_draw(unlinked, "lines")
    unlinked.button("Save").click()
    unlinked.until(lambda: not is_open(unlinked))
    assert [*given["lines"]] == ["gate", "theirs"]
    assert given["regions"]["hall"]["polygon"][0] == [0.105, 0.1]


def test_a_name_is_taken_by_a_click_elsewhere_and_the_click_counts(browser):
    edit(browser)
    write(browser, "foyer")
    browser.button("→ gate").click()
    assert titles(browser) == ["foyer", "→ gate"]
    assert chosen(browser) == ["→ gate", "gate"]
    write(browser, "backdoor")
    browser.button("Turn the arrow round").click()
    write(browser, "side door")
    press(browser, ".view canvas", (0.2, 0.3))  # the region
    assert titles(browser) == ["foyer", "→ side door"]
    assert chosen(browser) == ["foyer", "foyer"]
    write(browser, "hall")
    browser.find("[aria-label='Delete → side door']").click()
    assert titles(browser) == ["hall"]
    browser.button("Undo").click()
    browser.button("Save").click()
    browser.until(lambda: browser.service.calls)
    shapes = browser.service.calls[0][2]
    assert shapes == {"lines": {"side door": {"start": [0.5, 0], "end": [0.5, 1]}}}


def test_a_name_that_is_being_typed_is_not_lost(browser):
    edit(browser)
    write(browser, "foyer")
    assert browser.script("return !dispatchEvent(new Event('beforeunload', {cancelable: true}))")
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    browser.alert().dismiss()
    assert titles(browser) == ["foyer", "→ gate"]
    write(browser, "lobby")
    press(browser, ".view canvas", (0.2, 0.3))  # the region that is being named
    assert chosen(browser) == ["lobby", "lobby"]
    browser.button("Save").click()
    browser.until(lambda: browser.service.calls)
    assert [*browser.service.calls[0][2]["regions"]] == ["lobby"]


def test_nothing_is_drawn_while_a_save_is_under_way(browser):
    edit(browser)
    browser.script(LATE)
    browser.find("[data-corner='0']").send_keys(Keys.ARROW_RIGHT)
    browser.button("Save").click()
    browser.until(lambda: browser.script("return Boolean(window.answerNow)"))
    press(browser, ".panel:has(#editor) .row button", (0.5, 0.5))  # + Region
    press(browser, ".handle.mid ~ .handle.mid", (0.5, 0.5))
    browser.script("document.querySelector(\"[data-corner='0']\").focus()")
    browser.driver.switch_to.active_element.send_keys(Keys.DELETE, Keys.ESCAPE)
    assert titles(browser) == ["hall", "→ gate"]
    assert len(browser.driver.find_elements("css selector", "[data-corner]")) == 4
    browser.script("window.answerNow()")
    browser.until(lambda: not is_open(browser))
    assert browser.focused("innerText") == "Edit regions"


def test_the_answer_to_a_save_does_not_end_another_editor(browser):
    browser.service.cameras["yard"] = Camera("yard", "Yard", browser_pictures(browser))
    browser.service.step()
    edit(browser)
    browser.script(LATE)
    browser.find("[data-corner='0']").send_keys(Keys.ARROW_RIGHT)
    browser.button("Save").click()
    browser.until(lambda: browser.script("return Boolean(window.answerNow)"))
    browser.find("#cameras [data-id='yard']").click()
    browser.alert().accept()
    browser.until(lambda: browser.text("h1") == "Yard")
    browser.button("Edit regions").click()
    browser.script("window.answerNow()")
    browser.until(lambda: "Saved" in browser.text("#toasts"))
    assert is_open(browser)
    assert not browser.driver.find_elements("css selector", ".toast.bad")


def browser_pictures(browser: Browser) -> list[Any]:
    return [(image, result.points) for image, result in browser.service.cameras["door"].pictures]


def test_corners_come_and_go_by_keys_and_the_focus_stays(browser):
    edit(browser)
    browser.find("[data-corner='3']").send_keys(Keys.INSERT)
    assert "corner 5 of 5, 10% across, 50% down" in browser.focused("aria-label")
    browser.driver.switch_to.active_element.send_keys(Keys.DELETE)
    assert "corner 4 of 4" in browser.focused("aria-label")
    browser.driver.switch_to.active_element.send_keys("+")
    browser.driver.switch_to.active_element.send_keys(Keys.CONTROL, "z")
    assert "corner 4 of 4" in browser.focused("aria-label")
    browser.find("[data-corner='0']").send_keys("+")
    browser.button("Save").send_keys(Keys.ENTER)
    browser.until(lambda: browser.service.calls)
    polygon = browser.service.calls[0][2]["regions"]["hall"]["polygon"]
    assert polygon == [[0.1, 0.1], [0.5, 0.1], *HALL["polygon"][1:]]


def test_another_button_of_the_mouse_adds_no_corner(browser):
    edit(browser)
    press(browser, ".handle.mid ~ .handle.mid", (0.5, 0.5), "right")
    time.sleep(0.1)
    browser.button("Save").click()
    browser.until(lambda: not is_open(browser))
    assert browser.service.calls == []


def test_names_that_are_numbers_keep_their_order(browser):
    given = browser.service.cameras["door"].given
    given["regions"] = {"hall": HALL, "10": HALL, "2": HALL}
    given["lines"] = {"gate": SHAPES["lines"]["gate"], "1": {"start": [0.2, 1], "end": [0.2, 0]}}
    alarms = {name: RAISED | {"region": name} for name in ("hall", "7")}
    browser.service.cameras["door"].given_alarms = alarms
    edit(browser)
    browser.until(lambda: "10" in browser.text(".side table"))
    assert heads(browser) == ["hall", "10", "2", "→ gate", "→ 1"]
    options = "return [...document.querySelectorAll('select option')].map((one) => one.value)"
    asked = ["count", "region:hall", "region:10", "region:2", "line:gate", "line:1"]
    assert browser.script(options) == asked
    cards = "return [...document.querySelectorAll('.alarm strong')].map((one) => one.textContent)"
    assert browser.script(cards) == ["hall", "7"]
    assert titles(browser) == heads(browser)
    browser.button("10").click()
    write(browser, "30\t")
    browser.button("+ Region").click()
    write(browser, "4\t")
    browser.button("Undo").click()
    browser.button("region 1").click()
    write(browser, "5\t")
    browser.button("Save").click()
    browser.until(lambda: browser.service.calls)
    ((_, _, saved),) = browser.service.calls
    assert [*saved["regions"]] == ["hall", "30", "2", "5"]
    assert saved.keys() == {"regions"}
    browser.until(lambda: heads(browser)[1:4] == ["30", "2", "5"])


def test_order_that_others_have_saved_is_kept(unlinked):
    given = unlinked.service.cameras["door"].given
    given["regions"] = {"hall": HALL, "10": HALL, "2": HALL}
    unlinked.button("Save").click()
    unlinked.until(lambda: "Somebody else" in unlinked.text("[role=alert].stack"))
    unlinked.button("Take theirs").click()
    assert titles(unlinked) == ["hall", "10", "2", "→ gate"]


def heads(browser: Browser) -> list[str]:
    """Return the names in the table of regions and lines."""
    code = """
    const named = (one) => [...one.childNodes].find(({ nodeType }) => nodeType === 3).data;
    return [...document.querySelectorAll(".side table th")].map(named);"""
    return browser.script(code)


def test_names_that_javascript_knows_are_names(browser):
    edit(browser)
    for name in ("constructor", "toString"):
        write(browser, f"{name}\t")
        assert titles(browser)[0] == name
    assert browser.text("#toasts") == ""
