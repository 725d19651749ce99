"""The hours of the week on the page, in Chromium: by whose clock, and before one was counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from browsing import Browser, chromium, serving

from edgecount.watch.history.patterns import patterns_of
from edgecount.watch.history.spans import Span
from edgecount.watch.history.zones import week_start
from stand_in import RAISED, Camera, StandIn, StandInHistory


class EmptyHistory(StandInHistory):
    """A history without a whole hour."""

    def patterns(self, camera: str, what: str, *, now: float | None = None) -> dict[str, Any]:
        found = super().patterns(camera, what, now=now)
        nothing = [None] * 168
        weeks = {"this": nothing, "last": nothing}
        return found | {"hours": [nothing[:24]] * 7, "busiest": [], "weeks": weeks}


class EveningHistory(StandInHistory):
    """A history of a place three hours behind UTC where people come from 20:00 to 21:00."""

    def patterns(self, camera: str, what: str, *, now: float | None = None) -> dict[str, Any]:
        self.zone = timezone(timedelta(hours=-3))
        monday = week_start(now or 0.0, self.zone)
        spans = []
        for begin in range(monday - 7 * 86400, monday, 3600):
            count = 80.0 if datetime.fromtimestamp(begin, self.zone).hour == 20 else 5.0
            spans.append(Span(begin, 3600, 60, 0, count, 90, 80, 0, 0, None, None))
        return patterns_of(spans, monday, self.zone).to_dict()


@pytest.fixture
def browser() -> Iterator[Browser]:
    image, heads = np.full((240, 320, 3), 90, np.uint8), np.array([[120, 90]], np.float32)
    alarms = {"packed": RAISED | {"by": "low"}}
    service = StandIn([Camera("door", "Door", [(image, heads)], alarms=alarms)])
    service.history = EmptyHistory(service.cameras)
    service.step()
    with chromium() as driver, serving(driver, service) as url:
        browser = Browser(driver, url, service.step)
        browser.service = service
        yield browser
        assert not browser.faults()


def test_hours_without_counts_have_no_most(browser):
    browser.open("door")
    browser.until(lambda: browser.text(".patterns:has(.heat) h3") == "A week by hour: mean")
    label = browser.script("return document.querySelector('.heat').getAttribute('aria-label')")
    assert label == "Mean count by hour of the week"
    assert "packed, surely above 2 people" in browser.text(".banner")


CHART = """
const done = arguments[0];
import("/static/history.js").then(async ({ PatternsPanel }) => {
  const panel = new PatternsPanel({ id: "door" });
  document.querySelector("main").append(panel.element);
  await panel.load("count");
  const [times, last] = panel.plot.data;
  setTimeout(() => {
    const peak = new Date(times[last.indexOf(80)] * 1000).toISOString();
    done({ peak, ticks: panel.plot.axes[0]._values });
    panel.close();
  }, 200);
});"""


def test_all_hours_of_the_panel_are_those_of_the_service(browser):
    service_zone = timezone(timedelta(hours=-3))
    browser.service.history = EveningHistory(browser.service.cameras)
    browser.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"})
    try:
        browser.open("door")
        browser.until(lambda: "Busiest hours" in browser.text(".patterns > table"))
        rows = "return [...document.querySelectorAll('.patterns > table tbody th')]"
        busiest = browser.script(f"{rows}.map((one) => one.textContent)")
        cells = "return [...document.querySelectorAll('.heat td[title$=\" 80 people\"]')]"
        titles = browser.script(f"{cells}.map((one) => one.title)")
        assert browser.text("#patterns + .clock") == "by the clock of the service, UTC-03:00"
        chart = browser.driver.execute_async_script(CHART)
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})
    assert len(busiest) == 5
    assert all(one.endswith(", 20:00") for one in busiest)
    assert [title.split(",")[0].split()[1] for title in titles] == ["20:00"] * 7
    assert chart["peak"][11:16] == "20:00"
    today = datetime.now(service_zone).date()
    monday = today - timedelta(days=today.weekday())
    assert chart["peak"][:10] == monday.isoformat()
    assert str(chart["ticks"][0]).startswith(f"{monday.day} ")  # midnight: no hours
