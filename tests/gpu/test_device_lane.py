"""EdgeCounter through a GPU: the same counts as on the CPU, whatever way the frames come."""

from __future__ import annotations

import dataclasses
import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount import EdgeCounter, NV12Frame, _ext
from edgecount.errors import BackendError, ConfigError, InputError, SourceError
from edgecount.manifest import IntervalSpec
from edgecount.result import CountResult
from edgecount.runtime.model_file import open_model
from edgecount.runtime.onnxruntime_backend import OnnxRuntimeBackend
from engines import HostEngine, RecordedEngine

pytestmark = pytest.mark.gpu

HALF = [(0, 0), (60, 0), (60, 96), (0, 96)]
CORNERS = [(16, 16), (80, 48), (40, 72)]


@pytest.fixture
def make_engine(tiny_model: Path) -> Callable[..., HostEngine]:
    session = OnnxRuntimeBackend(open_model(tiny_model), threads=1)

    def make(kind: type[HostEngine] = HostEngine, **options: Any) -> HostEngine:
        return kind(lambda image: session.infer({"image": image}), **options)

    return make


@pytest.fixture
def noise() -> Callable[..., NDArray[np.uint8]]:
    """A smooth picture, so that many cells differ."""

    def make(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        small = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), np.uint8)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)

    return make


def assert_same(found: CountResult, expected: CountResult) -> None:
    assert found.count == expected.count
    assert found.density_count == expected.density_count
    assert found.peak_count == expected.peak_count
    assert found.regions == expected.regions
    assert found.overflow == expected.overflow
    assert found.size == expected.size
    assert found.density_stride_xy == expected.density_stride_xy
    np.testing.assert_array_equal(found.points, expected.points)
    np.testing.assert_array_equal(found.density, expected.density)


@pytest.mark.parametrize(
    "size", [(128, 96), (1, 1), (1, 77), (131, 1), (97, 61), (64, 64), (600, 40)]
)
def test_a_frame_counts_as_on_the_cpu(make_engine, tiny_model, noise, size) -> None:
    frame = noise(*size)
    options: dict[str, Any] = {"regions": {"half": HALF}, "threshold": 0.3}
    with EdgeCounter(tiny_model, backend=make_engine(), **options) as counter:
        assert_same(counter.count(frame), EdgeCounter(tiny_model, **options).count(frame))
        assert_same(counter.count(frame), EdgeCounter(tiny_model, **options).count(frame))


def test_what_a_result_says(make_engine, tiny_model, squares) -> None:
    counter = EdgeCounter(tiny_model, backend=make_engine(), capacity=2)
    result = counter.count(squares(128, 96, *CORNERS))
    assert result.count == 3
    assert len(result.points) == 2
    assert result.overflow
    assert (result.backend, result.source, result.frame) == ("host-engine", None, None)
    assert all(ms >= 0 for ms in result.timings.values())


def test_more_points_than_come_back_with_the_counts(make_engine, tiny_model) -> None:
    frame = np.zeros((512, 512, 3), np.uint8)
    frame[::8, ::8] = 255
    options: dict[str, Any] = {"threshold": 0.01}
    found = EdgeCounter(tiny_model, backend=make_engine(), **options).count(frame)
    assert len(found.points) == 64 * 64
    assert_same(found, EdgeCounter(tiny_model, **options).count(frame))


def test_strided_frames_files_and_what_numpy_converts(
    make_engine, tiny_model, noise, tmp_path
) -> None:
    counter, cpu = EdgeCounter(tiny_model, backend=make_engine()), EdgeCounter(tiny_model)
    frame = noise(160, 120)
    path = tmp_path / "frame.png"
    cv2.imwrite(str(path), frame)
    for form in (frame[5:100, 7:130], frame[:, :, 0], frame[::-1], path, frame.astype(np.uint16)):
        assert_same(counter.count(form), cpu.count(form))
    assert counter.count(path).source == str(path)


