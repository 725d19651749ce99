"""ONNX Runtime with several frames in it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from edgecount import EdgeCounter
from edgecount.errors import BackendError, ModelError
from edgecount.models import model_path
from edgecount.runtime.backends.onnxruntime.cpu import OnnxRuntimeBackend
from edgecount.runtime.models.open import open_model


@pytest.fixture
def engine(tiny_model: Path) -> Iterator[OnnxRuntimeBackend]:
    with OnnxRuntimeBackend(open_model(tiny_model), threads=5) as one:
        yield one


def test_there_are_no_more_lanes_than_threads(tiny_model: Path) -> None:
    model = open_model(tiny_model)
    lanes = [OnnxRuntimeBackend(model, threads=number).lanes for number in (1, 2, 3, 16)]
    assert lanes == [1, 2, 3, 4]
    assert OnnxRuntimeBackend(model).lanes >= 1


@pytest.mark.parametrize("number", [2, 3, 8])
def test_lanes_give_the_maps_of_the_engine(number: int) -> None:
    """Bit by bit, whatever the number of threads: with a real network, of several sizes."""
    sizes = [(64, 96), (96, 64), (64, 64)]
    rng = np.random.default_rng(number)
    with OnnxRuntimeBackend(open_model(model_path("edgecount-n")), threads=5) as engine:
        name = engine._model.manifest.input.name
        feeds = [{name: rng.uniform(-1, 1, (1, 3, *size)).astype(np.float32)} for size in sizes * 2]
        alone = [engine.infer(feed) for feed in feeds]
        several = engine.for_lanes(number)
        with ThreadPoolExecutor(number) as pool:
            beside = list(pool.map(several.infer, feeds))
    for one, other in zip(alone, beside, strict=True):
        assert one.keys() == other.keys()
        for role, values in one.items():
            np.testing.assert_array_equal(values, other[role])


def test_lanes_are_opened_once_and_closed_with_the_engine(engine: OnnxRuntimeBackend) -> None:
    assert engine.for_lanes(1) is engine
    several, more = engine.for_lanes(5), engine.for_lanes(2)
    assert (engine.for_lanes(5), engine.for_lanes(2)) == (several, more)
    engine.close()
    for one in (several, more):
        with pytest.raises(BackendError, match="closed"):
            one.infer({})
    with pytest.raises(BackendError, match="closed"):
        engine.for_lanes(2)


def test_lanes_of_another_file_by_the_same_name_are_refused(
    make_model: Callable[..., Path],
) -> None:
    path = make_model()
    with OnnxRuntimeBackend(open_model(path), threads=2) as engine:
        make_model(unit=100.0).replace(path)
        with pytest.raises(ModelError, match="was replaced since it was opened"):
            engine.for_lanes(2)


def test_a_counter_goes_on_with_the_file_that_it_opened(
    make_model: Callable[..., Path], squares: Callable[..., NDArray[np.uint8]]
) -> None:
    path, frame, other = make_model(), squares(64, 64, (16, 16)), make_model()
    model = onnx.load(other)
    (unit,) = (one for one in model.graph.initializer if one.name == "unit")
    unit.CopyFrom(numpy_helper.from_array(3 * numpy_helper.to_array(unit), "unit"))
    onnx.save(model, other)
    with EdgeCounter(path, backend="onnxruntime", threads=2) as counter:
        first = counter.count(frame).density_count
        other.replace(path)
        assert [one.density_count for one in counter.count_batch([frame] * 4)] == [first] * 4
    with EdgeCounter(path, backend="onnxruntime", threads=2) as counter:
        assert counter.count(frame).density_count == pytest.approx(3 * first)
