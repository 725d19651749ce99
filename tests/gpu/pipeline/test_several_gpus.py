"""Counters on another GPU than the first, and on several at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gpu_frames import assert_same
from numpy.typing import NDArray
from sidecars import GPU

from edgecount import EdgeCounter, _ext, _opening
from edgecount.errors import BackendError, ConfigError, InputError
from edgecount.runtime.backends.onnx_run import Opened
from edgecount.runtime.backends.tensorrt.backend import TensorRTBackend
from edgecount.runtime.cuda import driver
from edgecount.runtime.frames.intake import FrameIntake
from edgecount.runtime.frames.pictures import bgr_picture
from edgecount.runtime.models.sidecar import EngineSidecar
from edgecount.runtime.sources.base import Frame, Source
from engines import HostEngine

pytestmark = pytest.mark.gpu

Picture = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def two_gpus() -> None:
    if _ext.cuda_device_count() < 2:
        pytest.skip("needs two GPUs")


@pytest.fixture
def engines(monkeypatch, make_engine) -> dict[int, HostEngine]:
    """Put engines in the place of those that a counter opens; return them by their GPU."""
    opened: dict[int, HostEngine] = {}

    real = _opening.open_backend

    def open_backend(model: Any, backend: Any, *, device: int | None, **options: Any) -> Opened:
        if device is None:
            return real(model, backend, device=device, **options)
        opened[device] = make_engine(device=device, batches=(1, 2))
        return Opened(opened[device], model)

    monkeypatch.setattr(_opening, "open_backend", open_backend)
    return opened


def runs(engines: dict[int, HostEngine]) -> dict[int, int]:
    """Return the frames that each GPU has counted."""
    return {number: sum(shape[0] for shape in engine.shapes) for number, engine in engines.items()}


def on_gpu(picture: Picture, device: int) -> _ext.DeviceArray:
    array = _ext.DeviceBuffer(picture.nbytes, device).array(picture.shape, "uint8")
    stream = _ext.Stream(device)
    stream.upload(array, picture)
    stream.synchronize()
    return array


class Pictures(Source):
    """A source of pictures."""

    fps = None
    length = None

    def __init__(self, name: str, pictures: list[Picture]) -> None:
        self.name, self.pictures = name, pictures

    def frames(self) -> Iterator[Frame]:
        for index, picture in enumerate(self.pictures):
            yield Frame(picture, self.name, index, 0.0)


def test_the_second_gpu(engines, tiny_model, noise) -> None:
    picture = noise(128, 96)
    counter, cpu = EdgeCounter(tiny_model, device=1), EdgeCounter(tiny_model, backend="onnxruntime")
    assert counter.backend.device == "cuda:1"
    assert_same(counter.count(picture), cpu.count(picture))
    assert_same(counter.count(on_gpu(picture, 1)), cpu.count(picture))
    assert {worker.stream.device for worker in engines[1].workers} == {1}


def test_frames_of_the_host_are_shared_and_stay_in_order(engines, tiny_model, noise) -> None:
    pictures = [noise(128, 96, seed) for seed in range(12)]
    counter, cpu = (
        EdgeCounter(tiny_model, device=[0, 1]),
        EdgeCounter(tiny_model, backend="onnxruntime"),
    )
    for found, picture in zip(counter.count_batch(pictures), pictures, strict=True):
        assert_same(found, cpu.count(picture))
    # Groups of two go to the GPUs by turns.
    assert runs(engines) == {0: 6, 1: 6}


def test_sources_are_shared_in_rounds(engines, tiny_model, noise) -> None:
    sources = [
        Pictures(name, [noise(128, 96, seed + 10 * at) for seed in range(3)])
        for at, name in enumerate("abcd")
    ]
    counter, cpu = (
        EdgeCounter(tiny_model, device=(1, 0)),
        EdgeCounter(tiny_model, backend="onnxruntime"),
    )
    found = list(counter.stream_many(sources))
    assert [(r.source, r.frame) for r in found] == [(n, i) for i in range(3) for n in "abcd"]
    for result in found:
        assert result.source is not None
        source = sources["abcd".index(result.source)]
        assert_same(result, cpu.count(source.pictures[result.frame or 0]))
    assert runs(engines) == {0: 6, 1: 6}


def test_frames_on_a_gpu_are_counted_there(engines, tiny_model, noise) -> None:
    """Also where frames of one size follow each other, which would share a run on one GPU."""
    devices = [0, 1, 1, 1, 0, 1]
    pictures = [noise(128, 96, seed) for seed in range(6)]
    frames = [on_gpu(picture, d) for picture, d in zip(pictures, devices, strict=True)]
    counter, cpu = (
        EdgeCounter(tiny_model, device=[0, 1]),
        EdgeCounter(tiny_model, backend="onnxruntime"),
    )
    for found, picture in zip(counter.count_batch(frames), pictures, strict=True):
        assert_same(found, cpu.count(picture))
    assert runs(engines) == {0: 2, 1: 4}
    assert_same(counter.count(frames[0]), cpu.count(pictures[0]))
    assert runs(engines) == {0: 3, 1: 4}


def test_arrays_that_name_no_device(engines, tiny_model, noise) -> None:
    """The address says on which GPU they lie, and DLPack of some libraries says 0 of all."""
    array = on_gpu(noise(128, 96), 1)
    interface = {"__cuda_array_interface__": array.__cuda_array_interface__, "kept": array}
    liar = type("Liar", (), interface | {"__dlpack_device__": lambda self: (2, 0)})()
    plain = type("Plain", (), interface)()
    counter, cpu = (
        EdgeCounter(tiny_model, device=[0, 1]),
        EdgeCounter(tiny_model, backend="onnxruntime"),
    )
    for frame in (liar, plain):
        assert_same(counter.count(frame), cpu.count(noise(128, 96)))
        assert (bgr_picture(frame) == noise(128, 96)).all()
    assert runs(engines) == {0: 0, 1: 2}


def test_threads_use_the_gpu_that_is_least_used(engines, tiny_model, noise) -> None:
    counter, cpu = (
        EdgeCounter(tiny_model, device=[0, 1]),
        EdgeCounter(tiny_model, backend="onnxruntime"),
    )
    both, run = threading.Barrier(2, timeout=60), engines[0].run

    def meet(image: Any) -> Any:
        if image.any():  # not when the maps' shapes are found out
            both.wait()
        return run(image)

    for engine in engines.values():
        engine.run = meet
    with ThreadPoolExecutor(2) as pool:
        for found in [pool.submit(counter.count, noise(128, 96)) for _ in range(2)]:
            assert_same(found.result(), cpu.count(noise(128, 96)))
    assert runs(engines) == {0: 1, 1: 1}


def test_a_frame_on_a_gpu_that_does_not_count(noise) -> None:
    frame = on_gpu(noise(64, 64), 1)
    with pytest.raises(InputError, match=r"lies on CUDA device 1, and the counter uses 0, 5: name"):
        FrameIntake(0, 5).take(frame)
    with pytest.raises(InputError, match=r"CUDA device 0, got one on device 1"):
        FrameIntake(0).take(frame)


def test_no_memory_on_the_second_gpu(engines, tiny_model, noise, monkeypatch) -> None:
    counter = EdgeCounter(tiny_model, device=[0, 1])

    def fail() -> Any:
        raise BackendError("no memory left")

    monkeypatch.setattr(engines[1], "open_worker", fail)
    run = engines[0].run

    def slow(image: NDArray[np.float32]) -> Any:
        time.sleep(0.3)  # by then the next frame is there, and the first GPU is not free for it
        return run(image)

    engines[0].run = slow
    found = []
    with pytest.raises(BackendError, match="no memory left"):
        found.extend(counter.count_frames(Pictures("a", [noise(128, 96)] * 4)))
    assert len(found) == 1  # what the first was given before


def test_closing_closes_all(engines, tiny_model) -> None:
    EdgeCounter(tiny_model, device=[0, 1]).close()
    for engine in engines.values():
        with pytest.raises(BackendError, match="closed"):
            engine.infer({"image": np.zeros((1, 3, 32, 32), np.float32)})


@pytest.mark.parametrize("device", [-1, True, [], [0, 0], "cuda:0", [0, "1"], 1.0])
def test_what_is_no_device(tiny_model, device) -> None:
    with pytest.raises(ConfigError, match=r"^device: expected the number of a GPU, 0 or more"):
        EdgeCounter(tiny_model, device=device)


def test_a_backend_of_one_s_own(make_engine, tiny_model, noise) -> None:
    engine = make_engine(device=1)
    assert EdgeCounter(tiny_model, backend=engine, device=1).count(noise(64, 64)).size == (64, 64)
    with pytest.raises(
        BackendError, match="device 0 was asked for, and host-engine runs on cuda:1"
    ):
        EdgeCounter(tiny_model, backend=engine, device=0)
    with pytest.raises(ConfigError, match="expected one GPU with a backend of your own"):
        EdgeCounter(tiny_model, backend=engine, device=[0, 1])
    with pytest.raises(BackendError, match="device 0 was asked for, and onnxruntime runs on cpu"):
        EdgeCounter(tiny_model, backend="onnxruntime", device=0)


def test_engines_of_tensorrt(make: Callable[..., Any], monkeypatch, tiny_model, noise) -> None:
    """One is opened on each GPU, of those that the driver shows."""
    monkeypatch.setattr(driver, "ask_driver", lambda: GPU._replace(devices=GPU.devices * 2))
    path, cpu = make().path, EdgeCounter(tiny_model, backend="onnxruntime")
    with EdgeCounter(path, device=[1, 0]) as counter:
        assert isinstance(counter.backend, TensorRTBackend)
        assert counter.backend.device == "cuda:1"
        for found in counter.count_batch([noise(128, 96)] * 3):
            assert_same(found, cpu.count(noise(128, 96)))
    with pytest.raises(
        BackendError, match=r"no CUDA device 2: the driver shows 2, numbered from 0"
    ):
        EdgeCounter(path, device=[0, 2])


def test_an_engine_that_was_built_again_is_opened_on_all(
    make: Callable[..., Any], monkeypatch, tiny_model, noise
) -> None:
    monkeypatch.setattr(driver, "ask_driver", lambda: GPU._replace(devices=GPU.devices * 2))
    good = make("good.engine")
    old = make(plan=b"of another version", version="1.2.0")

    def rebuild(plan: Path, sidecar: EngineSidecar, onnx: Path, here: str) -> EngineSidecar:
        plan.write_bytes(good.path.read_bytes())
        return good.sidecar

    with EdgeCounter(old.path, device=[0, 1], rebuild=rebuild) as counter:
        cpu = EdgeCounter(tiny_model, backend="onnxruntime")
        for found in counter.count_batch([noise(128, 96)] * 3):
            assert_same(found, cpu.count(noise(128, 96)))
