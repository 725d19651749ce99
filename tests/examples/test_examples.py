"""The examples run: as programs on a clip, and on fake cameras."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from edgecount import EdgeCounter, FakeBackend, LiveOptions, Source, open_sources
from edgecount.analytics import AlarmRule
from edgecount.fake import Drop, FakeCamera, HeadBackend, Show
from edgecount.scenes import render_clip

FOLDER = Path(__file__).resolve().parent.parent.parent / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
OF_IMAGES = ("archive_ray",)
NEEDS_FASTAPI = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("fastapi", "uvicorn")),
    reason="FastAPI is not installed: pip install fastapi uvicorn",
)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("examples") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for scene in render_clip(8, frames=6, fps=10, size=(320, 240), seed=3):
        writer.write(scene.image)
    writer.release()
    return path


@pytest.fixture
def counter() -> Iterator[EdgeCounter]:
    with EdgeCounter(backend=HeadBackend()) as made:
        yield made


def test_the_page_names_them_all() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\w+\.py)\)", page)) == {path.name for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_how_to_run_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 90
    source = "photos" if path.stem in OF_IMAGES else "rtsp://"
    assert f"python {path.name} {source}" in (ast.get_docstring(ast.parse(text)) or "")


@pytest.mark.parametrize(
    ("name", "options", "printed"),
    [
        ("door_counter", ["--line", "50%,100%;50%,0%", "--every", "0.4"], r"in \d+  out \d+  ins"),
        ("overcrowding", ["--above", "1", "--enter", "0"], r"raised people: \d+"),
    ],
)
def test_as_a_program(name: str, options: list[str], printed: str, clip: Path) -> None:
    command = [sys.executable, "-W", "error", FOLDER / f"{name}.py", clip, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(printed, done.stdout)


@pytest.mark.parametrize(
    ("name", "options", "printed"),
    [
        ("door_counter", ["--line", "50%,100%"], "error: line: expected NAME:x,y;x,y"),
        ("overcrowding", ["--above", "nan"], "error: above, below: expected people"),
    ],
)
def test_a_mistake_is_one_line(name: str, options: list[str], printed: str, clip: Path) -> None:
    command = [sys.executable, FOLDER / f"{name}.py", clip, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(printed)


def test_people_who_walk_through_the_door_are_in(counter: EdgeCounter) -> None:
    every = LiveOptions(newest=False)
    # Once through the picture and its middle, 640 px.
    camera = FakeCamera([Show(8, people=3, walk=(80, 0))], speed=2, options=every)
    reports = load("door_counter").count_door(camera, counter, "50%,100%;50%,0%", every=3.5)
    *_, (crossed, there) = reports
    assert crossed.into == pytest.approx(3, abs=1.2)
    assert crossed.out < 0.5
    assert there > 0


def test_an_alarm_is_raised_lost_and_cleared(counter: EdgeCounter) -> None:
    script = [Show(5, people=9), Drop(12), Show(4, people=9), Show(20, people=2)]
    rule = AlarmRule(above=8, below=8, enter=0.2, leave=0.2, cooldown=0, stale=0.8)
    camera = FakeCamera(script, speed=5, options=LiveOptions(backoff=(1, 1)))
    example = load("overcrowding")
    kinds = [event.kind for event in example.watch(camera, counter, rule)]
    assert [kind for kind in kinds if kind in ("raised", "cleared")] == ["raised", "cleared"]
    assert kinds.index("lost") < kinds.index("back")


def test_a_camera_that_fails_is_told(counter: EdgeCounter) -> None:
    camera = FakeCamera([Drop(50)], options=LiveOptions(reconnect=False))
    rule = AlarmRule(above=6, below=5)
    with pytest.raises(ValueError, match="connection refused"):
        list(load("overcrowding").watch(camera, counter, rule))


@contextmanager
def served(camera: Source, counter: EdgeCounter) -> Iterator[str]:
    """Serve a camera at a free port; yields its address."""
    server = load("live_view").make_server(camera, counter, 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(60)
    assert not thread.is_alive()


def fetch(address: str) -> Any:
    return urllib.request.urlopen(address, timeout=60)  # noqa: S310 (an address of ours)


@NEEDS_FASTAPI
def test_a_browser_sees_the_camera(counter: EdgeCounter) -> None:
    camera = FakeCamera([Show(60, people=5)], size=(320, 240), speed=4)
    with served(camera, counter) as address:
        with fetch(f"{address}/") as answer:
            assert b'src="view"' in answer.read()
        with fetch(f"{address}/view") as answer:
            assert "boundary=part" in answer.headers["Content-Type"]
            stream = b""
            while stream.count(b"--part") < 3:
                stream += answer.read1()
        _, _, jpeg = stream.split(b"--part")[1].partition(b"\r\n\r\n")
        assert jpeg.startswith(b"\xff\xd8")
        with fetch(f"{address}/count") as answer:
            numbers = json.load(answer)
        assert numbers["count"] == 5
        assert numbers["source"] == "fake camera"
        assert 0 <= numbers["age"] < 60


@NEEDS_FASTAPI
def test_before_the_first_picture_there_is_no_age(counter: EdgeCounter) -> None:
    with served(FakeCamera([Drop(50)]), counter) as address, fetch(f"{address}/count") as answer:
        assert json.load(answer) == {}


@NEEDS_FASTAPI
def test_the_numbers_of_a_camera_that_is_away_grow_old(counter: EdgeCounter) -> None:
    script = [Show(1, people=5), Drop(1000)]
    with served(FakeCamera(script, size=(320, 240), speed=4), counter) as address:
        numbers: dict[str, Any] = {}
        deadline = time.monotonic() + 60
        while not (numbers.get("count") and numbers["age"] > 1) and time.monotonic() < deadline:
            with fetch(f"{address}/count") as answer:
                numbers = json.load(answer)
            time.sleep(0.05)
        assert numbers["count"] == 5
        assert 1 < numbers["age"] < 60


@NEEDS_FASTAPI
def test_the_picture_of_a_camera_that_is_away_tells_its_age(counter: EdgeCounter) -> None:
    script = [Show(1, people=5), Drop(1000)]
    camera = FakeCamera(script, size=(320, 240), speed=4)
    with served(camera, counter) as address, fetch(f"{address}/view") as answer:
        stream, shown = b"", []
        while len(shown) < 2:
            stream += answer.read1()
            parts = [part.partition(b"\r\n\r\n")[2] for part in stream.split(b"--part")[1:-1]]
            pictures = [cv2.imdecode(np.frombuffer(one, np.uint8), 1) for one in parts]
            shown = [one for one in pictures if one.mean() < pictures[0].mean() / 2]
    # What differs between one second and the next is the age alone.
    rows = np.nonzero(cv2.absdiff(*shown[:2]).max(axis=(1, 2)) > 100)[0]
    assert 20 < len(rows) < 60
    assert all(one.max() > 200 for one in shown)


@NEEDS_FASTAPI
def test_a_video_that_has_ended_has_no_count_of_now(clip: Path) -> None:
    (source,) = open_sources(str(clip))
    people = EdgeCounter(backend=FakeBackend([(100, 80)]))
    with people as counter, served(source, counter) as address:
        numbers: dict[str, Any] = {}
        deadline = time.monotonic() + 60
        while "error" not in numbers and time.monotonic() < deadline:
            with fetch(f"{address}/count") as answer:
                numbers = json.load(answer)
        assert numbers["error"] == "the source has ended"


@NEEDS_FASTAPI
def test_the_page_tells_why_there_is_no_camera(counter: EdgeCounter) -> None:
    camera = FakeCamera([Drop(50)], options=LiveOptions(reconnect=False))
    with served(camera, counter) as address:
        numbers: dict[str, Any] = {}
        deadline = time.monotonic() + 60
        while "error" not in numbers and time.monotonic() < deadline:
            with fetch(f"{address}/count") as answer:
                numbers = json.load(answer)
        assert "connection refused" in numbers["error"]
