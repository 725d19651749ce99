"""Tiny models with a manifest, whose counts are known by construction."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgecount.manifest import (
    METADATA_KEY,
    FusionSpec,
    InputSpec,
    Manifest,
    OutputSpec,
    PostprocessSpec,
)
from edgecount.runtime.backends import onnx_run

ModelMaker = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what engines compile and prove out of the cache of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def hangups_are_heard() -> Iterator[None]:
    """Let processes of the tests take SIGHUP as usual where `nohup` has the tests ignore it.

    A program that is started has what is ignored ignored, too, but what is handled as usual.
    """
    if os.name != "posix" or signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGHUP, lambda *_: None)
    yield
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@pytest.fixture(scope="session", autouse=True)
def exact_by_default() -> Iterator[None]:
    """Let `auto` compute in float32 on every CPU; tests of precision say what theirs can."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_run, "may_have_half_precision", lambda: False)
        yield


def tiny_manifest(
    *,
    roles: tuple[str, ...] = ("density", "heatmap", "offset"),
    unit: float = 1.0,
    fusion: FusionSpec | None = FusionSpec(64, 1.0, 4.0),  # noqa: B008 (frozen)
    **spec: object,
) -> Manifest:
    """Describe a model whose input is brightness in [0, 1], so that padding is black.

    The fusion is for models with a density and a heatmap; others go without.
    """
    outputs = {
        "density": OutputSpec("density", "density", 8, unit),
        "heatmap": OutputSpec("heat", "heatmap", 4),
        "offset": OutputSpec("shift", "offset", 4),
        "scores": OutputSpec("scores_8", "scores", 8),
        "boxes": OutputSpec("boxes_8", "boxes", 8),
    }
    given = {"mean": (0.0,) * 3, "scale": (1 / 255,) * 3, "max_side": 512} | spec
    return Manifest(
        name="tiny",
        version="1",
        description="Counts white squares of 8 x 8 pixels.",
        input=InputSpec(**given),
        outputs=tuple(outputs[role] for role in roles),
        postprocess=PostprocessSpec(fusion=fusion if {"density", "heatmap"} <= {*roles} else None),
        licence="none",
    )


def tiny_graph(manifest: Manifest) -> onnx.ModelProto:
    """Return a graph of means over cells: all maps are the cell's brightness but two kinds.

    The offset is the cell's middle, and a box is the cell's square.
    """
    shape = manifest.input.static_size or ("H", "W")
    zero = numpy_helper.from_array(np.zeros((1,), np.float32), "zero")
    nodes = [helper.make_node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=1)]
    tensors = [zero]
    for output in manifest.outputs:
        pool = {"kernel_shape": [output.stride] * 2, "strides": [output.stride] * 2}
        if output.role == "density":
            tensors.append(numpy_helper.from_array(np.array([output.unit], np.float32), "unit"))
            nodes.append(helper.make_node("AveragePool", ["grey"], ["mean8"], **pool))
            nodes.append(helper.make_node("Mul", ["mean8", "unit"], [output.name]))
        elif output.role in {"heatmap", "scores"}:
            nodes.append(helper.make_node("AveragePool", ["grey"], [output.name], **pool))
        else:
            mean, none, half = (f"{output.name}.{part}" for part in ("mean", "none", "half"))
            middle = np.full((1, output.channels, 1, 1), 0.5, np.float32)
            tensors.append(numpy_helper.from_array(middle, half))
            nodes.append(helper.make_node("AveragePool", ["grey"], [mean], **pool))
            nodes.append(helper.make_node("Mul", [mean, "zero"], [none]))
            nodes.append(helper.make_node("Add", [none, half], [output.name]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 3, *shape])],
        [helper.make_tensor_value_info(o.name, TensorProto.FLOAT, None) for o in manifest.outputs],
        tensors,
    )
    return as_model(graph)


def as_model(graph: onnx.GraphProto) -> onnx.ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def save_model(model: onnx.ModelProto, path: Path, manifest: Manifest | str | None) -> Path:
    if manifest is not None:
        text = manifest if isinstance(manifest, str) else manifest.to_json()
        helper.set_model_props(model, {"author": "tests", METADATA_KEY: text})
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def make_manifest() -> Callable[..., Manifest]:
    """`tiny_manifest`, as a fixture because conftest cannot be imported."""
    return tiny_manifest


@pytest.fixture(scope="session")
def make_graph() -> Callable[[Manifest], onnx.ModelProto]:
    """`tiny_graph`, which is not yet given its manifest."""
    return tiny_graph


@pytest.fixture(scope="session")
def write_model() -> Callable[..., Path]:
    """`save_model`: (model, path, manifest or its text or None)."""
    return save_model


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> ModelMaker:
    """Write a tiny model; keywords as of `tiny_manifest`."""

    def make(**options: object) -> Path:
        manifest = tiny_manifest(**options)
        path = tmp_path_factory.mktemp("model") / "tiny.onnx"
        return save_model(tiny_graph(manifest), path, manifest)

    return make


@pytest.fixture(scope="session")
def tiny_model(make_model: ModelMaker) -> Path:
    """Return a model with a density, a heatmap and an offset, that counts white squares."""
    return make_model()


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """The test's folder, which every user may read."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder != tmp_path and not folder.name.startswith(("pytest-", "popen-")):
            break  # no folder of pytest's
        folder.chmod(0o755)
    return tmp_path


@pytest.fixture
def squares() -> Callable[..., NDArray[np.uint8]]:
    """Return a painter of black frames with white 8 x 8 squares at (x, y) in multiples of 8."""

    def draw(width: int, height: int, *corners: tuple[int, int]) -> NDArray[np.uint8]:
        frame = np.zeros((height, width, 3), np.uint8)
        for x, y in corners:
            frame[y : y + 8, x : x + 8] = 255
        return frame

    return draw
