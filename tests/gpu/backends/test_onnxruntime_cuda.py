"""ONNX Runtime on tensors of the device: the same maps as on arrays of the host."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from gpu_maps import EMULATED
from numpy.typing import NDArray

from edgecount import _ext
from edgecount.errors import BackendError, ModelError
from edgecount.manifest import Manifest
from edgecount.runtime.backends.calls import calls_in_hand
from edgecount.runtime.backends.onnxruntime.cpu import OnnxRuntimeBackend
from edgecount.runtime.backends.onnxruntime.cuda import OnnxRuntimeCudaBackend
from edgecount.runtime.backends.onnxruntime.session import CUDA
from edgecount.runtime.models.model_file import ModelFile
from edgecount.runtime.models.open import open_model

pytestmark = pytest.mark.gpu


@pytest.fixture
def model(tiny_model: Path) -> ModelFile:
    return open_model(tiny_model)


@pytest.fixture
def open_backend(memory: str) -> Iterator[Callable[[ModelFile], OnnxRuntimeCudaBackend]]:
    """Open backends on the memory that the extension's device has."""
    opened: list[OnnxRuntimeCudaBackend] = []

    def make(model: ModelFile) -> OnnxRuntimeCudaBackend:
        opened.append(OnnxRuntimeCudaBackend(model, 1, memory=memory))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for backend in opened:
        backend.close()


@pytest.fixture
def memory() -> str:
    """Where ONNX Runtime finds the tensors: the extension's device is a GPU, or the host."""
    import onnxruntime

    if EMULATED:
        return "cpu"
    if CUDA not in onnxruntime.get_available_providers():
        pytest.skip('this onnxruntime has no CUDA provider: pip install "edgecount[gpu]"')
    return "cuda"


def image(batch: int = 1, height: int = 64, width: int = 96, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 1, (batch, 3, height, width)).astype(np.float32)


def on_host(model: ModelFile, pixels: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    with OnnxRuntimeBackend(model, threads=1) as backend:
        return backend.infer({"image": pixels})


def assert_same(found: dict[str, NDArray[Any]], expected: dict[str, NDArray[Any]]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-6)


def test_arrays_of_the_host_go_through_the_device(model, open_backend) -> None:
    backend = open_backend(model)
    assert (backend.name, backend.device, backend.device_index) == ("onnxruntime-cuda", "cuda:0", 0)
    for pixels in (image(), image(3), image(1, 32, 32), image(seed=1)):
        assert_same(backend.infer({"image": pixels}), on_host(model, pixels))


def test_a_worker_keeps_its_tensors_until_another_shape(model, open_backend) -> None:
    with open_backend(model).open_worker() as worker:
        assert not worker.capturable
        bound = worker.bind((1, 3, 64, 96))
        assert worker.bind((1, 3, 64, 96)) is bound
        assert bound.input.shape == (1, 3, 64, 96)
        shapes = {name: values.shape for name, values in bound.outputs.items()}
        assert shapes == {"density": (1, 1, 8, 12), "heat": (1, 1, 16, 24), "shift": (1, 2, 16, 24)}
        assert {values.dtype for values in (bound.input, *bound.outputs.values())} == {"float32"}
        expected = on_host(model, image())
        worker.stream.upload(bound.input, image())
        worker.enqueue()
        for name, values in bound.outputs.items():
            found = np.empty(values.shape, values.dtype)
            worker.stream.download(values, found)
            worker.stream.synchronize()
            np.testing.assert_allclose(found, expected[name], rtol=1e-4, atol=1e-6)
        larger = worker.bind((2, 3, 128, 96))
        assert larger.outputs["density"].shape == (2, 1, 16, 12)


def test_workers_share_the_stream_and_not_the_tensors(model, open_backend) -> None:
    backend = open_backend(model)
    with backend.open_worker() as one, backend.open_worker() as other:
        assert one.stream is other.stream
        first, second = one.bind((1, 3, 64, 64)), other.bind((1, 3, 64, 64))
        assert first.input.ptr != second.input.ptr
        one.stream.upload(first.input, image(1, 64, 64, seed=1))
        one.enqueue()
        other.stream.upload(second.input, image(1, 64, 64, seed=2))
        other.enqueue()
        for bound, seed in ((first, 1), (second, 2)):
            density = np.empty((1, 1, 8, 8), np.float32)
            one.stream.download(bound.outputs["density"], density)
            one.stream.synchronize()
            expected = on_host(model, image(1, 64, 64, seed))["density"]
            np.testing.assert_allclose(density, expected, rtol=1e-4)


def test_a_run_that_is_ended_ends_no_other_one(model, open_backend) -> None:
    backend = open_backend(model)
    pixels = {"image": image(1, 1024, 1024)}
    backend.infer(pixels)
    over = threading.Event()

    def end() -> None:
        while not over.is_set():
            for call in calls_in_hand():
                call.end(ModelError("it took too long"))
                return

    thread = threading.Thread(target=end)
    thread.start()
    with contextlib.suppress(ModelError):  # it may have been done just before
        backend.infer(pixels)
    over.set()
    thread.join()
    for _ in range(2):
        assert set(backend.infer(pixels)) == {"density", "heat", "shift"}


def test_threads_run_side_by_side(model, open_backend) -> None:
    backend = open_backend(model)
    pictures = [image(1, 64, 64 + 32 * (i % 2), seed=i) for i in range(4)]
    expected = [on_host(model, pixels) for pixels in pictures]
    failures: list[BaseException] = []

    def run(index: int) -> None:
        try:
            for _ in range(10):
                assert_same(backend.infer({"image": pictures[index]}), expected[index])
        except BaseException as error:  # noqa: BLE001 (told to the test below)
            failures.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(pictures))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_closed_backend_says_so(model, open_backend) -> None:
    backend = open_backend(model)
    worker = backend.open_worker()
    worker.bind((1, 3, 64, 64))
    worker.close()
    worker.close()
    with pytest.raises(BackendError, match="worker is closed"):
        worker.enqueue()
    with pytest.raises(BackendError, match="worker is closed"):
        worker.bind((1, 3, 64, 64))
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="backend is closed"):
        backend.infer({"image": image()})
    with pytest.raises(BackendError, match="backend is closed"):
        backend.open_worker()


