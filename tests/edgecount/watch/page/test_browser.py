"""The page in Chromium, over a service that shows rendered people."""

from __future__ import annotations

import pytest
from browsing import Browser, Keys, drag, serving

from edgecount.runtime.sources.live import SourceState
from stand_in import EDITOR, RAISED, VIEWER, Camera, StandIn


def test_a_camera_is_shown_with_its_numbers(browser):
    browser.open("door")
    browser.until(browser.is_painted)
    assert browser.text(".big").startswith("12")
    assert "likely 11 to 14" in browser.text(".count")
    assert "gate" in browser.text("table")
    browser.until(lambda: "Mean" in browser.text(".read"))
    browser.until(lambda: "Busiest hours" in browser.text(".patterns > table"))
    browser.script(
        "const select = document.querySelector('select'); select.value = 'line:gate';"
        "select.dispatchEvent(new Event('change'))"
    )
    browser.until(lambda: "in (line)" in browser.text(".read"))
    browser.until(lambda: "people in" in browser.text(".patterns:has(.heat) h3"))
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
    assert browser.find("[data-layer=density]").attribute("aria-pressed") == "true"
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
    assert "hall, corner 1 of 4, 10% across" in handle.attribute("aria-label")
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
    browser.alert().dismiss()  # stay
    assert browser.button("Save").is_enabled()
    browser.button("Cancel").click()
    browser.alert().accept()
    browser.until(lambda: not browser.script("return document.querySelector('#editor')"))


def test_what_was_drawn_is_not_lost_by_a_link(browser):
    browser.open("door")
    browser.until(browser.is_painted)
    browser.button("Edit regions").click()
    browser.button("+ Line").click()
    browser.find("#cameras [data-id='yard']").click()
    browser.alert().dismiss()
    assert browser.button("Save").is_enabled()
    assert browser.script("return location.hash") == "#/door"
    browser.find("#cameras [data-id='yard']").click()
    browser.alert().accept()
    browser.until(lambda: browser.text("h1") == "Yard")
    assert browser.service.calls == []


def test_what_somebody_else_drew_meanwhile_is_not_overwritten_unasked(browser):
    browser.open("door")
    browser.until(browser.is_painted)
    browser.button("Edit regions").click()
    browser.find("[data-corner='0']").send_keys(Keys.ARROW_RIGHT)
    given = browser.service.cameras["door"].given
    given["regions"] = {**given["regions"], "theirs": given["regions"]["hall"]}
    browser.until(lambda: "theirs" in browser.text(".side table"))
    browser.button("Save").click()
    browser.until(lambda: "Somebody else has changed this" in browser.text(".side"))
    assert browser.service.calls == []
    browser.button("Save over it").click()
    browser.until(lambda: browser.service.calls)


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


def test_a_region_that_an_alarm_watches_stays(browser):
    browser.open("door")
    browser.until(browser.is_painted)
    browser.button("Edit regions").click()
    browser.find("[aria-label='Delete hall']").click()
    browser.button("Save").click()
    browser.until(lambda: "The alarm crowded watches hall" in browser.text(".toasts"))
    assert not browser.service.calls
    browser.button("Undo").click()
    browser.button("Save").click()
    browser.until(lambda: not browser.driver.find_elements("css selector", "[data-corner]"))


def test_a_phone_is_turned(browser):
    browser.open("door", width=390, height=844)
    browser.until(lambda: "This week" in browser.text(".patterns:has(.heat)"))
    widths = (
        "return [document.documentElement.scrollWidth, innerWidth,"
        "document.querySelector('.plot.low').clientWidth - "
        "document.querySelector('.plot.low .uplot').clientWidth]"
    )
    for width, height in ((844, 390), (390, 844)):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.until(lambda wide=width: browser.script(widths) == [wide, wide, 0])


def test_a_camera_without_ground_has_no_switch_for_the_map(browser):
    browser.open("yard")
    browser.until(browser.is_painted)
    assert not browser.find("[data-layer=map]").is_displayed()
    browser.open("door")
    browser.until(lambda: browser.find("[data-layer=map]").is_displayed())


def test_a_line_is_drawn_with_a_finger_on_a_phone(browser):
    browser.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        browser.open("yard", width=390, height=844)
        browser.until(browser.is_painted)
        browser.button("Edit regions").click()
        browser.button("+ Line").click()
        drag(browser, "[data-corner='0']", (0.1, 0.9), finger=True)
        drag(browser, "[data-corner='1']", (0.9, 0.2), finger=True)
        browser.button("Save").click()
        browser.until(lambda: browser.service.calls)
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    line = browser.service.calls[0][2]["lines"]["line 1"]
    assert line["start"] == pytest.approx([0.1, 0.9], abs=0.01)
    assert line["end"] == pytest.approx([0.9, 0.2], abs=0.01)


