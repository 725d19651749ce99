"""Streams, events and graphs, their threads and their contexts."""

from __future__ import annotations

import ctypes
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from gpu_maps import EMULATED

from edgecount import _ext


def ramp(shape, dtype="float32"):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def test_a_stream_gives_its_handle(stream):
    assert stream.device == 0
    assert stream.__cuda_stream__() == (0, stream.handle)
    other = _ext.Stream(handle=stream.handle)
    assert other.handle == stream.handle
    assert _ext.Stream(handle=1).handle == 1


def test_a_borrowed_stream_is_the_same_queue(to_device, stream):
    array = to_device(np.zeros(4, np.float32))
    borrowed = _ext.Stream(handle=stream.handle)
    target = np.zeros(4, np.float32)
    stream.upload(array, ramp((4,)))
    borrowed.download(array, target)
    del borrowed
    stream.synchronize()
    np.testing.assert_array_equal(target, ramp((4,)))


def test_idle_and_done(stream):
    pinned = _ext.PinnedBuffer(4 * 2**20).array((2**20,), "float32")
    array = _ext.DeviceBuffer(pinned.nbytes).array(pinned.shape, "float32")
    event = _ext.Event()
    assert event.done
    for _ in range(8):
        stream.upload(array, pinned)
    event.record(stream)
    while not event.done:
        pass
    while not stream.idle:
        pass
    event.synchronize()


@pytest.mark.skipif(not EMULATED, reason="a GPU is done before another thread gets its turn")
@pytest.mark.parametrize("freed", ["stream", "preprocessor"])
def test_other_threads_run_while_something_is_freed(freed):
    """What is freed waits for work, which in a program of callbacks may wait for such a thread."""
    held = {
        "stream": _ext.Stream(),
        "preprocessor": _ext.Preprocessor(
            480, 640, 480, 640, 320, 480, (0,) * 3, (1,) * 3, True, 0
        ),
    }
    image = _ext.DeviceBuffer(480 * 640 * 3).array((480, 640, 3), "uint8")
    out = _ext.DeviceBuffer(4 * 3 * 480 * 640).array((3, 480, 640), "float32")
    steps, is_over = 0, threading.Event()

    def step():
        nonlocal steps
        while not is_over.is_set():
            steps += 1
            is_over.wait(0.001)

    held["preprocessor"].enqueue(image, out, held["stream"])
    thread = threading.Thread(target=step)
    thread.start()
    before = steps
    del held[freed]
    after = steps
    is_over.set()
    thread.join()
    assert after > before + 1


def test_a_stream_waits_for_another(stream):
    pinned = _ext.PinnedBuffer(4 * 2**20).array((2**20,), "float32")
    pinned[...] = 5.0
    array = _ext.DeviceBuffer(pinned.nbytes).array(pinned.shape, "float32")
    other, event, target = _ext.Stream(), _ext.Event(), np.zeros_like(pinned)
    stream.upload(array, pinned)
    event.record(stream)
    other.wait(event)
    other.download(array, target)
    other.synchronize()
    assert (target == 5).all()
    stream.synchronize()


def test_time_between_events(stream, to_device):
    first, last = _ext.Event(timing=True), _ext.Event(timing=True)
    first.record(stream)
    to_device(ramp((1000,)))
    last.record(stream)
    last.synchronize()
    assert 0 <= first.elapsed_ms(last) < 60_000
    plain = _ext.Event()
    plain.record(stream)
    plain.synchronize()
    with pytest.raises(RuntimeError, match=r"timing=True.*cudaErrorInvalidResourceHandle"):
        first.elapsed_ms(plain)


def test_objects_of_a_device_that_is_not_there():
    for make in (_ext.Stream, _ext.Event, _ext.device_memory):
        with pytest.raises(RuntimeError, match="CUDA device 77: expected a number from 0 to"):
            make(77)


# Graphs.


