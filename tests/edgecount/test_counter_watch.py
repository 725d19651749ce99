"""Callbacks with the results of a source."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecount import EdgeCounter, FakeBackend
from edgecount.errors import BackendError, ConfigError, SourceError
from edgecount.runtime.sources.live import SourceState

pytestmark = pytest.mark.usefixtures("no_thread_is_left")

Studios = Callable[..., Any]


@pytest.fixture
def counter(tiny_model: Path) -> EdgeCounter:
    return EdgeCounter(tiny_model, backend=FakeBackend([(8, 8)]))


def test_each_result_is_given_until_it_is_stopped(
    counter: EdgeCounter, studio: Studios, wait_for: Any
) -> None:
    camera = studio()
    found: list[Any] = []
    watching = counter.watch(camera.source, found.append)
    for index in range(3):
        camera.show()
        wait_for(lambda index=index: len(found) == index + 1)
    health = watching.health()
    assert (health.state, health.counted) == (SourceState.LIVE, 3)
    assert watching.is_running
    assert not watching.join(0.01)
    watching.stop()
    assert watching.join(20)
    assert watching.join()
    assert not watching.is_running
    assert [result.frame for result in found] == [0, 1, 2]
    wait_for(lambda: camera.closed == 1)
    assert watching.health().state is SourceState.IDLE


def test_a_callback_may_stop_it(counter: EdgeCounter, studio: Studios) -> None:
    camera = studio(newest=False)
    found: list[Any] = []
    ready = threading.Event()

    def note(result: Any) -> None:
        assert ready.wait(20)
        found.append(result)
        if len(found) == 2:
            watching.stop()

    watching = counter.watch(camera.source, note)
    ready.set()
    camera.show(5)
    assert watching.join(20)
    assert len(found) == 2


def test_it_ends_with_its_source(counter: EdgeCounter, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds nothing to count"):
        counter.watch(tmp_path, print).join(20)
    watching = counter.watch("tests", print)
    assert watching.health() is None
    with pytest.raises(SourceError):
        watching.join(20)


def test_errors_are_raised_by_join_and_logged(
    counter: EdgeCounter, studio: Studios, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(result: Any) -> None:
        raise ValueError("the display is gone")

    camera = studio()
    camera.show()
    watching = counter.watch(camera.source, fail)
    with pytest.raises(ValueError, match="the display is gone"):
        watching.join(20)
    assert "counted no further: the display is gone" in caplog.text
    assert "Traceback" in caplog.text
    camera.show()
    with pytest.raises(ValueError, match="the display"), counter.watch(camera.source, fail) as one:
        one.join(20)


def test_errors_are_told_where_somebody_wants_them(
    counter: EdgeCounter, studio: Studios, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[BaseException] = []
    camera = studio(reconnect=False)
    camera.drop()
    caplog.set_level(logging.ERROR)
    assert counter.watch(camera.source, print, on_error=told.append).join(20)
    assert [type(error) for error in told] == [SourceError]
    assert not caplog.records

    def fail(error: BaseException) -> None:
        raise RuntimeError("no pager") from error

    camera.drop()
    with pytest.raises(RuntimeError, match="no pager"):
        counter.watch(camera.source, print, on_error=fail).join(20)


def test_leaving_it_stops_it(counter: EdgeCounter, studio: Studios, wait_for: Any) -> None:
    camera = studio()
    with counter.watch(camera.source, print) as watching:
        wait_for(lambda: camera.opened)
    assert not watching.is_running
    with pytest.raises(KeyError), counter.watch(camera.source, print) as watching:
        raise KeyError("mine")
    assert not watching.is_running


def test_closing_the_counter_is_an_error_of_it(
    counter: EdgeCounter, studio: Studios, wait_for: Any
) -> None:
    camera = studio()
    watching = counter.watch(camera.source, print)
    wait_for(lambda: camera.opened)
    counter.close()
    with pytest.raises(BackendError, match="the counter is closed"):
        watching.join(20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_result": None}, "on_result: expected a function, got None"),
        ({"on_result": print, "on_error": 5}, "on_error: expected a function, got a value of type"),
    ],
)
def test_callbacks_are_checked(counter: EdgeCounter, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        counter.watch(0, **options)
