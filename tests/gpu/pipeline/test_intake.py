"""Frames of other libraries are taken over where they are made, and waited for where they go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from gpu_frames import assert_same
from gpu_maps import EMULATED
from numpy.typing import NDArray

from edgecount import EdgeCounter, NV12Frame, _ext
from edgecount.errors import InputError
from edgecount.runtime.frames.intake import FrameIntake
from edgecount.runtime.sources.base import Frame

pytestmark = pytest.mark.gpu


class Library:
    """Makes arrays in the stream that is current in a thread, as torch and CuPy do."""

    def __init__(self) -> None:
        self._current = threading.local()
        self._default = _ext.Stream()
        self.asked: list[tuple[str, int]] = []  # the thread that took an array over, and its stream
        self.kept: list[Any] = []  # streams and memory: giving one back would wait for the GPU

    @property
    def stream(self) -> _ext.Stream:
        return getattr(self._current, "stream", self._default)

    @stream.setter
    def stream(self, stream: _ext.Stream) -> None:
        self._current.stream = stream
        self.kept.append(stream)

    def leave(self) -> None:
        """Make the stream no longer current, as after a with block."""
        del self._current.stream


class Made:
    """An array whose pixels are still on their way: an emulated GPU brings them when it must."""

    def __init__(self, library: Library, pixels: NDArray[np.uint8]) -> None:
        pinned = _ext.PinnedBuffer(pixels.nbytes).array(pixels.shape, "uint8")
        pinned[...] = pixels
        library.kept.append(pinned)
        self._array = _ext.DeviceBuffer(pixels.nbytes).array(pixels.shape, "uint8")
        self._library = library
        self.shape = pixels.shape
        library.stream.upload(self._array, pinned)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    def __dlpack__(self, *, stream: int, max_version: tuple[int, int] | None = None) -> Any:
        self._library.asked.append((threading.current_thread().name, stream))
        made = _ext.Event()
        made.record(self._library.stream)
        _ext.Stream(handle=stream).wait(made)
        return self._array.__dlpack__(stream=-1, max_version=max_version)


@pytest.fixture
def library() -> Library:
    return Library()


def in_a_stream_each(library: Library, pictures: list[NDArray[np.uint8]]) -> Iterator[Any]:
    """Each is made in a stream of its own, which is current until the next one is asked for."""
    for picture in pictures:
        library.stream = _ext.Stream()
        yield Made(library, picture)
        library.leave()


def test_frames_of_a_reader_s_thread(make_engine, tiny_model, noise, library) -> None:
    engine = make_engine()
    counter, cpu = EdgeCounter(tiny_model, backend=engine), EdgeCounter(tiny_model)
    pictures = [noise(128, 96, seed) for seed in range(5)]

    def frames() -> Iterator[Frame]:
        for index, made in enumerate(in_a_stream_each(library, pictures)):
            yield Frame(made, "mine", index, 0.0)

    for (_, found), picture in zip(counter.count_frames(frames()), pictures, strict=True):
        assert_same(found, cpu.count(picture))
    threads, streams = zip(*library.asked, strict=True)
    assert set(threads) == {"edgecount-reader"}
    # One for all of them, which is none of those that count.
    assert len(set(streams)) == 1
    assert not set(streams) & {worker.stream.handle for worker in engine.workers}


def test_planes_of_nv12(make_engine, tiny_model, library) -> None:
    counter, cpu = EdgeCounter(tiny_model, backend=make_engine()), EdgeCounter(tiny_model)
    buffers = list(np.random.default_rng(3).integers(0, 256, (4, 144, 128), np.uint8))

    def frames(chroma: tuple[int, ...]) -> Iterator[Frame]:
        for index, buffer in enumerate(buffers):
            library.stream = _ext.Stream()
            luma, pairs = Made(library, buffer[:96]), Made(library, buffer[96:].reshape(chroma))
            yield Frame(NV12Frame(luma, pairs), "mine", index, 0.0)  # type: ignore[arg-type]
            library.leave()

    for chroma in ((48, 128), (48, 64, 2)):
        found = list(counter.count_frames(frames(chroma)))
        for (_, result), buffer in zip(found, buffers, strict=True):
            assert_same(result, cpu.count(NV12Frame.from_buffer(buffer)))
    assert {thread for thread, _ in library.asked} == {"edgecount-reader"}


def test_a_batch_whose_frames_are_made_one_by_one(make_engine, tiny_model, noise, library) -> None:
    engine = make_engine(batches=(1, 4))
    counter, cpu = EdgeCounter(tiny_model, backend=engine), EdgeCounter(tiny_model)
    pictures = [noise(128, 96, seed) for seed in range(6)]
    found = counter.count_batch(in_a_stream_each(library, pictures))
    for result, picture in zip(found, pictures, strict=True):
        assert_same(result, cpu.count(picture))
    assert {thread for thread, _ in library.asked} == {threading.current_thread().name}


def test_one_frame(make_engine, tiny_model, noise, library) -> None:
    counter, cpu = EdgeCounter(tiny_model, backend=make_engine()), EdgeCounter(tiny_model)
    for made in in_a_stream_each(library, [noise(128, 96)] * 3):
        assert_same(counter.count(made), cpu.count(noise(128, 96)))


def test_frames_in_tiles_are_waited_for(make_engine, make_model, noise, library) -> None:
    model = make_model()
    counter = EdgeCounter(model, backend=make_engine(), max_side=None)
    expected = EdgeCounter(model, max_side=None).count(noise(2112, 2080))
    for made in in_a_stream_each(library, [noise(2112, 2080)]):
        assert_same(counter.count(made), expected)


def test_the_host_waits_for_nothing(noise, library) -> None:
    library.stream = _ext.Stream()
    intake = FrameIntake(0)
    taken = intake.take(Made(library, noise(128, 96)))
    assert taken.ready is not None
    assert not (EMULATED and taken.ready.done)  # a real GPU may be quick
    other = _ext.Stream()
    other.wait(taken.ready)
    found = np.empty(taken.pixels.shape, np.uint8)
    other.download(taken.pixels, found)  # type: ignore[arg-type]
    other.synchronize()
    assert taken.ready.done
    np.testing.assert_array_equal(found, noise(128, 96))


def test_each_thread_has_a_stream_and_keeps_it(noise, library) -> None:
    intake = FrameIntake(0)
    gate = threading.Barrier(3)

    def work() -> None:
        gate.wait(10)  # so that each of them gets one of the threads
        for _ in range(3):
            intake.take(Made(library, noise(64, 64)))

    with ThreadPoolExecutor(3, thread_name_prefix="worker") as pool:
        for done in [pool.submit(work) for _ in range(3)]:
            done.result()
    assert len(library.asked) == 9
    assert len({thread for thread, _ in library.asked}) == 3
    assert len(set(library.asked)) == 3


def test_frames_of_the_host_need_no_stream(noise) -> None:
    assert FrameIntake(77).take(noise(64, 64)).ready is None  # there is no such GPU
    assert FrameIntake().take(noise(64, 64)).ready is None


def test_a_bad_frame_ends_the_stream_after_the_results_before_it(
    make_engine, tiny_model, noise, library
) -> None:
    closed = []

    def frames() -> Iterator[Frame]:
        try:
            for index, shape in enumerate([(96, 128, 3), (96, 128), (96, 128, 3)]):
                yield Frame(Made(library, np.zeros(shape, np.uint8)), "mine", index, 0.0)  # type: ignore[arg-type]
        finally:
            closed.append(threading.current_thread().name)

    found: list[Any] = []
    with pytest.raises(InputError, match=r"of shape \(96, 128\)"):
        found.extend(EdgeCounter(tiny_model, backend=make_engine()).count_frames(frames()))
    assert len(found) == 1
    assert closed == ["edgecount-reader"]
