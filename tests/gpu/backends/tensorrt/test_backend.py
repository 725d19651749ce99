"""The TensorRT backend, on a stand-in that runs plans on the host."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import standin_tensorrt as standin
from numpy.typing import NDArray
from sidecars import SHAPES
from tensorrt_engines import Make, assert_same, image, on_host, run_in_threads

from edgecount import EdgeCounter
from edgecount.errors import BackendError
from edgecount.manifest import Manifest
from edgecount.runtime.backends.tensorrt.backend import TensorRTBackend
from edgecount.runtime.models.engines import Engine
from edgecount.runtime.models.model_file import ModelFile
from edgecount.runtime.models.sidecar import EngineSidecar, InputShapes

pytestmark = pytest.mark.gpu


def test_maps_are_those_of_onnx_runtime(backend: TensorRTBackend, model: ModelFile) -> None:
    assert (backend.name, backend.device, backend.device_index) == ("tensorrt-rtx", "cuda:0", 0)
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
        assert worker.capturable  # its own context has run for it
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
    with pytest.raises(BackendError, match="invalid here: unsupported cc, old cuda driver: build"):
        TensorRTBackend(engine)


class Rebuild:
    """Builds an engine again by writing the plan of another one over it."""

    def __init__(self, by: Engine) -> None:
        self._by = by
        self.calls: list[tuple[Path, str, str]] = []

    def __call__(
        self, plan: Path, sidecar: EngineSidecar, onnx: Path, capability: str
    ) -> EngineSidecar:
        self.calls.append((plan, onnx.name, capability))
        plan.write_bytes(self._by.path.read_bytes())
        return dataclasses.replace(sidecar, plan_sha256=self._by.sidecar.plan_sha256)


@pytest.mark.parametrize(
    ("refused", "asked_first", "reason"),
    [
        ({"validity": "INVALID", "diagnostics": 2}, True, "invalid here: unsupported cc"),
        ({"plan": b"no plan at all"}, True, "invalid here: malformed engine"),
        ({"plan": b"no plan at all"}, False, "cannot load .*Magic tag"),
    ],
)
def test_a_plan_that_tensorrt_alone_refuses_is_built_again(
    make: Make,
    model: ModelFile,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    refused: dict[str, Any],
    asked_first: bool,
    reason: str,
) -> None:
    if not asked_first:
        monkeypatch.delattr(standin.Runtime, "get_engine_validity")
    good, engine = make("good.engine"), make(**refused)
    rebuild = Rebuild(good)
    with caplog.at_level(logging.WARNING), TensorRTBackend(engine, rebuild) as backend:
        assert_same(backend.infer({"image": image()}), on_host(model, image()))
    assert rebuild.calls == [(engine.path, "model.onnx", "8.9")]
    assert "again from model.onnx, which takes minutes: TensorRT for RTX" in caplog.text
    assert re.search(reason, caplog.text)


def test_what_tensorrt_refuses_after_the_build_is_not_built_once_more(make: Make) -> None:
    engine = make(validity="INVALID", diagnostics=2)
    rebuild = Rebuild(make("other.engine", validity="INVALID", diagnostics=32))
    with pytest.raises(BackendError, match="invalid here: malformed engine, though it was built"):
        TensorRTBackend(engine, rebuild)
    assert len(rebuild.calls) == 1


def test_a_plan_is_not_built_again_for_what_is_missing_here(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild = Rebuild(make("good.engine"))
    with pytest.raises(BackendError, match="invalid here: insufficient gpu memory; another build"):
        TensorRTBackend(make(validity="INVALID", diagnostics=16), rebuild)

    def full(runtime: standin.Runtime, serialized_engine: bytes) -> None:
        runtime._logger.log(standin.ILogger.Severity.ERROR, "Cuda Runtime (out of memory)")

    monkeypatch.setattr(standin.Runtime, "deserialize_cuda_engine", full)
    with pytest.raises(BackendError, match=r"out of memory\)\): end other programs"):
        TensorRTBackend(make(), rebuild)
    assert rebuild.calls == []


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
    first, *rest = model.manifest.outputs
    outputs = (dataclasses.replace(first, name="people"), *rest)
    manifest = dataclasses.replace(model.manifest, outputs=outputs)
    with pytest.raises(BackendError, match=r"density, heat, shift out, and its .*people"):
        TensorRTBackend(make(manifest=manifest))
    alone = dataclasses.replace(model.manifest.postprocess, fusion=None)
    some = dataclasses.replace(model.manifest, outputs=(first,), postprocess=alone)
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


def test_an_engine_that_takes_the_image_in_float16(
    make: Make,
    make_manifest: Callable[..., Manifest],
    make_graph: Callable[[Manifest], onnx.ModelProto],
    write_model: Callable[..., Path],
    squares: Callable[..., NDArray[np.uint8]],
    tmp_path: Path,
) -> None:
    """Levels of 0 and 255 are exact in float16: the counts are those of float32."""
    manifest = make_manifest()
    graph = make_graph(manifest)
    original = write_model(make_graph(manifest), tmp_path / "float32.onnx", manifest)
    graph.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    graph.graph.node[0].input[0] = "wide"
    cast = onnx.helper.make_node("Cast", ["image"], ["wide"], to=onnx.TensorProto.FLOAT)
    graph.graph.node.insert(0, cast)
    engine = make(source=write_model(graph, tmp_path / "float16.onnx", manifest))
    frame = squares(128, 96, (16, 16), (80, 48), (40, 72))
    with EdgeCounter(engine.path) as counter, EdgeCounter(original, threads=1) as cpu:
        with counter.backend.open_worker() as worker:  # type: ignore[attr-defined]
            assert worker.bind((1, 3, 96, 128)).input.dtype == "float16"
        found, expected = counter.count(frame), cpu.count(frame)
        assert (found.count, found.peak_count) == (expected.count, 3)
        np.testing.assert_array_equal(found.points, expected.points)
        np.testing.assert_array_equal(found.density, expected.density)
        maps = counter.backend.infer({"image": np.full((1, 3, 64, 96), 1.0, np.float32)})
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


def test_an_accelerator_that_the_board_does_not_have(make: Make) -> None:
    """An Orin Nano has the GPU of an AGX Orin, and none of its accelerators."""
    with pytest.raises(BackendError, match=r"accelerator 2, .* finds 2 on this board: .*--dla"):
        TensorRTBackend(make(options={"dla_core": 2}))


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
