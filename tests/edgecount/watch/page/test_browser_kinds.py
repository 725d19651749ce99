"""The page in browsers of other languages, and in older ones."""

from __future__ import annotations

import re

from browsing import Keys, before_the_page, speak


def test_numbers_are_those_of_the_browsers_language(browser, driver):
    door = browser.service.cameras["door"]
    door.turn = 600  # crossings: 427.0 and 410.0; pictures: 600
    door.given_alarms["crowded"] |= {"above": 2.5, "count": 1234.0}
    speak(driver, "de-DE")
    try:
        browser.open("door")
        browser.until(lambda: "above 2,5 people" in browser.text(".alarm"))
        assert "1.234 now" in browser.text(".alarm")
        assert "Pictures a second\n25,0" in browser.text(".facts")
        assert re.search(r"\d,\d\d per m²", browser.text(".side table"))
        browser.open()
        browser.until(lambda: "9.120" in browser.text("table"))
    finally:
        speak(driver, "en-US")


# What came to browsers after the oldest that the page is for: Safari 15.5, Chrome 102, Firefox 112.
OLD = """
delete window.OffscreenCanvas;
for (const name of ["timeout", "any"]) delete AbortSignal[name];
for (const name of ["toSorted", "toReversed", "toSpliced", "with"]) delete Array.prototype[name];
for (const name of ["groupBy"]) { delete Object[name]; delete Map[name]; }
delete Promise.withResolvers; delete Array.fromAsync; delete window.Iterator;"""


def test_browsers_of_2022_show_and_save_everything(browser, driver):
    with before_the_page(driver, OLD):
        browser.open("door")
        browser.until(browser.is_painted)
        browser.find("[data-layer=density]").click()
        browser.until(lambda: "people per 100" in browser.text(".legend"))
        browser.find("[data-layer=density]").click()
        code = "return document.querySelector('.map canvas').height"
        browser.until(lambda: browser.script(code) != 150)  # that of one that is not drawn yet
        browser.button("Edit regions").click()
        browser.find("[data-corner='0']").send_keys(Keys.ARROW_RIGHT)
        browser.button("Save").click()
        browser.until(lambda: browser.service.calls)


def test_an_older_browser_is_told(browser, driver):
    with before_the_page(driver, "delete Object.hasOwn; delete Array.prototype.findLast;"):
        driver.get(browser.url)
        browser.until(lambda: "too old for the page" in browser.text("main"))
