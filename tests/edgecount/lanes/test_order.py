"""Results of frames side by side: in order, and those of one frame after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from lanes_engine import LANES, WAYS, Engine, Own, picture
from numpy.typing import NDArray

from edgecount import ConfigError, EdgeCounter, Frame, PixelFrame
from edgecount.fake import FakeCamera, Show
from edgecount.runtime.pipeline import host_pipeline


@pytest.mark.parametrize("way", WAYS)
def test_results_come_in_order_whoever_is_done_first(
    counter: EdgeCounter, engine: Engine, folder: Path, way: str
) -> None:
    meeting, later = threading.Barrier(2, timeout=60), threading.Event()

    def before(value: int) -> None:
        if value < 2:
            meeting.wait()
        if value == LANES:
            later.set()
        # The first frame has its lane until another one was done in another lane.
        assert value != 0 or later.wait(60)

    engine.before = before
    assert WAYS[way](counter, folder) == list(range(8))
    assert 1 < engine.most <= LANES
    assert engine.opened == [LANES]


@pytest.mark.parametrize("way", WAYS)
def test_one_worker_counts_in_the_caller_s_thread(
    tiny_model: Path, engine: Engine, folder: Path, way: str
) -> None:
    counter = EdgeCounter(tiny_model, backend=engine, workers=1)
    assert WAYS[way](counter, folder) == list(range(8))
    assert engine.threads == {threading.get_ident()}
    assert engine.opened == []


def test_a_single_frame_has_the_whole_engine(
    counter: EdgeCounter, engine: Engine, folder: Path
) -> None:
    path = folder / "5.png"
    assert counter.count(path).count == 5
    for results in (
        counter.count_batch([path]),
        counter.stream(path),
        (outcome.result() for outcome in counter.count_each([path])),
    ):
        assert [one.count for one in results] == [5]
    assert engine.threads == {threading.get_ident()}
    assert engine.opened == []


def test_a_camera_s_pictures_go_one_by_one(tiny_model: Path) -> None:
    engine = Engine()
    cameras = [FakeCamera([Show(1)], speed=10) for _ in range(3)]
    with EdgeCounter(tiny_model, backend=engine) as counter:
        assert list(counter.stream(cameras[0]))
        assert list(counter.stream_many(cameras[1:]))
    assert engine.most == 1
    assert engine.opened == []


@pytest.mark.parametrize("options", [{}, {"workers": 4}, {"threads": 5, "workers": 2}])
def test_results_are_those_of_one_frame_after_the_other(
    tiny_model: Path, squares: Any, tmp_path: Path, options: dict[str, Any]
) -> None:
    """Frames of several sizes, so that a buffer shared by mistake would show."""
    rng = np.random.default_rng(5)
    paths = []
    for index, (w, h) in enumerate(rng.integers(8, 60, (12, 2))):
        paths.append(tmp_path / f"{index}.png")
        frame = squares(8 * int(w), 8 * int(h), *(8 * rng.integers(0, (w, h), (6, 2))))
        cv2.imwrite(str(paths[-1]), frame)
    gate = {"gate": [(0, 0), (100, 0), (100, 100), (0, 100)]}

    def facts(results: Any) -> list[dict[str, Any]]:
        found = [one.to_dict(points=True) for one in results]
        for one in found:
            assert set(one.pop("timings_ms")) == {"preprocess", "infer", "postprocess"}
        return found

    with EdgeCounter(tiny_model, regions=gate, **options) as counter:
        alone = facts(counter.count(path) for path in paths)
        assert facts(counter.count_batch(map(str, paths))) == alone
        assert facts(counter.stream(tmp_path)) == alone
        assert facts(counter.stream_many(paths)) == alone
        assert facts(one.result() for one in counter.count_each(paths)) == alone
        own = Own(lambda: (Frame(cv2.imread(str(one)), str(one), 0, 0.0) for one in paths))
        assert facts(result for _, result in counter.count_frames(own)) == alone


def test_frames_of_a_caller_s_own_come_when_they_are_asked_for(counter: EdgeCounter) -> None:
    given: list[int] = []
    same = picture(0)

    def frames() -> Iterator[Frame]:
        for value in range(5):
            given.append(threading.get_ident())
            same[...] = value  # always in the same array
            yield Frame(same, "own", value, 0.0)

    for index, (_, result) in enumerate(counter.count_frames(frames())):
        assert (result.count, len(given)) == (index, index + 1)
    assert set(given) == {threading.get_ident()}


@pytest.mark.parametrize("workers", [None, 1, 2])
def test_frames_in_one_array_are_counted_as_they_were_given(
    tiny_model: Path, workers: int | None
) -> None:
    """A source may fill the same array for each frame, as libraries of cameras do."""
    same = picture(0)

    def fill(value: int) -> NDArray[np.uint8]:
        same[...] = value
        return same

    def frames() -> Iterator[Frame]:
        return (Frame(fill(value), "own", value, 0.0) for value in range(8))

    counter = EdgeCounter(tiny_model, backend=Engine(), workers=workers)
    for results in (
        counter.count_batch(fill(value) for value in range(8)),
        counter.count_batch(PixelFrame(fill(value), "rgb") for value in range(8)),
        (one.result() for one in counter.count_each(map(fill, range(8)))),
        (one.result() for one in counter.count_each([partial(fill, n) for n in range(8)])),
        counter.stream(Own(frames)),
        counter.stream_many([Own(frames)]),
        (result for _, result in counter.count_frames(Own(frames))),
    ):
        assert [one.count for one in results] == list(range(8))
    # Whoever hides heads in the frame that comes with a result hides those that were counted.
    pixels = [int(frame.image[0, 0, 0]) for frame, _ in counter.count_frames(Own(frames))]
    assert pixels == list(range(8))


@pytest.mark.parametrize("workers", [None, 1, 2])
def test_refine_may_count_more_frames(
    tiny_model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, workers: int | None
) -> None:
    """With the room of its own frame: in a row, where all frames together fill it."""
    monkeypatch.setattr(host_pipeline, "LARGEST_PLANE", LANES * 64 * 64)

    class Closer(EdgeCounter):
        def refine(self, frame: Any, result: Any) -> Any:
            if frame.pixels.shape != (64, 64, 3):
                return result
            parts = self.count_batch([frame.pixels[:32], frame.pixels[32:]])
            return replace(result, count=sum(part.count for part in parts))

    counter = Closer(tiny_model, backend=Engine(), workers=workers)
    assert [one.count for one in counter.stream(folder)] == [2 * value for value in range(8)]
    assert counter.count(picture(3)).count == 6


@pytest.mark.parametrize("workers", [0, -1, 1025, True, 1.5, "2"])
def test_workers_are_checked(tiny_model: Path, workers: Any) -> None:
    with pytest.raises(ConfigError, match="workers: expected a number from 1 to 1024"):
        EdgeCounter(tiny_model, workers=workers)
