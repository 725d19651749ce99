"""`count` of cameras: a server sends JPEGs of squares, and breaks off."""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount import EdgeCounter, FakeBackend
from edgecount._clips import ClipWriter
from edgecount.cli._count.live import live_frames
from edgecount.cli._count.measures import Measured
from edgecount.cli._count.status import Status
from edgecount.cli._shell.signals import Stop
from edgecount.fake import Drop, FakeCamera, Show
from edgecount.runtime.sources import LiveOptions, SourceState
from jpeg_camera import serve_jpegs


def picture() -> NDArray[np.uint8]:
    """Draw three people as the tiny model sees them."""
    frame = np.zeros((240, 320, 3), np.uint8)
    for x in (16, 64, 112):
        frame[16:24, x : x + 8] = 255
    return frame


def camera(pictures: int | None = None) -> AbstractContextManager[str]:
    """Serve a camera that ends after so many pictures, every time; None: it does not end."""
    return serve_jpegs([picture()], number=pictures)


def unix(text: str) -> float:
    """Return the UNIX time of an RFC 3339 text in UTC."""
    assert text.endswith("Z")
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()


def test_a_camera_that_ends_is_an_error_with_what_was_counted(run):
    with camera(12) as address:
        result = run("count", address)
    assert result.exit_code == 1
    line, _ = result.stdout.splitlines()
    assert line.split()[0] == "3.0"
    assert "12 frames in" in line
    assert "dropped, 0 reconnects" in line
    (error,) = result.stderr.splitlines()
    assert "/door?token=***" in error
    assert "secret" not in error


def test_with_reconnect_it_goes_on(run, json_lines):
    with camera(4) as address:
        asked = ("--reconnect", "--every-frame", "--max-frames", 9, "--json")
        result = run("count", address, *asked)
    assert result.exit_code == 0
    found = json_lines(result.stdout)
    assert [one["frame"] for one in found] == list(range(9))
    times = [one["time"] for one in found]
    assert times == sorted(times)
    assert all(abs(unix(one["captured"]) - time.time()) < 60 for one in found)
    last = found[-1]
    assert last["frames_in"] == 9
    assert (last["dropped"], last["reconnects"]) == (0, 2)
    assert 0 <= last["age"] < 60
    assert "it is tried again" in result.stderr


def test_a_table_of_a_camera_says_when_pictures_were_captured(run):
    with camera() as address:
        result = run("count", address, "--csv", "-", "--max-frames", 2, "--smooth", 1)
    names, first, _ = csv.reader(io.StringIO(result.stdout))
    row = dict(zip(names, first, strict=True))
    assert abs(unix(row["captured"]) - time.time()) < 60
    assert row["smooth"] == "3.0"


def test_one_of_n_pictures_that_come_in(run, json_lines):
    with camera() as address:
        asked = ("--every", 5, "--max-frames", 4, "--json")
        found = json_lines(run("count", address, *asked).stdout)
    frames = [one["frame"] for one in found]
    assert len(frames) == 4
    assert all(later - earlier >= 5 for earlier, later in pairwise(frames))
    with camera() as address:
        line = run("count", address, "--every", 5, "--every-frame", "--max-frames", 4).stdout
    assert "left out, 0 reconnects" in line


def test_an_annotated_clip_runs_as_long_as_the_camera_did(run, tmp_path, json_lines):
    with camera() as address:
        asked = ("--save", tmp_path, "--every", 9, "--max-frames", 3, "--json")
        found = json_lines(run("count", address, *asked).stdout)
    (path,) = tmp_path.iterdir()
    assert "secret" not in path.name
    shown = [one["time"] - found[0]["time"] for one in found]
    assert times_in(path) == pytest.approx(shown, abs=0.002)


def times_in(path: Path) -> list[float]:
    with av.open(str(path)) as clip:
        return [float(frame.pts * frame.time_base) for frame in clip.decode(video=0)]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ((5.0, 5.25, 5.25, 9.0), (0, 0.25, 0.25 + 1 / 60_000, 4.0)),
        ((5.0, 5.25, 1.0, 1.5), (0, 0.25, 0.35, 0.85)),  # begun anew: in the pace of the clip
        ((0.0, 0.5, 40_000.0, 40_000.5), (0, 0.5, 3600.5, 3601.0)),  # at most an hour
    ],
)
def test_times_in_a_clip(tmp_path, given, shown):
    writer = ClipWriter(tmp_path / "c.mp4", (320, 240), None, timed=True)
    for second in given:
        writer.write(picture(), second)
    writer.close()
    assert times_in(tmp_path / "c.mp4") == pytest.approx(shown, abs=1e-5)


