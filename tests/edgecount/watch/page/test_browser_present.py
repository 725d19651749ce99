"""What the page shows of now in Chromium, where the camera or the connection is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from browsing import Browser, Keys, Way, before_the_page, visiting

from edgecount.runtime.sources.live import SourceState
from edgecount.watch.readings import Event
from stand_in import RAISED, Camera, StandIn, with_state

NONE = "\N{EN DASH}"  # in place of a number
SHAPES = {
    "regions": {"hall": {"polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]}},
    "lines": {"gate": {"start": [0.5, 1], "end": [0.5, 0]}},
    "ground": {"corners": [[0.4, 0.5], [0.6, 0.5], [0.8, 1], [0.2, 1]], "width": 4, "depth": 6},
}
LABEL = "return document.querySelector('.view canvas').getAttribute('aria-label')"
LINKS = "return [...document.querySelectorAll('#cameras b')].map((one) => one.textContent)"
MARK = """
const mark = document.querySelector("#cameras [data-id=door] .mark");
return [mark.className, mark.title]"""
DOTS = """
const canvas = document.querySelector(".view canvas");
const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
let found = 0;
for (let i = 0; i < data.length; i += 4) found += data[i + 2] - data[i] > 60;
return found"""


def picture(width: int = 320, height: int = 240) -> Any:
    image = np.random.default_rng(1).integers(60, 200, (height, width, 1), np.uint8)
    heads = np.column_stack([np.linspace(60, width - 60, 6), np.full(6, height / 2)])
    return np.repeat(image, 3, axis=2), heads.astype(np.float32)


@pytest.fixture
def browser(driver: Any) -> Iterator[Browser]:
    alarms = {"crowded": RAISED | {"state": "quiet", "since": None}}
    shapes = {key: dict(value) for key, value in SHAPES.items()}
    door = Camera("door", "Door", [picture()], shapes=shapes, alarms=alarms)
    service = StandIn([door, Camera("yard", "Yard", [picture()])])
    cut = ("WebSocket", "net::ERR")  # of connections that a test has cut
    with visiting(driver, service, faults=cut) as browser:
        browser.door = door
        yield browser


@pytest.fixture
def way(browser: Browser) -> Iterator[Way]:
    """Lead the browser to the service by a way that may lose or cut connections."""
    way = Way(int(browser.url.rstrip("/").rpartition(":")[2]))
    browser.url = way.url
    yield way
    browser.driver.get("about:blank")
    way.end()


def is_shown(browser: Browser, number: str = "6.0") -> bool:
    return browser.text(".big").startswith(number) and not browser.text("#link")


def test_a_silent_connection_is_told_and_made_anew(driver, browser, way):
    # Its clock goes five times as fast: 2 s of silence are told, 5 s are too long.
    faster = "const real = performance.now.bind(performance); performance.now = () => 5 * real();"
    with before_the_page(driver, faster):
        browser.open("door")
        browser.until(lambda: browser.is_painted() and is_shown(browser))
        way.lose()
        browser.until(lambda: "No connection" in browser.text("#link"))
        assert browser.text(".big") == f"{NONE}not known"
        assert "last 6.0, " in browser.text(".count")
        assert "no connection to the service" in browser.text(".message")
        assert browser.script(LABEL).startswith("Last picture of Door, ")
        assert browser.script(LINKS) == ["", NONE, NONE]
        assert browser.script(MARK) == ["mark away", "unknown"]
        assert browser.text(".facts").split()[:5] == [
            "State",
            "unknown",
            "Newest",
            "picture",
            "not",
        ]
        browser.until(lambda: is_shown(browser))
        assert browser.script(LABEL) == "Live picture of Door, 6 people"


def test_the_count_of_a_camera_that_is_away_is_the_last_one(browser):
    browser.open("door")
    browser.until(lambda: browser.is_painted() and is_shown(browser))
    browser.until(lambda: browser.text("table td").startswith("6"))
    browser.door.state = SourceState.WAITING
    browser.until(lambda: browser.text(".big") == f"{NONE}not counted")
    assert browser.text(".count p.small").startswith("last 6.0, ")
    assert browser.text(".count p.small").endswith(" ago")
    assert not browser.find(".count canvas").is_displayed()
    hall, gate = (one.text for one in browser.driver.find_elements("css selector", ".side tr"))
    assert hall.split() == ["hall", "last", "6.0", NONE]
    assert ", to " in gate
    assert browser.script(LABEL).startswith("Last picture of Door, ")
    assert browser.script(LINKS) == ["", NONE, "6.0"]
    browser.open()
    browser.until(lambda: "last 6.0, " in browser.text(".tile footer"))
    assert browser.text(".tile footer").split()[:4] == ["Door", NONE, "not", "counted,"]
    assert browser.script(LABEL).startswith("Last picture of Door, ")
    browser.door.state = SourceState.LIVE
    browser.until(lambda: browser.text(".tile footer").split() == ["Door", "6.0", "people"])


@pytest.mark.parametrize(("age", "words"), [(40, ["6.0", "people,"]), (900, [NONE, "not"])])
def test_an_old_count_has_its_age(browser, age, words):
    browser.open()
    browser.until(browser.is_painted)
    browser.door.pictures = []
    browser.door.reading = with_state(browser.door.reading, time=time.time() - age)
    browser.until(lambda: " ago" in browser.text(".tile footer"))
    assert browser.text(".tile footer").split()[1:3] == words
    assert browser.find(".tile b").attribute("class") == "old"


@pytest.mark.parametrize(
    ("age", "note", "words"), [(200, False, ["6.0", "people"]), (400, True, ["6.0", "people,"])]
)
def test_a_count_of_a_slow_camera_is_no_old_one(browser, age, note, words):
    browser.door.config.patience = 250.0
    browser.door.pictures = []
    browser.door.reading = with_state(browser.door.reading, time=time.time() - age)
    browser.open()
    browser.until(lambda: browser.text(".tile footer").split()[1:3] == words)
    assert (" ago" in browser.text(".tile footer")) == note
    assert (browser.find(".tile b").attribute("class") == "old") == note


def test_heads_are_not_drawn_over_a_picture_that_is_not_counted(browser):
    browser.door.given.update(regions={}, lines={})
    browser.open()
    browser.until(lambda: browser.is_painted() and browser.script(DOTS) > 20)
    assert browser.script(MARK) == ["mark live", "live"]
    nothing = dict.fromkeys(("count", "interval", "smooth", "smooth_interval", "result"))
    black = np.zeros((240, 320, 3), np.uint8)
    covered = {"picture": "covered", "regions": {}, "image": black, "time": time.time()}
    browser.door.pictures = []
    browser.door.reading = with_state(browser.door.reading, **nothing, **covered)
    browser.service.put(browser.door.reading)
    browser.until(lambda: "cannot be trusted: covered" in browser.text(".tile .message"))
    browser.until(lambda: "last 6.0, " in browser.text(".tile footer"))
    browser.until(lambda: browser.script(DOTS) < 5 and not browser.is_painted())
    assert browser.script(LABEL) == "Live picture of Door"
    assert browser.script(MARK) == ["mark away", "not counted: picture covered"]


def test_an_acknowledged_alarm_is_no_green_mark(browser):
    browser.open()
    browser.service.raise_alarm("door", "crowded", "acknowledged")
    browser.until(lambda: browser.script(MARK) == ["mark wait", "alarm, acknowledged"])


def test_pictures_of_all_shapes_are_whole_on_the_wall(browser):
    for name, size in (("four", (320, 240)), ("tall", (180, 320)), ("wide", (480, 160))):
        browser.service.cameras[name] = Camera(name, name.title(), [picture(*size)])
    browser.open()
    sizes = """return [...document.querySelectorAll(".tile .view")].slice(2).map((view) => {
      const [canvas, box] = [view.firstChild, view.getBoundingClientRect()];
      const shown = canvas.getBoundingClientRect();
      const isInside = shown.top >= box.top && shown.bottom <= box.bottom + 0.5;
      return isInside && getComputedStyle(canvas).objectFit === "contain"
        && [canvas.width / canvas.height,
            canvas.width < box.width + 2, canvas.height < box.height + 2];
    });"""

    def shapes() -> Any:
        found = browser.script(sizes)
        return found if all(found) and len(found) == 3 else None

    expected = [320 / 240, 180 / 320, 480 / 160]
    browser.until(lambda: shapes() and np.allclose([one[0] for one in shapes()], expected, 0.02))
    assert [one[1:] for one in shapes()] == [[True, True]] * 3


def test_the_last_picture_of_a_camera_that_is_away_stays(browser):
    browser.open()
    browser.until(browser.is_painted)
    browser.door.state = SourceState.STALLED
    browser.find("#cameras [data-id=door]").click()
    browser.until(lambda: browser.text("h1") == "Door")
    browser.until(browser.is_painted)


def test_what_somebody_draws_stays_while_cameras_come_and_go(browser):
    browser.open("door")
    browser.until(browser.is_painted)
    browser.button("Edit regions").click()
    browser.find("[data-corner='0']").send_keys(Keys.ARROW_RIGHT)
    browser.service.cameras["third"] = Camera("third", "Third", [picture()])
    browser.until(lambda: "Third" in browser.text("#cameras"))
    browser.script("document.querySelector('h1').className = 'first'")
    current = "return document.querySelector('#cameras [aria-current]').dataset.id"
    assert browser.script(current) == "door"
    browser.button("Save").click()
    browser.until(lambda: browser.service.calls)
    assert browser.service.calls[0][2]["regions"]["hall"]["polygon"][0] == [0.105, 0.1]
    browser.until(lambda: not browser.driver.find_elements("css selector", "h1.first"))
    # But a camera that is gone has no regions.
    browser.button("Edit regions").click()
    browser.find("[data-corner='0']").send_keys(Keys.ARROW_RIGHT)
    browser.service.cameras.pop("door")
    browser.until(lambda: "Door has been removed" in browser.text("#toasts"))
    browser.until(lambda: browser.text(".tile").split())


def test_what_happened_while_the_connection_was_away_is_shown(browser, way):
    browser.open("door")
    browser.until(lambda: is_shown(browser))
    browser.until(lambda: "Nothing in the last seven days" in browser.text(".events"))
    way.cut()
    browser.until(lambda: "No connection" in browser.text("#link"))
    for change in ("raised", "cleared"):
        browser.service.put(Event("door", time.time(), "alarm", "crowded", change))
    way.is_cut = False
    browser.until(lambda: is_shown(browser))
    browser.until(lambda: "crowded raised" in browser.text(".events"))
    assert "crowded cleared" in browser.text(".events")


def test_weeks_and_events_are_asked_for_again(driver, browser):
    sooner = "const every = setInterval; setInterval = (f, ms) => every(f, ms > 60000 ? 300 : ms);"
    asked = """return ["patterns", "events"].map((what) => performance.getEntriesByType("resource")
      .filter((one) => one.name.includes(`/api/${what}`)).length)"""
    with before_the_page(driver, sooner):
        browser.open("door")
        browser.until(lambda: min(browser.script(asked)) >= 3)
        browser.until(lambda: "Busiest hours" in browser.text(".patterns > table"))


def test_the_clock_of_the_service_may_be_set(browser, monkeypatch):
    now = "const done = arguments[0]; import('/static/dom.js').then(({ now }) => done(now()));"
    browser.open("door")
    before = browser.driver.execute_async_script(now)
    assert before == pytest.approx(time.time(), abs=20)
    later = SimpleNamespace(time=lambda: time.time() + 40 * 86400)
    monkeypatch.setattr("edgecount.watch.page.live.time", later)
    browser.until(
        lambda: (
            browser.driver.execute_async_script(now) - before == pytest.approx(40 * 86400, abs=60)
        )
    )


CLOCK = """
const done = arguments[0], date = Date.now, perf = performance.now.bind(performance);
let passed = 0; // s, by both clocks
Date.now = () => 1e12 + 1000 * passed;
performance.now = () => 1e7 + 1000 * passed;
import("/static/dom.js?of=this").then(({ setClock, now }) => {
  const found = [];
  const hear = (at, delay, ahead) => {
    passed = at;
    setClock(1e9 + at - delay + ahead);
    found.push(now() - 1e9 - at);
  };
  for (const one of %s) hear(...one);
  Object.assign(Date, { now: date });
  performance.now = perf;
  done(found);
});"""


@pytest.mark.parametrize(
    ("heard", "ahead"),
    [
        # s: when a state was heard, how long it was on its way, how far its clock was ahead.
        ([[0, 0.1, 0], [12, 12, 0], [32, 20, 0], [33, 1, 0]], [0, 0, 0, 0]),
        ([[0, 0, 300], [12, 12, 300], [60, 5, 300]], [300, 300, 300]),
        ([[0, 0, -300], [12, 12, -300]], [-300, -300]),
        ([[0, 12, 0], [5, 0, 0]], [-12, 0]),
        ([[0, 0, 0], [1, 5, 900], [50, 0, -60], [120, 0, -60]], [0, 895, 895, -60]),
    ],
)
def test_a_state_that_was_long_on_its_way_is_no_other_clock(browser, heard, ahead):
    browser.open("door")
    found = browser.driver.execute_async_script(CLOCK % heard)
    assert found == pytest.approx(ahead, abs=1e-3)


# Time runs 100 times as fast as `setInterval` and `setTimeout` say. Each picture takes `WAY` s, and
# states wait behind it; then all that is sent is lost.
SLOW_WAY = """
const done = arguments[0], way = %s, K = 100;
const [si, st] = [setInterval.bind(window), setTimeout.bind(window)];
const perf = performance.now.bind(performance);
const names = ["setInterval", "setTimeout", "WebSocket", "createImageBitmap"];
const before = names.map((name) => window[name]);
const start = perf();
performance.now = () => start + K * (perf() - start);
window.setInterval = (f, ms) => si(f, ms / K);
window.setTimeout = (f, ms) => st(f, ms / K);
window.createImageBitmap = async () => ({});
let sockets = 0, pictures = 0, isLost = false;
const links = [];
window.WebSocket = class {
  constructor() {
    sockets++;
    this.readyState = 0;
    setTimeout(() => { this.readyState = 1; this.onopen?.(); this.tell(); }, 100);
    this.timer = setInterval(() => this.busy || this.tell(), 1000);
  }
  tell() { if (!isLost) this.onmessage?.({ data: "{}" }); }
  send(text) {
    if (JSON.parse(text).type !== "next" || this.busy) return;
    this.busy = true;
    setTimeout(() => {
      this.busy = false;
      if (isLost || this.readyState !== 1) return;
      const buffer = new ArrayBuffer(20);
      new Uint8Array(buffer).set([1, 97]);
      this.onmessage?.({ data: buffer });
      for (let i = 0; i < way; i++) this.tell();
    }, 1000 * way);
  }
  close() { this.readyState = 2; clearInterval(this.timer); }
};
Object.assign(window.WebSocket, { OPEN: 1, CLOSING: 2 });
import("/static/api.js?of=this").then(({ Live }) => {
  const live = new Live({
    onMessage() {}, onPicture() { pictures++; }, onLink: (...link) => links.push(link),
  });
  live.watch({ a: { image: true } });
  st(() => {
    const well = { sockets, pictures, links: [...links] };
    links.length = 0;
    isLost = true;
    const from = performance.now(), until = [];
    live.onLink = (...link) => until.push([...link, (performance.now() - from) / 1000]);
    st(() => {
      names.forEach((name, i) => { window[name] = before[i]; });
      performance.now = perf;
      done({ well, until });
    }, 90000 / K);
  }, 300000 / K);
});"""


@pytest.mark.parametrize(("takes", "told"), [(0.5, 10), (12, 24), (40, 60)])
def test_a_picture_may_take_long_on_a_slow_way(browser, takes, told):
    browser.driver.get(f"{browser.url}login")  # a page that has no connection of its own
    found = browser.driver.execute_async_script(SLOW_WAY % takes)
    assert found["well"]["links"] == []
    assert found["well"]["sockets"] == 1
    assert found["well"]["pictures"] >= 0.6 * min(300 / takes, 100)
    (linked, anew, after), (_, anew2, closed), *_ = found["until"]
    assert not linked
    assert not anew
    # A silence is told after it has begun, which may be a picture before everything was lost.
    assert told - takes - 6 <= after <= told + 12
    assert anew2
    assert closed <= 75


def test_an_outage_is_caught_up_with_once(driver, browser, way):
    asked = """return performance.getEntriesByType("resource")
      .filter((one) => one.name.includes("/api/events")).length"""
    faster = "const real = performance.now.bind(performance); performance.now = () => 9 * real();"
    with before_the_page(driver, faster):
        browser.open("door")
        browser.until(lambda: browser.is_painted() and is_shown(browser))
        assert browser.script(asked) == 1
        way.lose()
        browser.until(lambda: "No connection" in browser.text("#link"))
        assert browser.script(asked) == 1
        browser.until(lambda: is_shown(browser) and browser.script(asked) == 2)


def test_a_service_that_answers_late_leaves_one_switch_of_colours(driver, browser):
    first = """const real = fetch; let tries = 0;
    fetch = (...given) => (tries++ ? real(...given) : Promise.reject(new Error("no answer")));"""
    theme = "return document.documentElement.dataset.theme"
    with before_the_page(driver, first):
        browser.open("door")
    before = browser.script(theme)
    browser.find("#theme").click()
    assert {before, browser.script(theme)} == {"light", "dark"}
    browser.find("#theme").click()
