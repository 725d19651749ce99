"""Frames between the host's memory and a GPU: pinned memory, pitched rows, shared memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gpu_frames import assert_same, on_device

from edgecount import CountResult, EdgeCounter, NV12Frame, PixelFrame, _ext
from edgecount.runtime.frames.checked import CheckedFrame
from edgecount.runtime.pipeline.upload import StagingBuffer

pytestmark = pytest.mark.gpu


class CountedStream:
    """A stream that keeps the shapes of what is downloaded in it."""

    def __init__(self) -> None:
        self.stream = _ext.Stream()
        self.shapes: list[tuple[int, ...]] = []

    def download(self, source: _ext.DeviceArray, target: Any) -> None:
        self.shapes.append(source.shape)
        self.stream.download(source, target)

    def synchronize(self) -> None:
        self.stream.synchronize()


def random_bytes(*shape: int) -> Any:
    return np.random.default_rng(7).integers(0, 256, shape, np.uint8)


OTHER_FORMATS = (
    NV12Frame.from_buffer(random_bytes(144, 128), "bt709", full_range=True),
    PixelFrame(random_bytes(61, 97, 4), "rgba"),
    PixelFrame(random_bytes(61, 97), "grey"),
)


def test_a_pitched_frame_comes_down_in_one_copy_a_plane() -> None:
    wide, buffer = random_bytes(40, 70, 3), random_bytes(36, 64)
    staging, stream = StagingBuffer(0), CountedStream()
    frame = CheckedFrame(on_device(wide)[3:33, 10:60])
    found = staging.download(frame, stream)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.pixels, wide[3:33, 10:60])
    device = on_device(buffer)
    frame = CheckedFrame(device[2:22, 4:60], device[24:34, 4:60])
    found = staging.download(frame, stream)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.pixels, buffer[2:22, 4:60])
    np.testing.assert_array_equal(found.chroma, buffer[24:34, 4:60])  # type: ignore[arg-type]
    assert stream.shapes == [(30, 50, 3), (20, 56), (10, 56)]


def test_pitched_frames_that_go_by_way_of_the_host(make_engine, tiny_model, noise) -> None:
    """Each is counted before the next takes the pinned memory, and is refined as it was given."""
    seen: list[Any] = []

    class Watching(EdgeCounter):
        def refine(self, frame: CheckedFrame, result: CountResult) -> CountResult:
            seen.append(frame.pixels)
            return result

    options: dict[str, Any] = {"threshold": 0.3, "zoom": 1}
    cpu = EdgeCounter(tiny_model, **options)
    frames = [noise(160, 120, seed)[8:72, 16:80] for seed in range(3)]
    given = [on_device(noise(160, 120, seed))[8:72, 16:80] for seed in range(3)]
    found = Watching(tiny_model, backend=make_engine(), **options).count_batch(given)
    for result, frame in zip(found, frames, strict=True):
        assert_same(result, cpu.count(frame))
    assert [array.ptr for array in seen] == [array.ptr for array in given]
    rgba = random_bytes(120, 160, 4)
    part = PixelFrame(on_device(rgba)[8:72, 16:80], "rgba")
    with Watching(tiny_model, backend=make_engine(), **options) as counter:
        assert_same(counter.count(part), cpu.count(PixelFrame(rgba[8:72, 16:80], "rgba")))


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the GPU be one that shares the host's memory; any GPU can read pinned memory."""
    monkeypatch.setattr(_ext, "shares_memory", lambda _device: True)


def test_whether_a_gpu_shares_its_memory() -> None:
    assert _ext.shares_memory() in (True, False)
    with pytest.raises(RuntimeError, match="CUDA device 1000: expected a number from 0"):
        _ext.shares_memory(1000)


def test_frames_in_shared_memory_are_not_copied_for_the_gpu(shared) -> None:
    staging = StagingBuffer(0)
    first, second = CheckedFrame(random_bytes(5, 7, 3)), CheckedFrame(random_bytes(5, 7, 3))
    staged, copies = staging.stage([first, second], read_once=True)
    assert copies == []
    assert [frame.pixels.shape for frame in staged] == [(5, 7, 3), (5, 7, 3)]
    # What is read several times is not read from memory that the GPU does not cache.
    staged, copies = staging.stage([first, second], read_once=False)
    assert [source.nbytes for _, source in copies] == [105, 105]
    assert [frame.pixels.ptr for frame in staged] == [target.ptr for target, _ in copies]  # type: ignore[union-attr]
    np.testing.assert_array_equal(copies[1][1], np.ravel(second.pixels))  # type: ignore[arg-type]


def test_frames_in_shared_memory_count_as_on_the_cpu(
    shared, make_engine, tiny_model, noise
) -> None:
    counter, cpu = EdgeCounter(tiny_model, backend=make_engine()), EdgeCounter(tiny_model)
    frames = [noise(97, 61, seed) for seed in range(7)]
    frames[3] = noise(128, 96)
    mixed = [*frames[:5], on_device(frames[5]), frames[6]]
    for found, frame in zip(counter.count_batch(mixed), frames, strict=True):
        assert_same(found, cpu.count(frame))
    for frame in OTHER_FORMATS:
        assert_same(counter.count(frame), cpu.count(frame))
    small = {"max_side": 64}
    counter, cpu = (
        EdgeCounter(tiny_model, backend=backend, **small)
        for backend in (make_engine(), "onnxruntime")
    )
    assert_same(counter.count(frames[0]), cpu.count(frames[0]))
