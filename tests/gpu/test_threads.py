"""Several threads and several streams at once: each gets its own results."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from gpu_maps import EMULATED, Case, assert_same, count, how_many, make_counter, random_case, upload
from numpy.typing import NDArray

from edgecount import _ext

pytestmark = pytest.mark.gpu

THREADS = 2 if EMULATED else 4
SIZE = (24, 32) if EMULATED else (135, 240)
MEAN, SCALE = (127.5,) * 3, (1 / 127.5,) * 3


def together(work: Callable[[int], None], threads: int = THREADS) -> None:
    """Run work(0), work(1), ... at once; what one raises is raised."""
    gate = threading.Barrier(threads)

    def begin(number: int) -> None:
        gate.wait()
        work(number)

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(begin, number) for number in range(threads)]:
            done.result()


def scene(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    maps: dict[str, NDArray[Any]] = {
        name: rng.random((2, *SIZE), np.float32) ** 4 for name in ("heatmap", "density")
    }
    maps["masks"] = np.linspace(0, 1, 2 * SIZE[0] * SIZE[1], dtype=np.float32).reshape(2, *SIZE)
    return Case(maps, {"fuse_cell": 8, "fuse_low": 0.5, "fuse_high": 12.0}, {"listed": 16})


def test_a_stream_and_a_counter_for_each_thread() -> None:
    cases = [scene(seed) for seed in range(THREADS)]
    expected = [case.on_cpu() for case in cases]

    def work(number: int) -> None:
        counter = make_counter(cases[number])
        for _ in range(how_many(2, 300)):
            found, _ = count(cases[number], counter=counter)
            assert_same(found, expected[number])

    together(work)


def test_counters_that_are_made_while_others_count() -> None:
    def work(number: int) -> None:
        for seed in range(how_many(3, 100)):
            rng = np.random.default_rng(1000 * number + seed)
            case = random_case(rng, 16)
            assert_same(count(case, rng)[0], case.on_cpu(), f"(thread {number}, seed {seed})")

    together(work)


def test_streams_that_take_turns_in_one_thread() -> None:
    cases = [scene(seed) for seed in range(3)]
    lanes = []
    for case in cases:
        stream = _ext.Stream()
        maps = [upload(case.maps[role], stream) for role in ("heatmap", "density")]
        lanes.append((stream, make_counter(case), maps))
    for _ in range(how_many(2, 50)):
        for stream, counter, (heatmap, density) in lanes:
            counter.enqueue(heatmap, None, density, stream)
        for case, (stream, counter, _) in zip(cases, lanes, strict=True):
            stream.synchronize()
            assert_same(counter.read(stream), case.on_cpu())


def preprocess(
    frame: NDArray[np.uint8], out: NDArray[np.float32], resized: tuple[int, int]
) -> None:
    _ext.preprocess(frame, out, *out.shape[1:], *resized, MEAN, SCALE, True, -1.0)


def test_one_preprocessor_for_all_threads() -> None:
    size, padded, resized = (60, 80), (32, 64), (30, 40)
    shared = _ext.Preprocessor(*size, *padded, *resized, MEAN, SCALE, True, -1.0)

    def work(number: int) -> None:
        rng = np.random.default_rng(number)
        stream = _ext.Stream()
        out = _ext.DeviceBuffer(3 * padded[0] * padded[1] * 4).array((3, *padded), "float32")
        for _ in range(how_many(2, 200)):
            frame = rng.integers(0, 256, (*size, 3), np.uint8)
            expected = np.empty((3, *padded), np.float32)
            preprocess(frame, expected, resized)
            shared.enqueue(upload(frame, stream), out, stream)
            found = np.empty_like(expected)
            stream.download(out, found)
            stream.synchronize()
            np.testing.assert_array_equal(found, expected)

    together(work)


def test_a_stream_waits_for_the_maps_of_another() -> None:
    case = scene(5)
    first, second = _ext.Stream(), _ext.Stream()
    counter = make_counter(case)
    ready, taken = _ext.Event(), _ext.Event()
    pinned = {
        role: _ext.PinnedBuffer(case.maps[role].nbytes).array(case.maps[role].shape, "float32")
        for role in ("heatmap", "density")
    }
    target = {role: upload(np.full_like(pinned[role], np.nan), first) for role in pinned}
    taken.record(second)
    for seed in range(how_many(2, 100)):
        case.maps.update(scene(seed).maps)
        first.wait(taken)
        for role, memory in pinned.items():
            memory[...] = case.maps[role]
            first.upload(target[role], memory)
        ready.record(first)
        second.wait(ready)
        counter.enqueue(target["heatmap"], None, target["density"], second)
        taken.record(second)
        second.synchronize()
        assert_same(counter.read(second), case.on_cpu())


def test_what_one_thread_makes_another_uses_and_frees() -> None:
    made: list[tuple[Any, ...]] = []

    def make() -> None:
        case, stream = scene(6), _ext.Stream()
        maps = [upload(case.maps[role], stream) for role in ("heatmap", "density")]
        made.append((case, stream, make_counter(case), *maps))

    def use() -> None:
        case, stream, counter, heatmap, density = made.pop()
        counter.enqueue(heatmap, None, density, stream)
        stream.synchronize()
        assert_same(counter.read(stream), case.on_cpu())

    for step in (make, use):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(step).result()
    assert not made


def test_a_graph_in_each_thread() -> None:
    cases = [scene(seed) for seed in range(THREADS)]

    def work(number: int) -> None:
        case, stream = cases[number], _ext.Stream()
        counter = make_counter(case)
        heatmap, density = (upload(case.maps[role], stream) for role in ("heatmap", "density"))
        stream.synchronize()
        stream.begin_capture()
        counter.enqueue(heatmap, None, density, stream)
        graph = stream.end_capture()
        for _ in range(how_many(2, 300)):
            graph.launch(stream)
            stream.synchronize()
            assert_same(counter.read(stream), case.on_cpu())

    together(work)


def test_threads_that_capture_while_others_allocate() -> None:
    # What takes and frees memory on one thread must not spoil what another one records.
    def work(number: int) -> None:
        if number % 2:
            for size in range(how_many(10, 2000)):
                _ext.DeviceBuffer(1 + size)
                _ext.PinnedBuffer(1 + size)
            return
        case, stream = scene(number), _ext.Stream()
        heatmap, density = (upload(case.maps[role], stream) for role in ("heatmap", "density"))
        counter = make_counter(case)
        stream.synchronize()
        for _ in range(how_many(2, 100)):
            stream.begin_capture()
            counter.enqueue(heatmap, None, density, stream)
            stream.end_capture().launch(stream)
            stream.synchronize()
            assert_same(counter.read(stream), case.on_cpu())

    together(work)
