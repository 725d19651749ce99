"""The TensorRT backend: on a stand-in that runs plans on the host, and on a GPU that is there."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import standin_tensorrt as standin
from gpu_maps import EMULATED
from numpy.typing import NDArray
from sidecars import GPU, SHAPES, write_engine

from edgecount import EdgeCounter
from edgecount.errors import BackendError, EdgeCountError
from edgecount.manifest import Manifest
from edgecount.runtime import cuda_driver
from edgecount.runtime.backend import open_backend
from edgecount.runtime.cuda_driver import why_no_gpu
from edgecount.runtime.engine_files import Engine
from edgecount.runtime.model_file import ModelFile, open_model
from edgecount.runtime.onnxruntime_backend import OnnxRuntimeBackend
from edgecount.runtime.sidecar import EngineSidecar, InputShapes
from edgecount.runtime.tensorrt_backend import TensorRTBackend
from edgecount.runtime.trt_module import load_tensorrt

pytestmark = pytest.mark.gpu

Make = Callable[..., Engine]


@pytest.fixture
def host_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT is the stand-in, whose addresses are those of the extension's device: the host's."""
    if not EMULATED:
        pytest.skip("the memory of a GPU cannot be read at its address")
    monkeypatch.setattr(cuda_driver, "ask_driver", lambda: GPU)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", standin)


@pytest.fixture
def model(tmp_path: Path, tiny_model: Path) -> ModelFile:
    return open_model(shutil.copy(tiny_model, tmp_path / "model.onnx"))


@pytest.fixture
def make(host_device: None, model: ModelFile) -> Make:
    """An engine of the model, beside it."""

    def write(name: str = "model.engine", *, source: Path | None = None, **changes: Any) -> Engine:
        path = source or model.path
        assert path is not None
        of_plan = {key: changes.pop(key) for key in ("validity", "diagnostics") if key in changes}
        shapes: InputShapes = changes.get("shapes", SHAPES)
        plan = standin.make_plan(path.read_bytes(), dataclasses.astuple(shapes), **of_plan)
        plan = changes.pop("plan", plan)
        return write_engine(path.with_name(name), plan, path, **changes)

    return write


@pytest.fixture
def backend(make: Make) -> Iterator[TensorRTBackend]:
    with TensorRTBackend(make()) as opened:
        yield opened


def image(batch: int = 1, height: int = 64, width: int = 96, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 1, (batch, 3, height, width)).astype(np.float32)


