"""The hours of the week on the page, in Chromium, before an hour was counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from browsing import Browser, chromium, serving

from stand_in import RAISED, Camera, StandIn, StandInHistory


class EmptyHistory(StandInHistory):
    """A history without a whole hour."""

    def patterns(self, camera: str, what: str) -> dict[str, Any]:
        found = super().patterns(camera, what)
        nothing = [None] * 168
        weeks = {"this": nothing, "last": nothing}
        return found | {"hours": [nothing[:24]] * 7, "busiest": [], "weeks": weeks}


@pytest.fixture
def browser() -> Iterator[Browser]:
    image, heads = np.full((240, 320, 3), 90, np.uint8), np.array([[120, 90]], np.float32)
    alarms = {"packed": RAISED | {"by": "low"}}
    service = StandIn([Camera("door", "Door", [(image, heads)], alarms=alarms)])
    service.history = EmptyHistory(service.cameras)
    service.step()
    with chromium() as driver, serving(driver, service) as url:
        browser = Browser(driver, url, service.step)
        yield browser
        assert not browser.faults()


def test_hours_without_counts_have_no_most(browser):
    browser.open("door")
    browser.until(lambda: browser.text(".patterns:has(.heat) h3") == "A week by hour: mean")
    label = browser.script("return document.querySelector('.heat').getAttribute('aria-label')")
    assert label == "Mean count by hour of the week"
    assert "packed, surely above 2 people" in browser.text(".banner")