def test_what_the_graph_cannot_run(model, open_backend) -> None:
    with open_backend(model).open_worker() as worker:
        with pytest.raises(BackendError, match="bind a shape"):
            worker.enqueue()
        with pytest.raises(BackendError, match=r"onnxruntime-cuda failed on an input \(1, 4, 64"):
            worker.bind((1, 4, 64, 64))


def test_batches_are_those_of_the_graph(
    make_manifest: Callable[..., Manifest],
    make_graph: Callable[[Manifest], onnx.ModelProto],
    write_model: Callable[..., Path],
    tmp_path: Path,
    model: ModelFile,
    open_backend: Callable[[ModelFile], OnnxRuntimeCudaBackend],
) -> None:
    assert open_backend(model).batches[0] == 1
    assert open_backend(model).batches[1] > 1
    graph = make_graph(make_manifest())
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    path = write_model(graph, tmp_path / "two.onnx", make_manifest())
    assert open_backend(open_model(path)).batches == (2, 2)


def test_a_tensor_that_is_no_float_is_named(
    make_manifest: Callable[..., Manifest],
    make_graph: Callable[[Manifest], onnx.ModelProto],
    write_model: Callable[..., Path],
    tmp_path: Path,
    open_backend: Callable[[ModelFile], OnnxRuntimeCudaBackend],
) -> None:
    manifest = make_manifest(roles=("density",))
    graph = make_graph(manifest)
    last = graph.graph.node[-1]
    last.output[0] = "floating"
    whole = onnx.helper.make_node("Cast", ["floating"], ["density"], to=onnx.TensorProto.INT32)
    graph.graph.node.append(whole)
    graph.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT32
    path = write_model(graph, tmp_path / "whole.onnx", manifest)
    with pytest.raises(ModelError, match=r"density is tensor\(int32\), expected float32"):
        open_backend(open_model(path))


def test_the_counter_counts_through_it(model, memory: str, squares) -> None:
    from edgecount import EdgeCounter

    frame = squares(96, 64, (16, 16), (64, 32))
    with (
        OnnxRuntimeCudaBackend(model, 1, memory=memory) as backend,  # type: ignore[arg-type]
        EdgeCounter(model.manifest, backend=backend) as counter,
        EdgeCounter(model.path, backend="onnxruntime", threads=1) as original,
    ):
        found, expected = counter.count(frame), original.count(frame)
        assert found.count == pytest.approx(expected.count, rel=1e-4)
        np.testing.assert_allclose(found.points, expected.points, rtol=1e-4)
        assert found.backend == "onnxruntime-cuda"


def test_memory_is_given_back(model, open_backend) -> None:
    backend = open_backend(model)
    backend.infer({"image": image()})
    free, _ = _ext.device_memory()
    for seed in range(20):
        with backend.open_worker() as worker:
            worker.bind((1, 3, 64 + 32 * seed, 64))
    assert free - _ext.device_memory()[0] < 64 << 20
