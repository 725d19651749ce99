"""Tests of the CUDA part, on a GPU.

The environment variable EDGECOUNT_EXT names a compiled extension to test in the place of the
installed one: one whose CUDA part is emulated runs all of this on a CPU.
"""

from __future__ import annotations

import ctypes
import dataclasses
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tensorrt_engines import Make

    from edgecount.runtime.backends.tensorrt.backend import TensorRTBackend
    from edgecount.runtime.models.engines import Engine
    from edgecount.runtime.models.model_file import ModelFile
    from engines import HostEngine

HERE = Path(__file__).parent


def load_extension(path: str) -> None:
    """Put a compiled file in the place of `edgecount._ext`, before anything has imported that."""
    name = "edgecount._ext"
    if name in sys.modules:
        raise pytest.UsageError(f"EDGECOUNT_EXT: {name} is imported already")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise pytest.UsageError(f"EDGECOUNT_EXT: expected a compiled extension, got {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


if os.environ.get("EDGECOUNT_EXT"):
    load_extension(os.environ["EDGECOUNT_EXT"])

from edgecount import _ext  # noqa: E402


def missing() -> str | None:
    """Why there is nothing to test on."""
    if not _ext.cuda_built:
        return "edgecount is built without its CUDA part"
    if _ext.cuda_device_count() == 0:
        return "no CUDA device, or no driver for it"
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests; without a GPU one of them says why, and the others are left out."""
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.gpu)
    reason = missing()
    if reason is None or not ours:
        return
    ours[0].add_marker(pytest.mark.skip(reason=f"{len(ours)} tests of tests/gpu: {reason}"))
    items[:] = [item for item in items if item is ours[0] or item not in set(ours[1:])]
    config.hook.pytest_deselected(items=ours[1:])


@pytest.fixture(scope="session")
def driver() -> ctypes.CDLL:
    """CUDA's driver, or what stands in for it in an emulated extension."""
    emulated = ctypes.CDLL(_ext.__file__)
    return emulated if hasattr(emulated, "cuInit") else ctypes.CDLL("libcuda.so.1")


@pytest.fixture(scope="session")
def real_gpu(driver: ctypes.CDLL) -> None:
    """Skips a test where there is no GPU that other libraries could use."""
    if driver._name == _ext.__file__:
        pytest.skip("the GPU is emulated")


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator that gives the same numbers on every run."""
    return np.random.default_rng(20261)


@pytest.fixture
def stream() -> _ext.Stream:
    return _ext.Stream()


@pytest.fixture
def to_device(stream: _ext.Stream) -> Callable[..., _ext.DeviceArray]:
    """(array, offset in bytes) to the same on the device, once the stream has done its work."""

    def upload(array: NDArray[Any], offset: int = 0) -> _ext.DeviceArray:
        buffer = _ext.DeviceBuffer(max(array.nbytes, 1) + offset)
        target = buffer.array(array.shape, array.dtype.name, offset)
        stream.upload(target, np.asarray(array, order="C"))
        return target

    return upload


@pytest.fixture
def to_host(stream: _ext.Stream) -> Callable[[_ext.DeviceArray], NDArray[Any]]:
    """Return what copies a contiguous array to NumPy, after the work of the stream."""

    def download(array: _ext.DeviceArray) -> NDArray[Any]:
        target = np.empty(array.shape, array.dtype)
        stream.download(array, target)
        stream.synchronize()
        return target

    return download


@pytest.fixture
def make_engine(tiny_model: Path) -> Callable[..., HostEngine]:
    """Return what makes an engine around the tiny model."""
    from edgecount.runtime.backends.onnxruntime.cpu import OnnxRuntimeBackend
    from edgecount.runtime.models.open import open_model
    from engines import HostEngine

    session = OnnxRuntimeBackend(open_model(tiny_model), threads=1)

    def make(kind: type[HostEngine] = HostEngine, **options: Any) -> HostEngine:
        return kind(lambda image: session.infer({"image": image}), **options)

    return make


@pytest.fixture
def host_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TensorRT is the stand-in, whose addresses are those of the extension's device: the host's."""
    import standin_tensorrt
    from gpu_maps import EMULATED
    from sidecars import GPU

    from edgecount.runtime.cuda import driver

    if not EMULATED:
        pytest.skip("the memory of a GPU cannot be read at its address")
    monkeypatch.setattr(driver, "ask_driver", lambda: GPU)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", standin_tensorrt)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.fixture
def model(tmp_path: Path, tiny_model: Path) -> ModelFile:
    """Return a model in a folder of its own."""
    from edgecount.runtime.models.open import open_model

    folder = tmp_path / "model"
    folder.mkdir()
    return open_model(shutil.copy(tiny_model, folder / "model.onnx"))


@pytest.fixture
def make(host_device: None, model: ModelFile) -> Make:
    """Return what writes an engine of the model, beside it."""
    from sidecars import SHAPES, write_engine
    from standin_tensorrt import make_plan

    def write(name: str = "model.engine", *, source: Path | None = None, **changes: Any) -> Engine:
        path = source or model.path
        assert path is not None
        of_plan = {key: changes.pop(key) for key in ("validity", "diagnostics") if key in changes}
        shapes = changes.get("shapes", SHAPES)
        plan = make_plan(path.read_bytes(), dataclasses.astuple(shapes), **of_plan)
        plan = changes.pop("plan", plan)
        return write_engine(path.with_name(name), plan, path, **changes)

    return write


@pytest.fixture
def backend(make: Make) -> Iterator[TensorRTBackend]:
    """One with an engine of several sizes."""
    from edgecount.runtime.backends.tensorrt.backend import TensorRTBackend

    with TensorRTBackend(make()) as opened:
        yield opened
