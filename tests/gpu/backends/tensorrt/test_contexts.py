"""Shapes that come by turns: each has a context, and all compute in the same memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import standin_tensorrt as standin
from tensorrt_engines import Make, assert_same, image, on_host

from edgecount import EdgeCounter
from edgecount.errors import BackendError
from edgecount.runtime.backends.tensorrt import context_memory
from edgecount.runtime.backends.tensorrt.backend import TensorRTBackend
from edgecount.runtime.models.model_file import ModelFile

pytestmark = pytest.mark.gpu

SMALL, USUAL, LARGE = (1, 3, 64, 64), (1, 3, 64, 96), (4, 3, 128, 160)


@pytest.fixture
def recordable(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT other than RTX, whose contexts can be recorded for all shapes."""
    monkeypatch.delattr(standin.IExecutionContext, "is_stream_capturable")


@pytest.fixture
def worker(recordable: None, backend: TensorRTBackend) -> Iterator[Any]:
    with backend.open_worker() as opened:
        yield opened


def lent(worker: Any, context: Any) -> bool:
    """Whether this is the memory that the worker has now."""
    memory = worker._context_memory
    return context._lent == (memory._buffer.ptr, memory.nbytes)


def test_shapes_in_turn_keep_their_tensors_and_contexts(worker: Any) -> None:
    worker.bind(LARGE)  # takes all the memory that there will be
    first = [(worker.bind(shape), worker._context) for shape in (LARGE, USUAL, SMALL)]
    for _ in range(3):
        for shape, (bound, context) in zip((LARGE, USUAL, SMALL), first, strict=True):
            assert worker.bind(shape) is bound
            assert worker._context is context
            assert context._shape == shape
            assert worker.capturable
            assert lent(worker, context)
    assert len({id(context) for _, context in first}) == 3
    assert len({bound.input.ptr for bound, _ in first}) == 1


def test_each_runs_as_alone(recordable: None, backend: TensorRTBackend, model: ModelFile) -> None:
    for seed in range(3):
        for shape in (USUAL, LARGE, SMALL):
            pixels = image(shape[0], *shape[2:], seed=seed)
            assert_same(backend.infer({"image": pixels}), on_host(model, pixels))


def test_memory_that_grows_lets_go_of_what_lay_in_the_old(worker: Any) -> None:
    small = weakref.ref(worker.bind(SMALL))
    worker.bind(LARGE)
    gc.collect()
    assert small() is None
    again = worker.bind(SMALL)
    assert worker._context._shape == SMALL
    assert lent(worker, worker._context)
    worker.bind(LARGE)
    assert worker.bind(SMALL) is again


def test_memory_that_is_given_back_lets_go_of_all(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context_memory, "PATIENCE", 6)
    large = weakref.ref(worker.bind(LARGE))
    worker.bind(USUAL)
    bounds = [worker.bind((SMALL, USUAL)[index % 2]) for index in range(8)]
    gc.collect()
    assert large() is None
    assert bounds[0] is bounds[2]
    assert bounds[0] is not bounds[6]
    assert worker._context_memory.nbytes == standin.memory_for(USUAL)
    for shape in (SMALL, USUAL, LARGE):
        worker.bind(shape)
        worker.enqueue()
        assert lent(worker, worker._context)


def test_an_idle_shape_does_not_keep_memory_that_others_do_not_take(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context_memory, "PATIENCE", 4)
    worker.bind(LARGE)
    for _ in range(12):
        worker.bind(SMALL)
        worker.bind(LARGE)
    assert worker._context_memory.nbytes == standin.memory_for(LARGE)
    assert worker._context_memory.replaced == 1


def test_the_shape_that_was_used_least_goes_first(worker: Any) -> None:
    shapes = [(batch, 3, 64, width) for batch in (1, 2, 3) for width in (64, 96, 128)]
    worker.bind(LARGE)
    kept = [worker.bind(shape) for shape in shapes]  # with the first one they are ten
    assert len(worker._slots._slots) == 8
    assert [worker.bind(shape) for shape in shapes[1:]] == kept[1:]
    assert worker.bind(shapes[0]) is not kept[0]
    assert worker.bind(shapes[1]) is not kept[1]  # it had to make room
    assert worker.bind(shapes[8]) is kept[8]


def test_without_room_for_a_context_one_takes_the_place_of_another(
    recordable: None, backend: TensorRTBackend
) -> None:
    backend._engine.contexts_left = 2
    with backend.open_worker() as worker:
        worker.bind(LARGE)
        for _ in range(3):
            for shape in (SMALL, USUAL, LARGE):
                bound = worker.bind(shape)
                worker.enqueue()
                assert bound.input.shape == shape
    backend._engine.contexts_left = 1


def test_memory_that_is_not_there_leaves_nothing_bound(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = weakref.ref(worker.bind(SMALL))
    with monkeypatch.context() as much:
        much.setattr(standin, "BYTES", 1 << 40)
        with pytest.raises(BackendError, match=r"no \d+ MiB left for what the engine"):
            worker.bind(LARGE)
    gc.collect()
    assert small() is None
    worker.bind(SMALL)
    worker.enqueue()


def test_the_counter_counts_sizes_and_batches_in_turn(
    recordable: None, make: Make, model: ModelFile, squares: Any
) -> None:
    sizes = [(96, 64), (64, 64), (160, 128), (128, 96)]
    frames = [squares(*size, *[(8, 8 + 16 * index) for index in range(3)]) for size in sizes]
    with EdgeCounter(make().path) as counter, EdgeCounter(model.path, threads=1) as original:
        expected = [result.count for result in original.count_batch(frames)]
        for _ in range(4):
            assert [counter.count(frame).count for frame in frames] == expected
        for number in (3, 1, 4, 2) * 2:
            for frame, count in zip(frames, expected, strict=True):
                found = counter.count_batch([frame] * number)
                assert [result.count for result in found] == [count] * number
