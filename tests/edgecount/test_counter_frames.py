"""Frames and engines of one's own: what they may give, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount import EdgeCounter, FakeBackend
from edgecount.errors import ConfigError, InputError, SourceError
from edgecount.runtime.sources import Frame

Squares = Callable[..., NDArray[np.uint8]]


def test_frames_of_one_s_own_source(tiny_model: Path, squares: Squares) -> None:
    given = [Frame(squares(64, 64, *[(8, 8)] * index), "mine", index, 0.0) for index in range(2)]
    found = list(EdgeCounter(tiny_model).count_frames(given))
    assert [frame for frame, _ in found] == given
    assert [(r.source, r.frame, r.count) for _, r in found] == [("mine", 0, 0), ("mine", 1, 1)]


def test_what_frames_say_of_themselves_is_plain_in_results(
    tiny_model: Path, squares: Squares
) -> None:
    counter, image = EdgeCounter(tiny_model), squares(64, 64)
    given: list[Any] = [
        Frame(image, Path("a.png"), np.int64(3), np.float32(0.5), captured=np.float64(9.0)),  # type: ignore[arg-type]
        Frame(image, "a.png", 3, 0.5),
    ]
    first, second = (json.dumps(r.to_dict()) for _, r in counter.count_frames(given))
    told = [{**json.loads(text), "timings_ms": 0, "captured": 0} for text in (first, second)]
    assert told[0] == told[1]
    wrong: list[tuple[Any, str]] = [
        (Frame(image, 5, 0, 0.0), "expected a name as its source, got a value of type int"),  # type: ignore[arg-type]
        (Frame(image, "a", 1.5, 0.0), "whole number as its index, got 1.5"),  # type: ignore[arg-type]
        (Frame(image, "a", 0, float("nan")), "expected seconds as its time, got nan"),
        (Frame(image, "a", 0, 0.0, media_time=float("inf")), "seconds as its media_time, got inf"),
        (Frame(image, "a", 0, 0.0, captured=1.8e12), "UNIX time in seconds as its captured, got 1"),
        (Frame("a.png", "a", 0, 0.0), "expected pixels as its image, got a path"),  # type: ignore[arg-type]
    ]
    for frame, words in wrong:
        with pytest.raises(InputError, match=words):
            list(counter.count_frames([frame]))


@pytest.mark.parametrize("lanes", [0, -1, 1.5, "two", None, True])
def test_an_engine_of_ones_own_has_lanes(tiny_model: Path, lanes: Any) -> None:
    backend = FakeBackend()
    backend.lanes = lanes
    with pytest.raises(ConfigError, match="lanes of the backend fake: expected a number of frames"):
        EdgeCounter(tiny_model, backend=backend)


def test_an_engine_that_raises_stop_iteration_has_failed(
    tiny_model: Path, squares: Squares
) -> None:
    class Exhausted(FakeBackend):
        def infer(self, inputs: Any) -> Any:
            raise StopIteration

    counter = EdgeCounter(tiny_model, backend=Exhausted())
    with pytest.raises(RuntimeError, match="infer of fake raised StopIteration"):
        counter.count(squares(64, 64))


def test_what_is_no_frame_of_a_source(tiny_model: Path, squares: Squares) -> None:
    counter, image = EdgeCounter(tiny_model), squares(64, 64)
    for given in ([image], image, [None]):
        with pytest.raises(
            InputError,
            match=r"expected Frame\(image, source, index, time\) of .*, got (a value|None)",
        ):
            list(counter.count_frames(given))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"expected several Frame\(.*, got None"):
        counter.count_frames(None)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match=r"got a ndarray: images are for count\(\)$"):
        next(counter.stream(image))  # type: ignore[arg-type]
    with pytest.raises(
        ConfigError, match="expected a list of sources, got a value of type ndarray"
    ):
        counter.stream_many(image)  # type: ignore[arg-type]
