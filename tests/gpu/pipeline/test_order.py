"""EdgeCounter through a GPU: streams, cameras and threads that share it keep their order."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from gpu_frames import assert_same
from numpy.typing import NDArray

from edgecount import EdgeCounter, Frame
from edgecount.errors import SourceError
from edgecount.result import CountResult

pytestmark = pytest.mark.gpu


def test_a_clip_and_its_order(make_engine, tiny_model, squares, tmp_path) -> None:
    for index in range(6):
        corners = [(16 * place, 16) for place in range(index)]
        cv2.imwrite(str(tmp_path / f"{index}.png"), squares(128, 96, *corners))
    engine = make_engine()
    counter = EdgeCounter(tiny_model, backend=engine)
    results = list(counter.stream(tmp_path))
    assert [result.count for result in results] == list(range(6))
    assert [Path(result.source or "").stem for result in results] == list("012345")
    assert len(engine.workers) == 2
    # A stream that is left in the middle stops its thread.
    stream = counter.stream(tmp_path)
    assert next(stream).count == 0
    stream.close()
    gc.collect()
    assert sum("edgecount" in thread.name for thread in threading.enumerate()) <= 1


def test_frames_in_one_array(make_engine, tiny_model, squares) -> None:
    """The next ones are read while a frame is counted: what is read is copied."""
    same = squares(64, 64)

    def fill(number: int) -> NDArray[np.uint8]:
        same[...] = squares(64, 64, *[(16 * i, 16) for i in range(number)])
        return same

    counter = EdgeCounter(tiny_model, backend=make_engine())
    frames = (Frame(fill(number % 4), "own", number, 0.0) for number in range(8))
    expected = [number % 4 for number in range(8)]
    assert [result.count for _, result in counter.count_frames(frames)] == expected
    batch = counter.count_batch(fill(number % 4) for number in range(8))
    assert [result.count for result in batch] == expected


def test_a_stream_gives_what_it_counted_before_it_failed(
    make_engine, tiny_model, squares, tmp_path
) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), squares(64, 64, (8, 8)))
    (tmp_path / "1.png").write_bytes(b"no picture")
    counts: list[float] = []
    stream = EdgeCounter(tiny_model, backend=make_engine()).stream(tmp_path)
    with pytest.raises(SourceError, match=r"1\.png"):
        counts.extend(result.count for result in stream)
    assert counts == [1]


def test_cameras_in_one_call(make_engine, tiny_model, noise, tmp_path) -> None:
    folders = []
    for camera, size in enumerate([(128, 96), (64, 64), (128, 96)]):
        folder = tmp_path / str(camera)
        folder.mkdir()
        for index in range(3 - camera % 2):
            cv2.imwrite(str(folder / f"{index}.png"), noise(*size, seed=10 * camera + index))
        folders.append(folder)
    engine = make_engine()
    counter, cpu = EdgeCounter(tiny_model, backend=engine), EdgeCounter(tiny_model)
    results = list(counter.stream_many(folders))
    places = [tuple(Path(result.source or "").parts[-2:]) for result in results]
    assert places == [
        ("0", "0.png"), ("1", "0.png"), ("2", "0.png"), ("0", "1.png"), ("1", "1.png"),
        ("2", "1.png"), ("0", "2.png"), ("2", "2.png"),
    ]  # fmt: skip
    for result in results:
        assert_same(result, cpu.count(result.source))
    assert sorted(shape[0] for shape in engine.shapes) == [1, 1, 2, 2, 2]


def test_several_threads(make_engine, tiny_model, noise) -> None:
    engine = make_engine()
    counter, cpu = EdgeCounter(tiny_model, backend=engine), EdgeCounter(tiny_model)
    frames = [noise(128, 96, seed) for seed in range(4)]
    expected = [cpu.count(frame) for frame in frames]
    found: dict[int, list[CountResult]] = {}

    def work(number: int) -> None:
        found[number] = [counter.count(frames[number]) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, results in found.items():
        for result in results:
            assert_same(result, expected[number])
    assert len(engine.workers) <= 4
