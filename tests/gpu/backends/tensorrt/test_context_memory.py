"""Contexts that are lent their memory, as much as their shape takes."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import standin_tensorrt as standin
from tensorrt_engines import Make, assert_same, image, on_host

from edgecount import EdgeCounter
from edgecount.errors import BackendError
from edgecount.runtime.backends.tensorrt import context_memory
from edgecount.runtime.backends.tensorrt.backend import TensorRTBackend
from edgecount.runtime.models.model_file import ModelFile
from edgecount.runtime.models.sidecar import InputShapes

pytestmark = pytest.mark.gpu

SMALL, USUAL, LARGE = (1, 3, 64, 64), (1, 3, 64, 96), (4, 3, 128, 160)
LENT = standin.ExecutionContextAllocationStrategy.USER_MANAGED
OWN = standin.ExecutionContextAllocationStrategy.STATIC


def lent(worker: Any) -> int:
    """Bytes of a worker's context, which are those that the context knows of."""
    address, size = worker._context._lent
    assert address == worker._context_memory._buffer.ptr
    assert size == worker._context_memory.nbytes
    return size


def test_a_context_takes_what_its_shape_takes(backend: TensorRTBackend) -> None:
    with backend.open_worker() as worker:
        assert worker._context._config.strategy is LENT
        for shape, size in ((USUAL, USUAL), (SMALL, USUAL), (LARGE, LARGE), (SMALL, LARGE)):
            worker.bind(shape)
            assert lent(worker) == standin.memory_for(size)


def test_counts_are_the_same_in_lent_memory(backend: TensorRTBackend, model: ModelFile) -> None:
    for shape in (USUAL, SMALL, LARGE, USUAL):
        pixels = image(shape[0], *shape[2:])
        assert_same(backend.infer({"image": pixels}), on_host(model, pixels))
    (worker,) = backend._idle
    assert lent(worker) == standin.memory_for(LARGE)


def test_an_older_tensorrt_lends_by_the_strategy_alone(
    make: Make, model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(standin.IRuntimeConfig, "create_runtime_cache")
    monkeypatch.delattr(standin.ICudaEngine, "create_runtime_config")
    with TensorRTBackend(make()) as backend:
        assert_same(backend.infer({"image": image()}), on_host(model, image()))
        (worker,) = backend._idle
        assert lent(worker) == standin.memory_for(USUAL)


def test_the_oldest_takes_its_memory_itself(
    make: Make, model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(standin.IExecutionContext, "set_device_memory")
    monkeypatch.delattr(standin.IExecutionContext, "update_device_memory_size_for_shapes")
    with TensorRTBackend(make()) as backend, backend.open_worker() as worker:
        assert worker._context._config.strategy is OWN
        assert_same(backend.infer({"image": image()}), on_host(model, image()))


def test_an_engine_of_one_shape_takes_its_memory_itself(make: Make) -> None:
    engine = make(shapes=InputShapes.static(USUAL))
    with TensorRTBackend(engine) as backend, backend.open_worker() as worker:
        assert worker._context._config.strategy is OWN
        worker.bind(USUAL)


def test_a_size_that_cannot_be_told_is_the_largest(
    backend: TensorRTBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with backend.open_worker() as worker:
        monkeypatch.setattr(
            standin.IExecutionContext, "update_device_memory_size_for_shapes", lambda _: 0
        )
        worker.bind(SMALL)
        assert lent(worker) == standin.memory_for(LARGE)


def test_what_is_idle_for_long_is_given_back(
    backend: TensorRTBackend, model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context_memory, "PATIENCE", 4)
    with backend.open_worker() as worker:
        worker.bind(LARGE)
        for _ in range(10):
            worker.bind(LARGE)
        before = worker.bind(SMALL)
        bounds = [worker.bind(SMALL) for _ in range(8)]
        # Its graphs are no longer of use, and what else they knew lies where it was.
        assert [bound is before for bound in bounds] == [True] * 2 + [False] * 6
        assert all(bound is bounds[-1] for bound in bounds[2:])
        assert bounds[-1].input.ptr == before.input.ptr
        assert lent(worker) == standin.memory_for(SMALL)
        assert worker._context.runs == 2  # a known shape is not warmed up again
        worker.enqueue()


def test_sizes_that_change_with_every_frame_keep_the_most_they_took(
    backend: TensorRTBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context_memory, "PATIENCE", 6)
    with backend.open_worker() as worker:
        worker.bind(LARGE)
        for _ in range(3):
            worker.bind(USUAL)
            worker.bind(SMALL)
        assert lent(worker) == standin.memory_for(USUAL)
        for _ in range(5):  # in use every other frame
            worker.bind(LARGE)
            worker.bind(SMALL)
            worker.bind(SMALL)
            assert lent(worker) == standin.memory_for(LARGE)


def test_memory_that_is_not_there_is_one_line(
    backend: TensorRTBackend, model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with backend.open_worker() as worker:
        worker.bind(SMALL)
        with monkeypatch.context() as much:
            much.setattr(standin, "BYTES", 1 << 40)
            with pytest.raises(BackendError, match=r"no \d+ MiB left for what the engine"):
                worker.bind(USUAL)
        with pytest.raises(BackendError, match="bind a shape"):
            worker.enqueue()
        worker.bind(USUAL)
        worker.enqueue()


def test_a_second_context_is_refused_where_it_is_opened(backend: TensorRTBackend) -> None:
    with backend.open_worker() as one:
        one.bind(LARGE)
        with backend.open_worker() as other:
            assert other._context_memory is not None
            assert other._context_memory.nbytes == lent(one)
        backend._hint.nbytes = 1 << 60
        with pytest.raises(BackendError, match="MiB left for what the engine computes"):
            backend.open_worker()


def test_frames_go_one_by_one_where_a_second_runner_has_no_memory(
    make: Make, model: ModelFile, squares: Any, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [squares(96, 64, (16, 16)), squares(96, 64), squares(96, 64, (64, 32), (16, 16))]
    with EdgeCounter(make().path) as counter, EdgeCounter(model.path, threads=1) as original:
        counter.count(frames[0])
        assert isinstance(counter.backend, TensorRTBackend)
        counter.backend._hint = context_memory.MemoryHint(1 << 60)  # for the runners to come
        with caplog.at_level(logging.INFO):
            found = counter.count_batch(frames * 2)
        expected = original.count_batch(frames * 2)
    assert [result.count for result in found] == [result.count for result in expected]
    assert "frames go one after the other: the GPU has no" in caplog.text


def test_the_counter_goes_on_while_memory_is_given_back(
    make: Make, model: ModelFile, squares: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context_memory, "PATIENCE", 3)
    frames = [squares(160, 128, (16, 16))] + [squares(64, 64, (8 * i, 16)) for i in range(7)] * 2
    with EdgeCounter(make().path) as counter, EdgeCounter(model.path, threads=1) as original:
        for frame in frames:
            assert counter.count(frame).count == original.count(frame).count
        (runner,) = counter._pipeline._runners._idle[0]
        assert lent(runner._worker) == standin.memory_for(SMALL)  # type: ignore[attr-defined]
