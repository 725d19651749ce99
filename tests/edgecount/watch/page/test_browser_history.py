"""The charts of the page in Chromium: what they show once shapes change and answers come late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from browsing import Browser, visiting

from stand_in import Camera, StandIn

LINE = {"start": [0.5, 1], "end": [0.5, 0]}
TITLE = ".patterns:has(.heat) h3"
LATE = """
const real = window.fetch;
window.late = [];
window.fetch = async (path, options) => {
  const answer = await real(path, options);
  if (String(path).includes("line")) await new Promise((go) => window.late.push(go));
  return answer;
};"""
CHOOSE = """
const select = document.querySelector("select");
select.value = arguments[0];
select.dispatchEvent(new Event("change"));"""
SPARK = """
const done = arguments[0];
import("/static/charts.js").then(({ sparkline }) => {
  const canvas = document.createElement("canvas");
  canvas.style.width = "300px";
  canvas.style.height = "60px";
  document.body.append(canvas, document.createElement("p"));
  const context = canvas.getContext("2d");
  let lines = 0;
  context.lineTo = () => { lines += 1; };
  const drawn = (times) => {
    lines = 0;
    sparkline(canvas, times.map((at) => ({ at, count: 5, smooth: 5 })));
    return lines;
  };
  const often = Array.from({ length: 30 }, (_, i) => i + (i > 14 ? 60 : 0));
  const found = [drawn([0, 12, 24, 36]), drawn(often)];
  sparkline(canvas, [{ at: 1, count: null, smooth: null }]);
  done([...found, canvas.getAttribute("aria-label"), canvas.nextSibling.textContent]);
});"""


@pytest.fixture
def browser(driver: Any) -> Iterator[Browser]:
    image, heads = np.full((240, 320, 3), 90, np.uint8), np.array([[120, 90]], np.float32)
    service = StandIn([Camera("door", "Door", [(image, heads)], shapes={"lines": {"gate": LINE}})])
    with visiting(driver, service, faults=["status of 4", "ERR_FAILED"]) as browser:
        browser.open("door")
        browser.until(lambda: "Mean" in browser.text(".read"))
        browser.until(lambda: "mean" in browser.text(TITLE))
        yield browser


def test_the_chart_of_a_line_that_is_gone_gives_way_to_the_whole_picture(browser):
    browser.script(CHOOSE, "line:gate")
    browser.until(lambda: "in (line)" in browser.text(".read"))
    browser.until(lambda: "people in" in browser.text(TITLE))
    browser.service.cameras["door"].given["lines"] = {"entrance": LINE}
    browser.until(lambda: "Mean" in browser.text(".read"))
    browser.until(lambda: "mean" in browser.text(TITLE))
    shown = "return document.querySelector('select').selectedOptions[0].text"
    assert browser.script(shown) == "Whole picture"
    label = browser.script("return document.querySelector('.plot').getAttribute('aria-label')")
    assert label.startswith("Whole picture of Door: Mean")


def test_a_late_answer_to_an_older_question_is_left_alone(browser):
    history = browser.service.history
    whole = history.patterns("door", "count")
    history.patterns = lambda _, what, **__: whole if what == "count" else {**whole, "busiest": []}
    browser.script(LATE)
    browser.script(CHOOSE, "line:gate")
    browser.script(CHOOSE, "count")
    browser.until(lambda: browser.script("return window.late.length") == 2)
    browser.until(lambda: "Mean" in browser.text(".read"))
    browser.until(lambda: "Busiest hours" in browser.text(".patterns > table"))
    browser.script("for (const go of window.late) go()")
    browser.driver.execute_async_script("setTimeout(arguments[0], 300)")
    assert "Busiest hours" in browser.text(".patterns > table")


def test_a_late_answer_makes_no_chart_of_a_page_that_was_left(browser):
    browser.service.cameras["yard"] = Camera("yard", "Yard")
    browser.until(lambda: browser.driver.find_elements("css selector", "[data-id=yard]"))
    browser.script(LATE)
    browser.script(CHOOSE, "line:gate")
    browser.until(lambda: browser.script("return window.late.length") == 2)
    browser.script("location.hash = '#/yard'")
    browser.until(lambda: browser.text("h1") == "Yard")
    browser.until(lambda: browser.text(TITLE))
    browser.script("""
        window.made = 0;
        window.uPlot = new Proxy(window.uPlot, {construct(...given) {
          window.made += 1;
          return Reflect.construct(...given);
        }});
        for (const go of window.late) go();""")
    browser.driver.execute_async_script("setTimeout(arguments[0], 300)")
    assert browser.script("return window.made") == 0


def test_a_chart_without_counts_is_no_picture_to_a_screen_reader(browser):
    nothing = {name: [None, None] for name in ("min", "mean", "max", "low", "high")}
    empty = {"step": 60, "time": [1, 2], "seconds": [0, 0], **nothing}
    browser.service.history.series = lambda *_: empty
    browser.button("1 h").click()
    browser.until(lambda: browser.text(".plot .empty") == "Nothing was counted in this range.")
    plot = "const plot = document.querySelector('.plot');"
    assert not browser.script(f"{plot} return plot.hasAttribute('role') || plot.ariaLabel")


def test_a_day_has_the_date_of_the_service(browser):
    zone = timezone(timedelta(hours=9))
    begin = datetime(2026, 11, 1, tzinfo=zone)
    days = [(begin + timedelta(days=day)).timestamp() for day in range(29)]
    counts = [99.0 if day == 9 else 10.0 for day in range(29)]  # the 10th is the fullest
    lists = dict.fromkeys(("min", "mean", "max", "low", "high"), counts)
    found = {"step": 86400, "time": days, "seconds": [86400.0] * 29, **lists}
    browser.service.history.zone = zone
    browser.service.history.series = lambda *_: found
    override = "Emulation.setTimezoneOverride"
    browser.driver.execute_cdp_cmd(override, {"timezoneId": "America/New_York"})
    try:
        browser.open("door")
        browser.until(lambda: "most 99 (Nov 10, 2026), by a day" in browser.text(".read"))
    finally:
        browser.driver.execute_cdp_cmd(override, {"timezoneId": ""})


def test_an_export_that_fails_says_so(browser):
    browser.script("window.fetch = () => Promise.reject(new TypeError('no network'));")
    browser.find("[aria-label*='as CSV']").click()
    browser.until(lambda: "could not be exported: no network" in browser.text("#toasts"))


def test_the_short_line_joins_pictures_of_slow_cameras_but_no_gaps(browser):
    found = browser.driver.execute_async_script(SPARK)
    assert found == [3, 28, "Nothing was counted", ""]