@pytest.fixture
def pinned_round_trip(stream):
    """(source, target, the work that copies one to the other by way of the device)."""
    source, target = (_ext.PinnedBuffer(64).array((16,), "float32") for _ in range(2))
    source[...], target[...] = 1.0, 0.0
    array = _ext.DeviceBuffer(64).array((16,), "float32")

    def work():
        stream.upload(array, source)
        stream.download(array, target)

    return source, target, work


def test_a_graph_repeats_what_was_recorded(stream, pinned_round_trip):
    source, target, work = pinned_round_trip
    stream.begin_capture()
    work()
    graph = stream.end_capture()
    stream.synchronize()
    assert (target == 0).all()  # recorded, not done
    other = _ext.Stream()
    for value, queue in [(2.0, stream), (3.0, stream), (4.0, other)]:
        source[...] = value
        graph.launch(queue)
        queue.synchronize()
        assert (target == value).all()
    del graph
    work()
    stream.synchronize()


def test_what_cannot_be_recorded_ends_in_an_error(stream, pinned_round_trip):
    _, target, work = pinned_round_trip
    stream.begin_capture()
    work()
    with pytest.raises(RuntimeError, match="could not finish the work of a stream: cudaError"):
        stream.synchronize()
    with pytest.raises(RuntimeError, match="could not capture the work of a stream: cudaError"):
        stream.end_capture()
    work()  # and the stream goes on
    stream.synchronize()
    assert (target == 1).all()


def test_ends_without_a_begin(stream):
    with pytest.raises(RuntimeError, match="could not capture the work"):
        stream.end_capture()
    with pytest.raises(RuntimeError, match="could not begin to capture"):
        _ext.Stream(handle=1).begin_capture()


def test_memory_comes_and_goes_during_a_capture(stream, pinned_round_trip):
    source, target, work = pinned_round_trip
    spare = _ext.DeviceBuffer(1000)
    stream.begin_capture()
    work()
    del spare
    _ext.DeviceBuffer(1000)
    _ext.PinnedBuffer(1000)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_ext.DeviceBuffer, 1000).result()
    graph = stream.end_capture()
    source[...] = 9.0
    graph.launch(stream)
    stream.synchronize()
    assert (target == 9).all()


# Threads and contexts.


def test_threads_with_a_stream_each():
    def work(seed):
        rng = np.random.default_rng(seed)
        stream = _ext.Stream()
        for _ in range(20):
            source = rng.random(1000)
            array = _ext.DeviceBuffer(source.nbytes).array(source.shape, "float64")
            target = np.empty_like(source)
            stream.upload(array, source)
            stream.download(array, target)
            stream.synchronize()
            if not np.array_equal(source, target):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


def test_threads_that_launch_one_graph(stream, pinned_round_trip):
    _, target, work = pinned_round_trip
    stream.begin_capture()
    work()
    graph = stream.end_capture()

    def launch(_):
        queue = _ext.Stream()
        for _ in range(20):
            graph.launch(queue)
        queue.synchronize()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(launch, range(4)))
    assert (target == 1).all()


def test_what_another_thread_made(stream, pinned_round_trip):
    _, target, work = pinned_round_trip
    event = _ext.Event()
    thread = threading.Thread(target=lambda: (work(), event.record(stream)))
    thread.start()
    thread.join()
    event.synchronize()
    assert (target == 1).all()


def test_the_caller_s_context_stays_current(driver, stream):
    def current():
        context = ctypes.c_void_p(1)
        assert driver.cuCtxGetCurrent(ctypes.byref(context)) == 0
        return context.value

    def use_everything():
        array = _ext.DeviceBuffer(64).array((16,), "float32")
        stream.upload(array, np.zeros(16, np.float32))
        stream.synchronize()
        event = _ext.Event()
        event.record(stream)
        _ext.device_memory()
        with pytest.raises(RuntimeError, match="CUDA device 99"):
            _ext.DeviceBuffer(16, 99)

    before = current()
    use_everything()
    assert current() == before

    own = ctypes.c_void_p()
    assert driver.cuCtxCreate_v2(ctypes.byref(own), 0, 0) == 0
    try:
        use_everything()
        assert current() == own.value
    finally:
        assert driver.cuCtxDestroy_v2(own) == 0
    assert current() == before


