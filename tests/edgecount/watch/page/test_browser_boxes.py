"""The boxes of a detector on the page, in Chromium."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from browsing import Browser, chromium, serving

from stand_in import Camera, StandIn, result_of

PIXELS = """
const canvas = document.querySelector(".view canvas"), context = canvas.getContext("2d");
return arguments[0].map(([x, y]) => {
  const corner = [Math.round(x * canvas.width) - 2, Math.round(y * canvas.height) - 2];
  return Array.from(context.getImageData(...corner, 4, 4).data);
});"""


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Show an empty picture of 320 x 240 px with a box whose sides are quarters of it."""
    image = np.full((240, 320, 3), 90, np.uint8)
    heads = np.array([[120, 90]], np.float32)
    boxes = np.array([[80, 60, 160, 120]], np.float32)
    door = Camera("door", "Door", [(image, heads)])
    door.pictures = [(image, dataclasses.replace(result_of(image, heads), boxes=boxes))]
    service = StandIn([door])
    service.step()
    with chromium() as driver, serving(driver, service) as url:
        browser = Browser(driver, url, service.step)
        yield browser
        assert not browser.faults()


def test_heads_of_a_detector_are_outlined(browser):
    browser.open("door")
    # The middle of the left, top, right and bottom side, and of the box, where a point would be.
    places = [[0.25, 0.375], [0.375, 0.25], [0.5, 0.375], [0.375, 0.5], [0.375, 0.375]]

    def coloured() -> list[bool]:
        """Return where pixels are bluer than they are red: the picture is grey."""
        blocks = np.array(browser.script(PIXELS, places)).reshape(len(places), -1, 4)
        return ((blocks[:, :, 2] - blocks[:, :, 0]) > 40).any(axis=1).tolist()

    browser.until(lambda: coloured() == [True, True, True, True, False])
    browser.find("[data-layer=points]").click()
    browser.until(lambda: not any(coloured()))
