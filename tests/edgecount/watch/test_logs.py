"""The log of the service: one line a record, without secrets."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from edgecount.watch.logs import LogFormatter, log_of, log_to

log = logging.getLogger("edgecount.watch.test")


def lines_of(form: Any, *, cameras: tuple[str, ...] = ("door",)) -> list[str]:
    """Log some records; return the lines."""
    stream = io.StringIO()
    with log_to(stream, form) as formatter:
        formatter.cameras = cameras
        log.info("%s: open", "door")
        log.warning("lost\nhttp://user:hunter2@host/x?token=hunter3", extra={"camera": "hall"})
        log.debug("nobody asked")
        logging.getLogger("urllib3").warning("retry /hook/hunter4")
        logging.getLogger("other").warning("of a library")
        try:
            int("rtsp://u:hunter2@h/")
        except ValueError:
            log.exception("failed")
    return stream.getvalue().splitlines()


def test_json() -> None:
    text = lines_of("json")
    lines = [json.loads(line) for line in text]
    assert [line.get("camera") for line in lines] == ["door", "hall", None, None]
    assert [line["level"] for line in lines] == ["info", "warning", "warning", "error"]
    assert lines[0]["time"].endswith("Z")
    assert lines[1]["message"] == "lost\nhttp://host/x?token=***"
    assert lines[3]["exception"].endswith(
        "ValueError: invalid literal for int() with base 10: 'rtsp://h/'"
    )
    assert "hunter" not in "".join(text)


def test_text() -> None:
    lines = lines_of("text")
    assert [line[20:] for line in lines] == [
        "info    door: open",
        "warning lost / http://host/x?token=***",
        "warning of a library",
        "error   failed | ValueError: invalid literal for int() with base 10: 'rtsp://h/'",
    ]


@pytest.mark.parametrize("form", ["text", "json"])
def test_warnings_of_analytics_begin_with_the_camera_that_is_analysed(form: Any) -> None:
    stream = io.StringIO()
    with log_to(stream, form):
        with log_of("hall"):
            log.warning("people are missed")
            log.warning("%s: covered", "hall", extra={"camera": "hall"})
        log.warning("of no camera")
    lines = stream.getvalue().splitlines()
    if form == "text":
        told = ["hall: people are missed", "hall: covered", "of no camera"]
        assert [line[28:] for line in lines] == told
    else:
        assert [json.loads(line).get("camera") for line in lines] == ["hall", "hall", None]
        assert json.loads(lines[0])["message"] == "hall: people are missed"


def test_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        with log_to(stream):
            log.error("broken")
            log.info("fine")
        stream.seek(0)
        assert stream.read() == "<3>broken\n<6>fine\n"


def test_errors_of_threads() -> None:
    stream = io.StringIO()
    with log_to(stream, "json"):
        thread = threading.Thread(target=lambda: 1 / 0, name="worker")
        thread.start()
        thread.join()
    line = json.loads(stream.getvalue())
    assert line["message"].startswith("worker ended by an error: ZeroDivisionError")
    assert "Traceback" in line["exception"]


def test_a_second_ctrl_c_is_no_error_of_a_thread() -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    stream = io.StringIO()
    with log_to(stream):
        thread = threading.Thread(target=stopped)
        thread.start()
        thread.join()
    assert not stream.getvalue()


def test_a_stream_that_takes_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    with log_to(stream):
        log.warning("nobody reads this")


def test_odd_records() -> None:
    formatter = LogFormatter("json")
    record = logging.LogRecord("x", logging.INFO, "", 1, "%d people", ("many",), None)
    assert json.loads(formatter.format(record))["message"] == "%d people"
    text = LogFormatter("text")
    record = logging.LogRecord("x", logging.INFO, "", 1, "a\x1b[31mred \udcff", (), None)
    assert "\x1b" not in text.format(record)


def test_logging_is_left_as_it_was() -> None:
    package = logging.getLogger("edgecount")
    before = package.level, package.handlers[:], package.propagate, threading.excepthook
    with log_to(io.StringIO()):
        pass
    assert before == (package.level, package.handlers, package.propagate, threading.excepthook)