@pytest.mark.skipif(not EMULATED, reason="a driver may end the process instead")
def test_a_stream_that_its_owner_destroyed_is_named():
    owner = _ext.Stream()
    borrowed, event = _ext.Stream(handle=owner.handle), _ext.Event()
    target = _ext.DeviceBuffer(16).array((4,), "float32")
    event.record(borrowed)
    del owner
    values = np.zeros(4, np.float32)
    calls = [
        *(borrowed.synchronize, lambda: borrowed.idle),
        *(lambda: event.record(borrowed), lambda: borrowed.wait(event)),
        *(lambda: borrowed.upload(target, values), lambda: borrowed.download(target, values)),
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match=r"stream, which is .* gone \(keep .*owner="):
            call()
    # Others, which look at all streams, are not disturbed.
    assert _ext.device_array(target, _ext.Stream()).ptr == target.ptr


@pytest.mark.skipif(not EMULATED, reason="it takes two GPUs")
def test_a_stream_of_another_device_is_named():
    other = _ext.Stream(1)
    event, borrowed = _ext.Event(0), _ext.Stream(0, handle=other.handle)
    with pytest.raises(
        RuntimeError, match=r"^CUDA device 0: .* or is one of another device than 0"
    ):
        event.record(borrowed)


class Stranger:
    """A stream of another library, by the CUDA stream protocol."""

    def __init__(self, version: int = 0) -> None:
        self.kept = _ext.Stream()
        self.version = version

    def __cuda_stream__(self) -> tuple[int, int]:
        return self.version, self.kept.handle


def test_a_stream_keeps_the_one_that_it_borrows() -> None:
    """Streams that are looked at must be there: the last reference to their owner is ours."""
    strange = Stranger()
    gone = weakref.ref(strange)
    borrowed = _ext.Stream(handle=strange)
    assert borrowed.handle == strange.kept.handle
    del strange
    gc.collect()
    assert gone() is not None
    array = _ext.DeviceBuffer(16).array((16,), "uint8")
    array.__dlpack__(stream=1)  # makes that one wait for all of them
    del borrowed
    assert gone() is None


def test_a_stream_keeps_its_owner() -> None:
    owner = Stranger()
    gone = weakref.ref(owner)
    borrowed = _ext.Stream(handle=owner.kept.handle, owner=owner)
    del owner
    assert gone() is not None
    borrowed.synchronize()
    del borrowed
    assert gone() is None


def test_our_own_streams_follow_the_protocol() -> None:
    stream = _ext.Stream()
    assert _ext.Stream(handle=stream).handle == stream.handle


@pytest.mark.parametrize("handle", ["x", -5, 1.5])
def test_what_is_no_stream_of_another_library(handle) -> None:
    expected = r"^handle: expected None, the number of a cudaStream_t or an object with __cuda_st"
    with pytest.raises(TypeError, match=expected):
        _ext.Stream(handle=handle)


def test_a_stream_of_another_version() -> None:
    with pytest.raises(ValueError, match="version 0 of the CUDA stream protocol, got 1"):
        _ext.Stream(handle=Stranger(version=1))


def test_an_answer_that_is_no_stream() -> None:
    strange = type("Strange", (), {"__cuda_stream__": lambda self: 7})()
    with pytest.raises(TypeError, match=r"__cuda_stream__\(\) to give \(version, handle\)"):
        _ext.Stream(handle=strange)


def test_another_library_s_stream_is_no_inner_one() -> None:
    with pytest.raises(ValueError, match=r"^inner: expected False for another library's stream"):
        _ext.Stream(handle=Stranger(), inner=True)
