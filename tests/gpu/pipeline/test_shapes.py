"""EdgeCounter through a GPU: sizes and batches that change all the time take nothing new."""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any

import numpy as np
import pytest
from gpu_frames import assert_same, on_device

from edgecount import EdgeCounter, NV12Frame, _ext
from edgecount.errors import BackendError
from engines import HostEngine, RecordedEngine

pytestmark = pytest.mark.gpu

SIZES = (128, 96), (64, 64), (160, 120)
MADE = ("DeviceBuffer", "PinnedBuffer", "Preprocessor", "MapCounter", "Stream")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what is made on the GPU from here on."""
    numbers: Counter[str] = Counter()

    def counted(name: str) -> Any:
        real = getattr(_ext, name)

        def make(*args: Any, **keywords: Any) -> Any:
            numbers[name] += 1
            return real(*args, **keywords)

        return make

    for name in MADE:
        monkeypatch.setattr(_ext, name, counted(name))
    return numbers


def graphs(counter: EdgeCounter) -> int:
    """Return the number of records that its idle runners hold."""
    gc.collect()
    return sum(len(runner._graphs) for runner in counter._pipeline._runners._idle[0])


def test_the_engine_is_recorded_once_and_replayed(make_engine, tiny_model, noise) -> None:
    engine = make_engine(RecordedEngine)
    counter = EdgeCounter(tiny_model, backend=engine)
    first = counter.count(noise(128, 96))
    for seed in range(4):
        assert counter.count(noise(128, 96, seed)).count == first.count
    assert len(engine.shapes) == 2  # once as it is, once to be recorded
    counter.count(noise(64, 64))
    assert len(engine.shapes) == 3  # another shape begins anew
    assert counter.count(noise(128, 96)).count == first.count
    assert len(engine.shapes) == 3


def test_sizes_in_turn_are_replayed_and_take_nothing_new(
    make_engine, tiny_model, noise, made
) -> None:
    engine = make_engine(RecordedEngine)
    counter = EdgeCounter(tiny_model, backend=engine)
    frames = [noise(*size) for size in SIZES]
    expected = [counter.count(frame).count for frame in frames]
    made.clear()
    for index in range(60):
        assert counter.count(frames[index % 3]).count == expected[index % 3]
    assert len(engine.shapes) == 6  # three as they are and three to be recorded; 57 are replayed
    assert made == {}


def test_batches_of_all_sizes_run_as_a_few(make_engine, tiny_model, noise, made) -> None:
    engine = make_engine(RecordedEngine, batches=(1, 8))
    counter = EdgeCounter(tiny_model, backend=engine)
    frames = [noise(128, 96, seed) for seed in range(8)]
    for number in (1, 2, 3, 4, 5, 6, 7, 8) * 2:
        assert len(counter.count_batch(frames[:number])) == number
    assert sorted(Counter(shape[0] for shape in engine.shapes).items()) == [
        (1, 2), (2, 2), (4, 2), (8, 2),
    ]  # fmt: skip
    made.clear()
    for number in (5, 2, 7, 1, 3, 8, 4, 6):
        counter.count_batch(frames[:number])
    assert len(engine.shapes) == 8
    assert made == {}


@pytest.mark.parametrize(
    ("batches", "ran"), [((1, 8), [1, 2, 4, 4, 8, 8]), ((1, 6), [1, 2, 4, 4, 6, 6]), ((3, 3), [3])]
)
def test_every_picture_of_a_filled_batch_counts_as_alone(
    make_engine, tiny_model, noise, batches, ran
) -> None:
    engine = make_engine(batches=batches)
    counter, cpu = EdgeCounter(tiny_model, backend=engine), EdgeCounter(tiny_model)
    frames: list[Any] = [noise(128, 96, seed) for seed in range(6)]
    frames[1] = on_device(frames[1])
    expected = [cpu.count(noise(128, 96, seed)) for seed in range(6)]
    for number in range(1, min(6, batches[1]) + 1):
        found = counter.count_batch(frames[:number])
        for one, other in zip(found, expected, strict=False):
            assert_same(one, other)
    assert [shape[0] for shape in engine.shapes] == (ran if len(ran) > 1 else ran * 3)


def test_bgr_and_nv12_of_several_sizes_share_their_way(make_engine, tiny_model, noise) -> None:
    counter, cpu = EdgeCounter(tiny_model, backend=make_engine()), EdgeCounter(tiny_model)
    rng = np.random.default_rng(7)
    nv12 = [
        NV12Frame.from_buffer(rng.integers(0, 256, (height * 3 // 2, width), np.uint8))
        for width, height in SIZES
    ]
    frames = [noise(*size) for size in SIZES] + nv12
    for frame in frames * 3:
        assert_same(counter.count(frame), cpu.count(frame))


def test_memory_is_that_of_the_largest_frame(make_engine, tiny_model, noise) -> None:
    counter = EdgeCounter(tiny_model, backend=make_engine())
    for size in SIZES * 2:
        counter.count(noise(*size))
    (runner,) = counter._pipeline._runners._idle[0]
    assert runner._staging._pinned.nbytes == 160 * 120 * 3
    for side in range(64, 64 + 12 * 8, 8):
        counter.count(noise(side, 64))
    assert len(runner._kernels._kept) == 8


def test_a_record_is_not_used_for_tensors_that_have_moved(make_engine, tiny_model, noise) -> None:
    engine = make_engine(RecordedEngine)
    counter = EdgeCounter(tiny_model, backend=engine)
    expected = counter.count(noise(128, 96)).count
    for _ in range(3):
        assert counter.count(noise(128, 96)).count == expected
    worker = engine.workers[0]
    bind = worker.bind

    def fail(shape: tuple[int, int, int, int]) -> Any:
        worker.kept.clear()  # as an engine that moved its tensors, and then found no room
        worker.bound = None
        raise BackendError("no memory left")

    worker.bind = fail
    with pytest.raises(BackendError, match="no memory left"):
        counter.count(noise(256, 256))
    assert graphs(counter) == 0
    worker.bind = bind
    for _ in range(3):
        assert counter.count(noise(128, 96)).count == expected


@pytest.mark.parametrize("kind", [HostEngine, RecordedEngine])
def test_records_go_with_the_tensors_that_a_worker_lets_go(
    make_engine, tiny_model, noise, kind
) -> None:
    options = {"keeps": 2} if kind is RecordedEngine else {}
    engine = make_engine(kind, **options)
    counter = EdgeCounter(tiny_model, backend=engine)
    expected = {}
    for size in SIZES * 4:
        found = counter.count(noise(*size)).count
        assert expected.setdefault(size, found) == found
        assert graphs(counter) <= (2 if options else 1)
    assert len(engine.shapes) == 12  # three sizes in turn, of which two are kept: never a replay
