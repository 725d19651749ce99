"""EdgeCounter through a GPU: batches, limits and records of engines, and what they give wrong."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from gpu_frames import CORNERS, assert_same
from numpy.typing import NDArray

from edgecount import EdgeCounter, _ext
from edgecount.errors import BackendError, ConfigError
from edgecount.manifest import IntervalSpec
from edgecount.result import CountResult
from edgecount.runtime.frames.checked import CheckedFrame
from edgecount.runtime.models.open import open_model
from engines import HostWorker

pytestmark = pytest.mark.gpu


def test_batches_of_one_size_go_through_together(make_engine, tiny_model, noise) -> None:
    engine = make_engine(batches=(1, 3))
    counter, cpu = EdgeCounter(tiny_model, backend=engine), EdgeCounter(tiny_model)
    frames = [noise(128, 96, seed) for seed in range(5)]
    frames += [noise(64, 64, seed) for seed in range(2)] + [noise(128, 96, 9)]
    for found, frame in zip(counter.count_batch(frames), frames, strict=True):
        assert_same(found, cpu.count(frame))
    assert [shape[0] for shape in engine.shapes] == [3, 2, 2, 1]
    assert counter.count_batch([]) == []


def test_an_engine_of_a_fixed_batch_takes_fewer_frames(make_engine, tiny_model, noise) -> None:
    engine = make_engine(batches=(4, 4))
    counter, cpu = EdgeCounter(tiny_model, backend=engine), EdgeCounter(tiny_model)
    frames = [noise(128, 96, seed) for seed in range(6)]
    for found, frame in zip(counter.count_batch(frames), frames, strict=True):
        assert_same(found, cpu.count(frame))
    assert [shape[0] for shape in engine.shapes] == [4, 4]


def test_tiles_of_an_engine_of_a_fixed_batch(make_engine, make_model, noise) -> None:
    model = make_model()
    frame = noise(2112, 2080)
    counter = EdgeCounter(model, backend=make_engine(batches=(2, 2)), max_side=None)
    assert_same(counter.count(frame), EdgeCounter(model, max_side=None).count(frame))


def test_an_engine_of_limited_sizes(make_engine, tiny_model, squares) -> None:
    engine = make_engine(sizes=((64, 128), (128, 256)))
    counter = EdgeCounter(tiny_model, backend=engine)
    assert counter.count(squares(40, 40, (8, 8))).count == 1
    assert counter.count(squares(512, 512, (8, 8))).density.shape == (16, 16)
    assert engine.shapes == [(1, 3, 64, 128), (1, 3, 128, 128)]
    with pytest.raises(ConfigError, match="takes at most 256 x 128 pixels"):
        EdgeCounter(tiny_model, backend=engine, max_side=None).count(squares(512, 512))


def test_limits_of_an_engine_are_told_once_and_leave_no_interval(
    make_engine, make_model, noise, caplog
) -> None:
    engine = make_engine(sizes=((64, 64), (128, 128)))
    manifest = open_model(make_model()).manifest
    interval = IntervalSpec(0.9, 1.0, 1.0, 1.0, 1.0, 0.1, 0.0)
    post = dataclasses.replace(manifest.postprocess, interval=interval)
    manifest = dataclasses.replace(manifest, postprocess=post)
    counter = EdgeCounter(manifest, backend=engine)
    assert counter.count(noise(96, 96)).interval is not None
    for _ in range(2):
        assert counter.count(noise(250, 100)).interval is None
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 1
    assert told[0].startswith("frames of 250 x 100 pixels are counted at 128 x 51")


def test_float16_tensors(make_engine, tiny_model, squares) -> None:
    counter = EdgeCounter(tiny_model, backend=make_engine(half=True))
    result = counter.count(squares(128, 96, *CORNERS))
    assert result.count == pytest.approx(3, rel=1e-3)
    assert result.peak_count == 3


def test_an_engine_that_cannot_be_recorded_runs_as_it_is(make_engine, tiny_model, noise) -> None:
    engine = make_engine()
    counter, cpu = EdgeCounter(tiny_model, backend=engine), EdgeCounter(tiny_model)
    counter.count(noise(128, 96))
    engine.workers[0].capturable = True  # it waits for the stream, which no graph can hold
    for seed in range(3):
        assert_same(counter.count(noise(128, 96, seed)), cpu.count(noise(128, 96, seed)))


def test_maps_that_are_not_finite_or_not_promised(make_engine, tiny_model, noise) -> None:
    engine = make_engine()
    right = engine.run
    counter = EdgeCounter(tiny_model, backend=engine)

    def spoilt(image: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        maps = {name: values.copy() for name, values in right(image).items()}
        maps["heat"][0, 0, 1, 2] = np.nan
        return maps

    engine.run = spoilt
    with pytest.raises(BackendError, match=r"output 'heat' \(heatmap\) of tiny: expected finite"):
        counter.count(noise(128, 96))
    engine.run = lambda image: {n: v for n, v in right(image).items() if n != "shift"}
    with pytest.raises(BackendError, match="output 'shift' is missing"):
        counter.count(noise(96, 96))
    engine.run = right
    assert counter.count(noise(128, 96)).peak_count is not None


def test_maps_of_two_precisions_are_refused(make_engine, tiny_model, noise, monkeypatch) -> None:
    array = HostWorker._array
    shifts = (1, 2, 24, 32)
    monkeypatch.setattr(
        HostWorker,
        "_array",
        lambda self, shape: (
            _ext.DeviceBuffer(4 * int(np.prod(shape))).array(shape, "float16")
            if shape == shifts
            else array(self, shape)
        ),
    )
    counter = EdgeCounter(tiny_model, backend=make_engine())
    with pytest.raises(BackendError, match="'shift': expected float32 on a GPU, as 'heat' is, got"):
        counter.count(noise(128, 96))


def test_a_subclass_may_refine_every_result(make_engine, tiny_model, noise) -> None:
    class Named(EdgeCounter):
        def refine(self, frame: CheckedFrame, result: CountResult) -> CountResult:
            return dataclasses.replace(result, source=f"{frame.size}")

    counter = Named(tiny_model, backend=make_engine(batches=(1, 3)))
    frames = [noise(128, 96), noise(128, 96), noise(64, 64)]
    assert counter.count(frames[0]).source == "(128, 96)"
    sources = [result.source for result in counter.count_batch(frames)]
    assert sources == ["(128, 96)", "(128, 96)", "(64, 64)"]


def test_after_close(make_engine, tiny_model, noise) -> None:
    engine = make_engine()
    counter = EdgeCounter(tiny_model, backend=engine)
    counter.count(noise(128, 96))
    counter.close()
    counter.close()
    assert all(worker.closed for worker in engine.workers)
    with pytest.raises(BackendError, match="the counter is closed"):
        counter.count(noise(128, 96))


def test_a_gpu_without_memory_for_a_frame_says_so(make_engine, tiny_model) -> None:
    free, _ = _ext.device_memory()
    with pytest.raises(RuntimeError, match="memory"):
        _ext.DeviceBuffer(4 * free + 2**50)