def on_host(model: ModelFile, pixels: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    with OnnxRuntimeBackend(model, threads=1) as reference:
        return reference.infer({"image": pixels})


def assert_same(found: dict[str, NDArray[Any]], expected: dict[str, NDArray[Any]]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def run_in_threads(number: int, function: Callable[[int], None]) -> None:
    """Call a function with 0, 1, ..., each in a thread; raises what one of them raised."""
    failures: list[BaseException] = []

    def run(index: int) -> None:
        try:
            function(index)
        except BaseException as error:  # noqa: BLE001 (raised below)
            failures.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_maps_are_those_of_onnx_runtime(backend: TensorRTBackend, model: ModelFile) -> None:
    assert (backend.name, backend.device, backend.device_index) == ("tensorrt-rtx", "cuda:0", 0)
    assert backend.input_name == "image"
    assert backend.batches == (1, 4)
    assert backend.sizes == ((64, 64), (128, 160))
    for pixels in (image(), image(4, 128, 160), image(1, 64, 64), image(seed=1)):
        assert_same(backend.infer({"image": pixels}), on_host(model, pixels))


def test_a_worker_binds_warms_up_and_runs(backend: TensorRTBackend, model: ModelFile) -> None:
    with backend.open_worker() as worker:
        context = worker._context
        bound = worker.bind((1, 3, 64, 96))
        assert context.runs == 1
        assert worker.bind((1, 3, 64, 96)) is bound
        assert context.runs == 1
        pointers = [bound.input.ptr, *(values.ptr for values in bound.outputs.values())]
        assert all(pointer % 256 == 0 for pointer in pointers)
        assert list(bound.outputs) == ["density", "heat", "shift"]
        for seed in range(2):
            worker.stream.upload(bound.input, image(seed=seed))
            worker.enqueue()
            expected = on_host(model, image(seed=seed))
            for name, values in bound.outputs.items():
                found = np.empty(values.shape, values.dtype)
                worker.stream.download(values, found)
                worker.stream.synchronize()
                np.testing.assert_array_equal(found, expected[name])
        assert context.runs == 3


def test_each_new_shape_is_run_once_before_its_first_frame(backend: TensorRTBackend) -> None:
    with backend.open_worker() as worker:
        context = worker._context
        for shape in ((1, 3, 64, 96), (4, 3, 128, 160), (1, 3, 64, 96)):
            bound = worker.bind(shape)
            assert bound.input.shape == shape
            assert bound.outputs["heat"].shape == (shape[0], 1, shape[2] // 4, shape[3] // 4)
        assert context.runs == 2


def test_workers_have_contexts_streams_and_tensors_of_their_own(backend: TensorRTBackend) -> None:
    with backend.open_worker() as one, backend.open_worker() as other:
        assert one._context is not other._context
        assert one.stream.handle != other.stream.handle
        first, second = one.bind((1, 3, 64, 64)), other.bind((1, 3, 64, 64))
        assert first.input.ptr != second.input.ptr


def test_threads_run_side_by_side(backend: TensorRTBackend, model: ModelFile) -> None:
    pictures = [image(1 + i % 2, 64 + 32 * (i % 3), 64 + 32 * (i % 4), i) for i in range(6)]
    expected = [on_host(model, pixels) for pixels in pictures]

    def run(index: int) -> None:
        for turn in range(10):
            some = (index + turn) % len(pictures)
            assert_same(backend.infer({"image": pictures[some]}), expected[some])

    run_in_threads(4, run)
    assert 1 <= len(backend._idle) <= 4


def test_a_graph_may_record_what_has_run_for_a_static_shape(make: Make) -> None:
    static = InputShapes.static((2, 3, 64, 96))
    with TensorRTBackend(make(shapes=static)) as backend:
        backend._engine.recordable = True
        assert backend.batches == (2, 2)
        with backend.open_worker() as worker:
            assert not worker.capturable
            worker.bind((2, 3, 64, 96))
            assert worker.capturable
            backend._engine.recordable = False
            with backend.open_worker() as refused:
                refused.bind((2, 3, 64, 96))
                assert not refused.capturable


def test_kernels_of_dynamic_shapes_change_while_they_run(backend: TensorRTBackend) -> None:
    backend._engine.recordable = True
    with backend.open_worker() as worker:
        worker.bind((1, 3, 64, 96))
        assert not worker.capturable


def test_where_contexts_cannot_be_asked_all_can_be_recorded(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(standin.IExecutionContext, "is_stream_capturable")
    with TensorRTBackend(make()) as backend, backend.open_worker() as worker:
        worker.bind((1, 3, 64, 96))
        assert worker.capturable
        worker.bind((1, 3, 64, 64))
        worker.bind((1, 3, 64, 96))
        assert not worker.capturable  # the context has yet to run for it again
        worker.enqueue()
        assert worker.capturable


@pytest.mark.parametrize(
    ("shapes", "wanted", "takes"),
    [
        (SHAPES, (1, 3, 160, 160), "1x3x64x64 to 4x3x128x160"),
        (SHAPES, (5, 3, 64, 64), "1x3x64x64 to 4x3x128x160"),
        (InputShapes.static((1, 3, 64, 96)), (1, 3, 64, 64), "1x3x64x96 "),
    ],
)
def test_a_shape_that_the_engine_does_not_take(
    make: Make, shapes: InputShapes, wanted: tuple[int, ...], takes: str
) -> None:
    text = "x".join(map(str, wanted))
    with (
        TensorRTBackend(make(shapes=shapes)) as backend,
        pytest.raises(BackendError, match=rf"takes images of {takes}.*got {text}.*--input"),
    ):
        backend.infer({"image": np.zeros(wanted, np.float32)})


def test_a_failed_run_tells_what_tensorrt_said(backend: TensorRTBackend) -> None:
    with backend.open_worker() as worker:
        with pytest.raises(BackendError, match="bind a shape"):
            worker.enqueue()
        worker.bind((1, 3, 64, 96))
        worker._context._addresses.pop("heat")
        with pytest.raises(BackendError, match=r"for RTX 1\.7\.1 failed on .*1x3x64x96 .*: heat"):
            worker.enqueue()


def test_no_room_for_one_more_context(backend: TensorRTBackend) -> None:
    backend._engine.contexts_left = 0
    with pytest.raises(BackendError, match=r"could not make room .*OutOfMemory"):
        backend.open_worker()


def test_a_closed_backend_says_so(make: Make) -> None:
    backend = TensorRTBackend(make())
    worker = backend.open_worker()
    worker.close()
    worker.close()
    with pytest.raises(BackendError, match="worker is closed"):
        worker.bind((1, 3, 64, 96))
    backend.infer({"image": image()})
    backend.close()
    backend.close()
    for call in (lambda: backend.infer({"image": image()}), backend.open_worker):
        with pytest.raises(BackendError, match="backend is closed"):
            call()


def test_a_plan_that_rtx_finds_invalid(make: Make) -> None:
    engine = make(validity="INVALID", diagnostics=2 | 4)
    with pytest.raises(BackendError, match="invalid here: unsupported cc, old cuda driver; build"):
        TensorRTBackend(engine)


def test_a_plan_that_is_slower_here_is_run(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    engine = make(validity="SUBOPTIMAL", diagnostics=2)
    with caplog.at_level(logging.INFO), TensorRTBackend(engine):
        assert "may be slower than one built for this GPU: unsupported cc" in caplog.text


def test_a_damaged_plan(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make(plan=b"no plan at all")
    with pytest.raises(BackendError, match="invalid here: malformed engine"):
        TensorRTBackend(engine)
    monkeypatch.delattr(standin.Runtime, "get_engine_validity")
    with pytest.raises(BackendError, match=r"cannot load .*\(Magic tag does not match\): build it"):
        TensorRTBackend(engine)


def test_tensors_must_be_those_of_the_manifest(make: Make, model: ModelFile) -> None:
    outputs = (dataclasses.replace(model.manifest.outputs[0], name="people"),)
    manifest = dataclasses.replace(model.manifest, outputs=outputs)
    with pytest.raises(BackendError, match=r"density, heat, shift out, and its .*people"):
        TensorRTBackend(make(manifest=manifest))
    some = dataclasses.replace(model.manifest, outputs=model.manifest.outputs[:1])
    with TensorRTBackend(make(manifest=some)) as backend:
        assert list(backend.infer({"image": image()})) == ["density"]


@pytest.mark.parametrize(
    ("kind", "dtype"), [(onnx.TensorProto.FLOAT16, "float16"), (onnx.TensorProto.INT32, "int32")]
)
def test_types_of_the_tensors(
    make: Make,
    make_manifest: Callable[..., Manifest],
    make_graph: Callable[[Manifest], onnx.ModelProto],
    write_model: Callable[..., Path],
    tmp_path: Path,
    kind: int,
    dtype: str,
) -> None:
    manifest = make_manifest(roles=("density",))
    graph = make_graph(manifest)
    graph.graph.node[-1].output[0] = "floating"
    graph.graph.node.append(onnx.helper.make_node("Cast", ["floating"], ["density"], to=kind))
    graph.graph.output[0].type.tensor_type.elem_type = kind
    engine = make(source=write_model(graph, tmp_path / "cast.onnx", manifest))
    if dtype == "int32":
        with pytest.raises(BackendError, match="density is int32, expected float32 or float16"):
            TensorRTBackend(engine)
        return
    with TensorRTBackend(engine) as backend:
        maps = backend.infer({"image": np.ones((1, 3, 64, 96), np.float32)})
    assert maps["density"].dtype == np.float16
    assert (maps["density"] == 1).all()


def test_options_of_the_build_are_told_to_the_runtime(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[standin.Runtime] = []
    original = standin.Runtime.__init__

    def note(self: standin.Runtime, logger: Any) -> None:
        original(self, logger)
        made.append(self)

    monkeypatch.setattr(standin.Runtime, "__init__", note)
    TensorRTBackend(make()).close()
    TensorRTBackend(make(options={"version_compatible": True, "dla_core": 1})).close()
    plain, asked = made
    assert (plain.DLA_core, plain.engine_host_code_allowed) == (-1, False)
    assert (asked.DLA_core, asked.engine_host_code_allowed) == (1, True)


def test_auto_takes_the_best_engine_of_a_folder(
    make: Make, model: ModelFile, caplog: pytest.LogCaptureFixture
) -> None:
    assert model.path is not None
    make("model.engine", precision="fp32")
    make("model.fp16.engine", precision="fp16")
    folder = open_model(model.path.parent)
    with caplog.at_level(logging.INFO), open_backend(folder) as backend:
        assert backend.name == "tensorrt-rtx"
    assert "backend tensorrt-rtx on cuda:0; not tensorrt: there is no engine of it" in caplog.text
    for name in ("model.engine", "model.fp16.engine"):
        with open_backend(open_model(model.path.with_name(name))) as backend:
            assert backend.name == "tensorrt-rtx"
    with open_backend(folder, "onnxruntime") as backend:
        assert backend.name == "onnxruntime"


def test_auto_takes_the_next_one_and_tells_why(
    make: Make, model: ModelFile, caplog: pytest.LogCaptureFixture
) -> None:
    assert model.path is not None
    make("model.fp16.engine", version="1.2.0")
    folder = open_model(model.path.parent)
    with caplog.at_level(logging.INFO), open_backend(folder) as backend:
        assert backend.name == "onnxruntime"
    assert "built by 1.2.0, here is 1.7.1" in caplog.text
    make("model.engine", precision="fp32")
    with open_backend(folder) as backend:
        assert backend.name == "tensorrt-rtx"


def test_auto_builds_again_only_where_no_engine_fits(
    make: Make, model: ModelFile, caplog: pytest.LogCaptureFixture
) -> None:
    assert model.path is not None
    asked: list[Path] = []

    def rebuild(plan: Path, sidecar: EngineSidecar, source: Path, here: str) -> EngineSidecar:
        assert (source, here) == (model.path, "8.9")
        asked.append(plan)
        return make(plan.name, precision=sidecar.precision).sidecar

    make("model.fp16.engine", version="1.2.0")
    folder = open_model(model.path.parent)
    with open_backend(folder, rebuild=rebuild) as backend:
        assert backend.name == "tensorrt-rtx"
        assert_same(backend.infer({"image": image()}), on_host(model, image()))
    assert [path.name for path in asked] == ["model.fp16.engine"]
    (line,) = (text for text in caplog.messages if text.startswith("building "))
    assert "which takes minutes: " in line
    assert "1.2.0" in line
    make("model.fp16.engine", version="1.2.0")
    make("model.engine", precision="fp32")
    with open_backend(folder, rebuild=rebuild):
        assert len(asked) == 1


def test_the_counter_counts_like_onnx_runtime(make: Make, model: ModelFile, squares: Any) -> None:
    frames = [squares(96, 64, (16, 16), (64, 32)), squares(160, 120, (8, 96)), squares(64, 64)]
    with (
        EdgeCounter(make().path) as counter,
        EdgeCounter(model.path, backend="onnxruntime", threads=1) as original,
    ):
        expected = [original.count(frame) for frame in frames]

        def run(index: int) -> None:
            for _ in range(5):
                found, wanted = counter.count(frames[index]), expected[index]
                assert found.count == wanted.count
                assert found.backend == "tensorrt-rtx"
                np.testing.assert_array_equal(found.points, wanted.points)

        run_in_threads(len(frames), run)


@pytest.mark.parametrize("target", ["tensorrt", "tensorrt-rtx"])
def test_a_real_engine_on_a_real_gpu(target: Any, tmp_path: Path, tiny_model: Path) -> None:
    from edgecount.export.engine import EngineOptions, build_engine
    from edgecount.export.engine_record import make_sidecar, write_sidecar

    if reason := why_no_gpu():
        pytest.skip(reason)
    try:
        load_tensorrt(target)
        onnx_file = Path(shutil.copy(tiny_model, tmp_path / "model.onnx"))
        options = EngineOptions(target, "fp32", SHAPES)
        record = build_engine(onnx_file, tmp_path / "model.engine", options)
    except EdgeCountError as error:
        pytest.skip(str(error))
    model = open_model(onnx_file)
    write_sidecar(record.plan, make_sidecar(record, model.manifest))
    with open_backend(open_model(tmp_path)) as backend:
        assert backend.name == target
        assert isinstance(backend, TensorRTBackend)
        pictures = [image(seed=1), image(4, 128, 160), image(1, 64, 64)]

        def run(index: int) -> None:
            pixels = pictures[index]
            expected = on_host(model, pixels)
            for _ in range(20):
                maps = backend.infer({"image": pixels})
                for name, values in expected.items():
                    # TensorRT may multiply in TF32
                    np.testing.assert_allclose(maps[name], values, rtol=1e-2, atol=1e-3)

        run_in_threads(len(pictures), run)
        with backend.open_worker() as worker:
            bound = worker.bind((1, 3, 64, 96))
            worker.stream.upload(bound.input, image())
            worker.enqueue()
            if worker.capturable:
                worker.stream.synchronize()
                worker.stream.begin_capture()
                worker.enqueue()
                worker.stream.end_capture().launch(worker.stream)
            heat = np.empty(bound.outputs["heat"].shape, bound.outputs["heat"].dtype)
            worker.stream.download(bound.outputs["heat"], heat)
            worker.stream.synchronize()
            np.testing.assert_allclose(heat, on_host(model, image())["heat"], rtol=1e-2, atol=1e-3)
