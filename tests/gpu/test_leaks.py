"""Memory after many frames is what it was after few, on the GPU and on the host."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gpu_maps import EMULATED, how_many

from edgecount import EdgeCounter, _ext
from edgecount._memory import resident_bytes
from edgecount._options import BACKENDS
from edgecount.errors import EdgeCountError
from edgecount.models import DEFAULT_MODEL
from edgecount.runtime.backends.onnxruntime.cpu import OnnxRuntimeBackend
from edgecount.runtime.models.open import open_model
from engines import HostEngine, RecordedEngine

pytestmark = pytest.mark.gpu

FRAMES = how_many(100, 10_000)
# Less than a kilobyte for each of 10,000 frames; drivers and allocators round to megabytes.
LIMIT = 8 * 2**20
ENGINES = ("tensorrt", "tensorrt-rtx", "onnxruntime-cuda")
MEAN, SCALE = (127.5,) * 3, (1 / 127.5,) * 3


def check_growth(frames: int, run: Callable[[int], None]) -> None:
    """Run frame after frame; the first fifth fills caches, and the rest may take nothing more."""
    settled = frames // 5
    for index in range(settled):
        run(index)
    before = used()
    for index in range(settled, frames):
        run(index)
    after = used()
    grown = {name: after[name] - before[name] for name in before}
    assert all(size < LIMIT for size in grown.values()), (
        f"bytes taken by {frames - settled} frames: {grown}"
    )


def used() -> dict[str, int]:
    """Bytes taken on the GPU, by whomever, and on the host, by this process."""
    gc.collect()
    free, total = _ext.device_memory()
    resident = resident_bytes()
    if resident is None:
        pytest.skip("this system does not say how much memory a process has")
    return {"GPU": total - free, "host": resident}


class FrameLoop:
    """Upload, preprocessing, maps made of the input, counting and download in one stream."""

    size, padded = (48, 64), (64, 96)

    def __init__(self) -> None:
        height, width = self.padded
        self.stream = _ext.Stream()
        self.pinned = _ext.PinnedBuffer(3 * self.size[0] * self.size[1]).array(
            (*self.size, 3), "uint8"
        )
        self.frame = _ext.DeviceBuffer(self.pinned.nbytes).array(self.pinned.shape, "uint8")
        self.input = _ext.DeviceBuffer(3 * height * width * 4).array((3, height, width), "float32")
        self.preprocessor = _ext.Preprocessor(
            *self.size, height, width, *self.size, MEAN, SCALE, True, -1.0
        )
        self.counter = _ext.MapCounter(
            1,
            self.padded,
            self.padded,
            masks=np.full((2, *self.padded), 0.5, np.float32),
            fuse_cell=8,
            fuse_high=2.0,
            keep_density=True,
            listed=64,
        )
        self.done = _ext.Event(timing=True)
        self.tensor = np.empty((3, height, width), np.float32)
        self.rng = np.random.default_rng(0)

    def run(self, index: int) -> None:
        del index
        self.pinned[...] = self.rng.integers(0, 256, self.pinned.shape, np.uint8)
        self.stream.upload(self.frame, self.pinned)
        self.preprocessor.enqueue(self.frame, self.input, self.stream)
        # two channels of the input stand in for an engine's maps
        self.counter.enqueue(self.input[0:1], None, self.input[1:2], self.stream)
        self.stream.download(self.input, self.tensor)
        self.done.record(self.stream)
        self.done.synchronize()
        found = self.counter.read(self.stream)
        assert found.peak_count[0] == len(found.peaks[0]) > 0
        assert self.counter.density is not None


def test_frames_of_one_size() -> None:
    check_growth(FRAMES, FrameLoop().run)


def test_everything_anew_for_each_frame() -> None:
    def run(index: int) -> None:
        loop = FrameLoop()
        loop.run(index)
        loop.stream.begin_capture()
        loop.counter.enqueue(loop.input[0:1], None, loop.input[1:2], loop.stream)
        loop.stream.end_capture().launch(loop.stream)
        loop.stream.synchronize()

    check_growth(how_many(50, 1000), run)


def test_errors() -> None:
    counter = _ext.MapCounter(1, (8, 8), None)
    stream = _ext.Stream()
    maps = _ext.DeviceBuffer(8 * 8 * 4).array((1, 8, 8), "float32")
    stream.upload(maps, np.full((1, 8, 8), np.nan, np.float32))

    def run(index: int) -> None:
        counter.enqueue(maps, None, None, stream)
        stream.synchronize()
        with pytest.raises(ValueError, match="expected finite"):
            counter.read(stream)
        with pytest.raises(ValueError, match="window"):
            _ext.MapCounter(1, (8, 8), None, window=index % 2)
        with pytest.raises(RuntimeError):
            _ext.DeviceBuffer(2**60)

    check_growth(how_many(100, 2000), run)


@pytest.mark.parametrize("kind", [HostEngine, RecordedEngine])
def test_edge_counter_around_an_engine(tiny_model: Path, kind: type[HostEngine]) -> None:
    session = OnnxRuntimeBackend(open_model(tiny_model), threads=1)
    engine = kind(lambda image: session.infer({"image": image}))
    frames = random_frames((96, 128), (64, 64))
    with EdgeCounter(tiny_model, backend=engine, regions=REGIONS) as counter:
        check_growth(how_many(60, 3000), lambda i: check_counted(counter, in_turns(frames, i)))


REGIONS = {"corner": [(0, 0), (60, 0), (0, 60)]}


def random_frames(*sizes: tuple[int, int]) -> list[Any]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def in_turns(frames: list[Any], index: int) -> Any:
    """Take a few frames of each size in a row, so that an engine is recorded and replayed."""
    return frames[index // 5 % len(frames)]


def check_counted(counter: EdgeCounter, frame: Any) -> None:
    assert np.isfinite(counter.count(frame).count)


@pytest.fixture(params=ENGINES)
def real_counter(request: pytest.FixtureRequest) -> Iterator[EdgeCounter]:
    """Open the bundled model on a GPU, or the one of EDGECOUNT_GPU_MODEL, with its engines."""
    if EMULATED:
        pytest.skip("engines need a GPU")
    if request.param not in BACKENDS:
        pytest.skip(f"this edgecount has no backend {request.param}")
    try:
        model = os.environ.get("EDGECOUNT_GPU_MODEL", DEFAULT_MODEL)
        counter = EdgeCounter(model, backend=request.param, regions=REGIONS)
    except EdgeCountError as error:
        pytest.skip(str(error))
    with counter:
        yield counter


def test_a_real_engine(real_counter: EdgeCounter) -> None:
    frames = random_frames((240, 320), (256, 256))
    check_growth(FRAMES, lambda i: check_counted(real_counter, in_turns(frames, i)))