def test_a_clip_lasts_as_long_as_its_last_picture(tmp_path):
    writer = ClipWriter(tmp_path / "c.mp4", (320, 240), 25.0, timed=True)
    for second in (*(index / 25 for index in range(50)), 4.0, 7.0, 10.0):
        writer.write(picture(), second)
    writer.close()
    with av.open(str(tmp_path / "c.mp4")) as clip:
        assert clip.duration >= 10e6


def test_cameras_one_after_the_other_need_an_end(run):
    result = run("count", "rtsp://a/1", "rtsp://b/2")
    assert result.exit_code == 2
    assert "one command for each, or give --max-frames" in result.stderr


def test_ctrl_c_is_noticed_while_the_camera_is_away():
    source, stop = FakeCamera([Drop(60)], options=LiveOptions(backoff=(20, 20))), Stop()
    waits: list[SourceState] = []

    def wait() -> None:
        waits.append(source.health().state)
        stop.requested = True

    assert not list(live_frames(source, 1, stop, wait))
    assert waits[0] in (SourceState.CONNECTING, SourceState.WAITING)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def lines(monkeypatch) -> Callable[..., list[str]]:
    """Return what a status writes about a camera, line by line."""

    def written(source: FakeCamera, terminal: bool, period: float = 0.0) -> list[str]:
        stream = Terminal() if terminal else io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr("edgecount.cli._count.status._PERIOD", 0.0)
        monkeypatch.setattr("edgecount.cli._count.status._LOG_PERIOD", period)
        monkeypatch.setenv("COLUMNS", "70")
        stop = Stop()
        with Status(source, on_terminal=True, in_logs=True) as status:
            for index, _ in enumerate(live_frames(source, 1, stop, status.refresh)):
                status.refresh()
                stop.requested = index == 5
        return [line.rstrip() for line in stream.getvalue().replace("\r", "\n").splitlines()]

    return written


def test_a_terminal_has_one_line_that_fits(lines):
    camera = FakeCamera([Show(0.5), Drop(1), Show(60)], options=LiveOptions(backoff=(0.1, 0.1)))
    found = lines(camera, terminal=True)
    assert any("fake camera  gone: it is tried again  picture" in line for line in found)
    assert max(map(len, found)) < 70
    assert any("reconnect" in line or line.endswith(">") for line in found)


def test_a_journal_has_a_line_now_and_then(lines):
    assert lines(FakeCamera([Show(60)]), terminal=False, period=99) == []
    found = lines(FakeCamera([Show(60)]), terminal=False)
    assert all(line.startswith("edgecount: fake camera  picture 0.") for line in found)
    assert len(found) >= 6


def test_the_line_tells_what_was_counted(monkeypatch):
    with EdgeCounter(backend=FakeBackend([(9, 9), (90, 90)])) as counter:
        result = counter.count(picture())
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "200")
    with Status(FakeCamera([Show(60)]), on_terminal=True, in_logs=False) as status:
        status.counted(result, Measured())
    assert "fake camera  2.0 people  0 dropped" in stream.getvalue()


@pytest.mark.parametrize(
    ("corners", "warned"),
    [("0,0;320,0;320,240;0,240", True), ("0%,0%;100%,0%;100%,100%;0%,100%", False)],
)
def test_a_picture_that_changes_its_size(corners, warned, run, json_lines):
    small = np.ascontiguousarray(picture()[:120, :160])
    with serve_jpegs([picture(), small]) as address:
        asked = ("--every-frame", "--max-frames", 2, "--json", "--line", "door:9%,9%;50%,90%")
        result = run("count", address, *asked, "--ground", f"{corners}=8x6")
    assert result.exit_code == 0, result.stderr
    first, second = json_lines(result.stdout)
    assert (first["size"], second["size"]) == ([320, 240], [160, 120])
    assert ("--ground, given in pixels" in result.stderr) == warned
    # The rectangle in pixels is only in part on the smaller picture.
    assert second["ground"]["area_m2"] == pytest.approx(12 if warned else 48, rel=0.01)
