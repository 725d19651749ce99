"""EdgeCounter on files, folders and clips: streams, damage, addresses."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount import EdgeCounter, FakeBackend
from edgecount.errors import ConfigError, SourceError

Squares = Callable[..., NDArray[np.uint8]]


def test_stream_of_a_folder(tiny_model: Path, squares: Squares, tmp_path: Path) -> None:
    for index in (1, 2, 10):
        corners = [(16 * i, 0) for i in range(index)]
        cv2.imwrite(str(tmp_path / f"{index}.png"), squares(200, 64, *corners))
    results = list(EdgeCounter(tiny_model).stream(tmp_path))
    assert [round(result.density_count or 0) for result in results] == [1, 2, 10]
    assert [result.source for result in results] == [
        str(tmp_path / name) for name in ("1.png", "2.png", "10.png")
    ]
    assert [result.frame for result in results] == [0, 0, 0]


def test_damaged_and_large_files_are_taken_where_they_are_allowed(
    tiny_model: Path, squares: Squares, tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    data = bytes(cv2.imencode(".jpg", squares(200, 64, (16, 0)))[1])
    path.write_bytes(data[:-2])
    strict = EdgeCounter(tiny_model)
    small = EdgeCounter(tiny_model, accept_damaged=True, max_pixels=200 * 64 - 1)
    for count in (strict.count, lambda name: list(strict.stream(name))):
        with pytest.raises(SourceError, match="truncated"):
            count(path)
    for count in (small.count, lambda name: list(small.stream(name))):
        with pytest.raises(SourceError, match=r"expected at most 12,799: .*`max_pixels`"):
            count(path)
    counter = EdgeCounter(tiny_model, accept_damaged=True)
    assert round(counter.count(path).density_count or 0) == 1
    assert [round(result.density_count or 0) for result in counter.stream(path)] == [1]


def test_arguments_of_a_stream_are_checked_when_it_is_asked_for(tiny_model: Path) -> None:
    counter = EdgeCounter(tiny_model)
    takers: list[Callable[..., object]] = [
        counter.stream,
        counter.stream_async,
        lambda name, live: counter.stream_many([name], live=live),
        lambda name, live: counter.watch(name, print, live=live),
    ]
    for take in takers:
        with pytest.raises(ConfigError, match="live: expected"):
            take("x.avi", live=3)


def test_stream_of_a_video(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 64))
    for index in range(5):
        writer.write(np.full((64, 64, 3), 255 * (index % 2), np.uint8))
    writer.release()
    results = list(EdgeCounter(tiny_model).stream(path))
    assert [result.frame for result in results] == [0, 1, 2, 3, 4]
    assert [round(result.density_count or 0) for result in results] == [0, 64, 0, 64, 0]


def test_a_stream_of_nothing(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds nothing to count"):
        next(EdgeCounter(tiny_model).stream(tmp_path))


def test_whatever_a_source_raises_is_an_error_of_that_source(
    tiny_model: Path,
    squares: Squares,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edgecount.runtime.sources import image

    read = image.read_image

    def fail(path: Any, **options: Any) -> Any:
        if str(path).endswith("b.png"):
            raise MemoryError("1 TiB")
        return read(path, **options)

    monkeypatch.setattr(image, "read_image", fail)
    paths = [str(tmp_path / name) for name in ("a.png", "b.png")]
    for path in paths:
        cv2.imwrite(path, squares(64, 64, (8, 8)))
    counter = EdgeCounter(tiny_model)
    errors: list[SourceError] = []
    assert [one.source for one in counter.stream_many(paths, on_error=errors.append)] == paths[:1]
    assert [str(error) for error in errors] == [f"{paths[1]}: MemoryError: 1 TiB"]
    with pytest.raises(SourceError, match=r"b\.png: MemoryError"):
        list(counter.stream(tmp_path))


def test_a_program_may_end_with_open_streams(squares: Squares, tmp_path: Path) -> None:
    """Threads that decode must not be met by the end of the interpreter."""
    for index in range(9):
        cv2.imwrite(str(tmp_path / f"{index}.png"), squares(640, 480))
    code = (
        "import sys\n"
        "from edgecount import EdgeCounter, FakeBackend\n"
        "counter = EdgeCounter(backend=FakeBackend())\n"
        "streams = [counter.stream(sys.argv[1]), counter.stream_many([sys.argv[1]] * 2)]\n"
        "for results in streams: next(results)\n"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_address_is_for_stream_and_shows_no_password() -> None:
    counter = EdgeCounter(backend=FakeBackend())
    for url in ("http://user:secret@host/a.jpg", Path("http://user:secret@host/a.jpg")):
        with pytest.raises(SourceError, match=r"got http:/+host/a.jpg: addresses are for stream"):
            counter.count(url)
    with pytest.raises(SourceError, match=r"no such file:  a b\.jpg"):
        counter.count(" a b.jpg")


def test_what_a_caller_throws_into_a_stream_comes_back(
    tiny_model: Path, squares: Squares, tmp_path: Path
) -> None:
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"{index}.png"), squares(64, 64))
    counter = EdgeCounter(tiny_model)
    for results in (counter.stream_many([tmp_path, tmp_path]), counter.stream(tmp_path)):
        next(results)
        error = ValueError("no room for the result")
        with pytest.raises(ValueError, match="no room") as caught:
            results.throw(error)  # type: ignore[attr-defined]
        assert caught.value is error
        assert list(results) == []
    # They come back, those of frames that were being counted a moment later.
    deadline = time.monotonic() + 60
    while counter._pipeline._runners._in_use != [0] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert counter._pipeline._runners._in_use == [0]