def on_device(array: NDArray[Any]) -> _ext.DeviceArray:
    buffer = _ext.DeviceBuffer(array.nbytes).array(array.shape, "uint8")
    stream = _ext.Stream()
    stream.upload(buffer, np.ascontiguousarray(array))
    stream.synchronize()
    return buffer


class Foreign:
    """Another library's array."""

    def __init__(self, array: _ext.DeviceArray) -> None:
        self.array = array
        self.shape = array.shape
        self.__cuda_array_interface__ = array.__cuda_array_interface__


@pytest.mark.parametrize("wrap", [lambda array: array, Foreign])
def test_frames_on_the_gpu_are_taken_as_they_are(make_engine, tiny_model, noise, wrap) -> None:
    counter, cpu = EdgeCounter(tiny_model, backend=make_engine()), EdgeCounter(tiny_model)
    frame = noise(128, 96)
    device = on_device(frame)
    assert_same(counter.count(wrap(device)), cpu.count(frame))
    assert_same(counter.count(wrap(device[8:72, 16:80])), cpu.count(frame[8:72, 16:80]))
    mixed = [frame, wrap(device), frame]
    for found in counter.count_batch(mixed):
        assert_same(found, cpu.count(frame))


def test_nv12_from_either_side(make_engine, tiny_model, noise) -> None:
    counter, cpu = EdgeCounter(tiny_model, backend=make_engine()), EdgeCounter(tiny_model)
    buffer = np.random.default_rng(3).integers(0, 256, (144, 128), np.uint8)
    expected = cpu.count(NV12Frame.from_buffer(buffer))
    assert_same(counter.count(NV12Frame.from_buffer(buffer)), expected)
    assert_same(counter.count(NV12Frame.from_buffer(on_device(buffer))), expected)
    planes = NV12Frame(on_device(buffer[:96]), on_device(buffer[96:]))
    assert_same(counter.count(planes), expected)


class Plane:
    """An array of a library that gives the interface and nothing else."""

    def __init__(self, array: _ext.DeviceArray) -> None:
        self._kept = array
        self.__cuda_array_interface__ = array.__cuda_array_interface__


def test_chroma_in_pairs_and_arrays_without_a_shape(make_engine, tiny_model) -> None:
    counter, cpu = EdgeCounter(tiny_model, backend=make_engine()), EdgeCounter(tiny_model)
    buffer = np.random.default_rng(4).integers(0, 256, (144, 128), np.uint8)
    expected = cpu.count(NV12Frame.from_buffer(buffer))
    luma, pairs = on_device(buffer[:96]), on_device(buffer[96:].reshape(48, 64, 2))
    for frame in (NV12Frame(luma, pairs), NV12Frame(Plane(luma), Plane(pairs))):
        assert_same(counter.count(frame), expected)
        assert_same(counter.count_batch([frame, frame])[1], expected)
    frame = np.random.default_rng(5).integers(0, 256, (64, 64, 3), np.uint8)
    assert_same(counter.count_batch([Plane(on_device(frame))])[0], cpu.count(frame))


class Unwilling:
    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __dlpack__(self, **_: Any) -> Any:
        raise BufferError("it is being trained")


def test_what_another_library_refuses_is_an_input_error(make_engine, tiny_model) -> None:
    counter = EdgeCounter(tiny_model, backend=make_engine())
    with pytest.raises(InputError, match=r"Unwilling.*being trained"):
        counter.count(Unwilling())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((8, 8), np.uint8), r"of shape \(8, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), r"of shape \(8, 8, 4\)"),
    ],
)
def test_refuses_other_arrays_on_the_gpu(make_engine, tiny_model, array, message) -> None:
    with pytest.raises(InputError, match=message):
        EdgeCounter(tiny_model, backend=make_engine()).count(on_device(array))