def test_the_ground_is_added_and_corners_come_and_go_by_keys(browser):
    browser.open("yard")
    browser.until(browser.is_painted)
    browser.button("Edit regions").click()
    browser.button("+ Ground").send_keys(Keys.ENTER)
    assert "ground, corner 1 of 4" in browser.focused("aria-label")
    fields = (
        "return [...document.querySelectorAll('.panel input[type=number]')].map((i) => i.value)"
    )
    assert browser.script(fields) == ["5", "5"]
    browser.button("+ Region").send_keys(Keys.ENTER)
    browser.driver.switch_to.active_element.send_keys(Keys.DELETE)
    assert "corner 1 of 3" in browser.focused("aria-label")
    browser.driver.switch_to.active_element.send_keys(Keys.DELETE)  # three are the fewest
    assert "corner 1 of 3" in browser.focused("aria-label")
    browser.driver.switch_to.active_element.send_keys(Keys.CONTROL, "z")
    browser.driver.switch_to.active_element.send_keys(Keys.SHIFT, Keys.ARROW_LEFT)
    browser.button("Save").send_keys(Keys.ENTER)
    browser.until(lambda: browser.service.calls)
    shapes = browser.service.calls[0][2]
    assert shapes["ground"]["width"] == 5
    assert shapes["regions"]["region 1"]["polygon"][0] == [0.3, 0.4]


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser):
    browser.open("door")
    browser.until(browser.is_painted)
    browser.until(lambda: browser.text(".patterns > table"))
    reached = []
    for _ in range(60):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        if browser.focused("tagName") in {None, "BODY"}:
            break
        assert browser.script(
            "const style = getComputedStyle(document.activeElement);"
            "return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0"
        ), browser.focused("outerHTML")
        reached.append(browser.script("return document.activeElement.innerText.trim()"))
    assert reached[0] == "Skip to the picture"
    wanted = ["All", "Acknowledge", "Density", "Edit regions", "24 h", "CSV"]
    places = [next(i for i, text in enumerate(reached) if text.startswith(one)) for one in wanted]
    assert places == sorted(places)
    # The first of them leads past all that is the same everywhere.
    browser.script("document.querySelector('.skip').focus()")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.focused("id") == "main"
    assert browser.script("return location.hash") == "#/door"


@pytest.mark.parametrize("camera", ["", "door"])
def test_a_screen_reader_has_a_name_for_everything(browser, camera):
    browser.open(camera)
    browser.until(browser.is_painted)
    if camera:
        browser.until(lambda: browser.text(".patterns > table"))
        browser.button("Edit regions").click()
    tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    seen = [one for one in tree if not one["ignored"]]
    roles = {one["role"]["value"] for one in seen}
    assert {"heading", "main", "navigation", "alert", "status", "banner"} <= roles
    named = {"button", "link", "combobox", "textbox", "Date", "image", "region", "group"}
    nameless = [one for one in seen if not one.get("name", {}).get("value")]
    assert not [one["role"]["value"] for one in nameless if one["role"]["value"] in named]
    assert next(one for one in seen if one["role"]["value"] == "heading")["name"]["value"]


def test_a_range_is_saved_as_csv_and_as_png(browser, tmp_path):
    allowed = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
    browser.open("door")
    browser.until(lambda: "Mean" in browser.text(".read"))
    # In one script, because the range goes on with the clock.
    before, after = browser.script(
        "const ends = () => [...document.querySelectorAll('.ends input')].map((one) => one.value);"
        "const before = ends(); document.querySelector(\"[aria-label='Earlier']\").click();"
        "return [before, ends()]"
    )
    assert (after[0] < before[0], after[1]) == (True, before[0])
    browser.find("[aria-label*='as CSV']").click()
    browser.until(lambda: list(tmp_path.glob("*.csv")))
    browser.find("[aria-label*='as PNG']").click()
    browser.until(lambda: list(tmp_path.glob("*.png")))
    (table,), (chart,) = tmp_path.glob("*.csv"), tmp_path.glob("*.png")
    assert table.read_text().startswith("time,camera,what,mean")
    assert chart.name == table.name.replace(".csv", ".png")
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_what_happens_while_nobody_keeps_a_history_is_shown(browser):
    browser.service.history = None
    browser.open("door")
    browser.until(browser.is_painted)
    browser.service.raise_alarm("door", "crowded", "cleared")
    browser.until(lambda: "crowded cleared" in browser.text(".events"))
    assert "No history is kept" in browser.text("main")


def test_a_viewer_is_offered_no_changes(driver, picture, tmp_path):
    files = {}
    for name, token in (("token_file", EDITOR), ("viewer_token_file", VIEWER)):
        files[name] = str(tmp_path / name)
        (tmp_path / name).write_text(token)
    service = StandIn([Camera("door", "Door", [picture], alarms={"crowded": RAISED})])
    service.step()
    with serving(driver, service, **files) as url:
        browser = Browser(driver, url, service.step)
        driver.get(url)
        assert driver.current_url.endswith("/login")
        browser.find("#token").send_keys("wrong", Keys.ENTER)
        browser.until(lambda: "not a token" in browser.text("#wrong"))
        browser.find("#token").send_keys(VIEWER, Keys.ENTER)
        browser.until(lambda: "ALARM" in browser.text("#banners"))
        browser.until(browser.is_painted)
        buttons = browser.script(
            "return [...document.querySelectorAll('button')].map((b) => b.innerText)"
        )
        assert not {"Acknowledge", "Edit regions", "Keep for labelling"} & set(buttons)
        browser.button("Log out").click()
        browser.until(lambda: driver.current_url.endswith("/login"))


def test_three_cameras_at_five_pictures_a_second(driver, picture):
    names = ("one", "two", "three")
    service = StandIn([Camera(name, name.title(), [picture]) for name in names])
    service.run(5.0)
    try:
        with serving(driver, service) as url:
            browser = Browser(driver, url)
            browser.open()
            browser.script("""
                window.drawn = new Map();
                const draw = CanvasRenderingContext2D.prototype.drawImage;
                CanvasRenderingContext2D.prototype.drawImage = function (source, ...rest) {
                  if (source instanceof ImageBitmap) {
                    window.drawn.set(this.canvas, (window.drawn.get(this.canvas) || 0) + 1);
                  }
                  return draw.call(this, source, ...rest);
                };""")
            # As readings draw the picture anew, too, it takes more than one each.
            often = "return [...window.drawn.values()].filter((times) => times >= 10).length"
            browser.until(lambda: browser.script(often) == len(names))
            assert browser.text(".tile footer").split()[0] == "One"
            assert browser.faults() == []
    finally:
        service.end()