def test_a_cpu_engine_says_where_a_gpu_frame_can_go(tiny_model) -> None:
    with pytest.raises(InputError, match="on a GPU, and what counts it runs on the CPU"):
        EdgeCounter(tiny_model).count(on_device(np.zeros((8, 8, 3), np.uint8)))


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


def test_an_engine_of_limited_sizes(make_engine, tiny_model, squares) -> None:
    engine = make_engine(sizes=((64, 128), (128, 256)))
    counter = EdgeCounter(tiny_model, backend=engine)
    assert counter.count(squares(40, 40, (8, 8))).count == 1
    assert counter.count(squares(512, 512, (8, 8))).density.shape == (16, 16)
    assert engine.shapes == [(1, 3, 64, 128), (1, 3, 128, 128)]
    with pytest.raises(ConfigError, match="takes at most 256 x 128 pixels"):
        EdgeCounter(tiny_model, backend=engine, max_side=None).count(squares(512, 512))


def test_float16_tensors(make_engine, tiny_model, squares) -> None:
    counter = EdgeCounter(tiny_model, backend=make_engine(half=True))
    result = counter.count(squares(128, 96, *CORNERS))
    assert result.count == pytest.approx(3, rel=1e-3)
    assert result.peak_count == 3


def test_frames_in_tiles_go_by_way_of_the_host(make_engine, make_model, noise) -> None:
    model = make_model()
    frame = noise(2112, 2080)
    counter = EdgeCounter(model, backend=make_engine(), max_side=None)
    expected = EdgeCounter(model, max_side=None).count(frame)
    assert_same(counter.count(frame), expected)
    assert_same(counter.count(on_device(frame)), expected)


def test_the_engine_is_recorded_once_and_replayed(make_engine, tiny_model, noise) -> None:
    engine = make_engine(RecordedEngine)
    counter = EdgeCounter(tiny_model, backend=engine)
    first = counter.count(noise(128, 96))
    for seed in range(4):
        assert counter.count(noise(128, 96, seed)).count == first.count
    assert len(engine.shapes) == 2  # once as it is, once to be recorded
    counter.count(noise(64, 64))
    counter.count(noise(128, 96))
    assert len(engine.shapes) == 4  # other shapes begin anew
    assert counter.count(noise(128, 96)).count == first.count


def test_a_record_is_not_used_for_tensors_that_have_moved(make_engine, tiny_model, noise) -> None:
    engine = make_engine(RecordedEngine)
    counter = EdgeCounter(tiny_model, backend=engine)
    expected = counter.count(noise(128, 96)).count
    for _ in range(3):
        assert counter.count(noise(128, 96)).count == expected
    worker = engine.workers[0]
    bind = worker.bind

    def fail(shape: tuple[int, int, int, int]) -> Any:
        worker.bound = None  # as an engine that moved its tensors, and then found no room
        raise BackendError("no memory left")

    worker.bind = fail
    with pytest.raises(BackendError, match="no memory left"):
        counter.count(noise(256, 256))
    worker.bind = bind
    for _ in range(3):
        assert counter.count(noise(128, 96)).count == expected


def test_tiles_of_an_engine_of_a_fixed_batch(make_engine, make_model, noise) -> None:
    model = make_model()
    frame = noise(2112, 2080)
    counter = EdgeCounter(model, backend=make_engine(batches=(2, 2)), max_side=None)
    assert_same(counter.count(frame), EdgeCounter(model, max_side=None).count(frame))


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


def test_an_engine_that_cannot_be_recorded_runs_as_it_is(make_engine, tiny_model, noise) -> None:
    engine = make_engine()
    counter, cpu = EdgeCounter(tiny_model, backend=engine), EdgeCounter(tiny_model)
    counter.count(noise(128, 96))
    engine.workers[0].capturable = True  # it waits for the stream, which no graph can hold
    for seed in range(3):
        assert_same(counter.count(noise(128, 96, seed)), cpu.count(noise(128, 96, seed)))


def test_a_clip_and_its_order(make_engine, tiny_model, squares, tmp_path) -> None:
    for index in range(6):
        corners = [(16 * place, 16) for place in range(index)]
        cv2.imwrite(str(tmp_path / f"{index}.png"), squares(128, 96, *corners))
    engine = make_engine()
    counter = EdgeCounter(tiny_model, backend=engine)
    results = list(counter.stream(tmp_path))
    assert [result.count for result in results] == list(range(6))
    assert [Path(result.source or "").stem for result in results] == list("012345")
    assert len(engine.workers) == 2
    # A stream that is left in the middle stops its thread.
    stream = counter.stream(tmp_path)
    assert next(stream).count == 0
    stream.close()
    gc.collect()
    assert sum("edgecount" in thread.name for thread in threading.enumerate()) <= 1


def test_a_stream_gives_what_it_counted_before_it_failed(
    make_engine, tiny_model, squares, tmp_path
) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), squares(64, 64, (8, 8)))
    (tmp_path / "1.png").write_bytes(b"no picture")
    counts: list[float] = []
    stream = EdgeCounter(tiny_model, backend=make_engine()).stream(tmp_path)
    with pytest.raises(SourceError, match=r"1\.png"):
        counts.extend(result.count for result in stream)
    assert counts == [1]


def test_cameras_in_one_call(make_engine, tiny_model, noise, tmp_path) -> None:
    folders = []
    for camera, size in enumerate([(128, 96), (64, 64), (128, 96)]):
        folder = tmp_path / str(camera)
        folder.mkdir()
        for index in range(3 - camera % 2):
            cv2.imwrite(str(folder / f"{index}.png"), noise(*size, seed=10 * camera + index))
        folders.append(folder)
    engine = make_engine()
    counter, cpu = EdgeCounter(tiny_model, backend=engine), EdgeCounter(tiny_model)
    results = list(counter.stream_many(folders))
    places = [tuple(Path(result.source or "").parts[-2:]) for result in results]
    assert places == [
        ("0", "0.png"), ("1", "0.png"), ("2", "0.png"), ("0", "1.png"), ("1", "1.png"),
        ("2", "1.png"), ("0", "2.png"), ("2", "2.png"),
    ]  # fmt: skip
    for result in results:
        assert_same(result, cpu.count(result.source))
    assert sorted(shape[0] for shape in engine.shapes) == [1, 1, 2, 2, 2]


def test_several_threads(make_engine, tiny_model, noise) -> None:
    engine = make_engine()
    counter, cpu = EdgeCounter(tiny_model, backend=engine), EdgeCounter(tiny_model)
    frames = [noise(128, 96, seed) for seed in range(4)]
    expected = [cpu.count(frame) for frame in frames]
    found: dict[int, list[CountResult]] = {}

    def work(number: int) -> None:
        found[number] = [counter.count(frames[number]) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, results in found.items():
        for result in results:
            assert_same(result, expected[number])
    assert len(engine.workers) <= 4


def test_regions_can_be_changed_between_frames(make_engine, tiny_model, squares) -> None:
    counter = EdgeCounter(tiny_model, backend=make_engine(), regions={"half": HALF})
    frame = squares(128, 96, *CORNERS)
    assert counter.count(frame).regions["half"].count == 2
    counter.regions = {"all": [(0, 0), (128, 0), (128, 96), (0, 96)]}
    assert counter.count(frame).regions["all"].count == 3
    counter.regions = None
    assert counter.count(frame).regions == {}


def test_results_are_independent_of_later_frames(make_engine, tiny_model, noise) -> None:
    counter = EdgeCounter(tiny_model, backend=make_engine())
    first = counter.count(noise(128, 96))
    kept = first.points.copy(), first.density.copy()
    for seed in range(1, 4):
        counter.count(noise(128, 96, seed))
    np.testing.assert_array_equal(first.points, kept[0])
    np.testing.assert_array_equal(first.density, kept[1])


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
