"""An engine built again from its sidecar, by the real builder of TensorRT for RTX."""

from __future__ import annotations

import dataclasses
import hashlib

import onnx
import pytest
from graphs import small_model
from sidecars import write_engine

from edgecount._rebuild import rebuild_engine
from edgecount.errors import BackendError
from edgecount.runtime.sidecar import InputShapes, read_sidecar

rtx = pytest.importorskip("tensorrt_rtx_bindings")

SHAPES = InputShapes((1, 3, 64, 64), (1, 3, 64, 96), (2, 3, 128, 128))


@pytest.fixture
def engine(tmp_path):
    """Of an older TensorRT and another GPU, with its ONNX beside it."""
    onnx.save(small_model(), tmp_path / "model.onnx")
    return write_engine(
        tmp_path / "model.engine",
        b"an older plan",
        tmp_path / "model.onnx",
        version="1.0.0",
        precision="fp32",
        shapes=SHAPES,
        compute_capabilities=("7.5",),
        options={"workspace": 512, "dla_core": None},
        overridden=True,
    )


def build(engine, capability="8.9"):
    path, sidecar = engine
    return rebuild_engine(path, sidecar, path.with_name("model.onnx"), capability)


def test_the_new_engine_is_like_the_old_one_and_for_here(engine):
    made = build(engine)
    assert read_sidecar(engine.path) == made
    assert made.plan_sha256 == hashlib.sha256(engine.path.read_bytes()).hexdigest()
    assert (made.version, made.compute_capabilities) == (rtx.__version__, ("8.9",))
    for name in ("manifest", "onnx_sha256", "precision", "shapes", "backend", "overridden"):
        assert getattr(made, name) == getattr(engine.sidecar, name)
    assert made.options["workspace"] == 512
    assert made.layers == {"fp32": 6}


def test_a_plan_for_all_newer_gpus_stays_one(engine):
    wide = dataclasses.replace(engine.sidecar, compute_capabilities=("8.0+",))
    assert build(engine._replace(sidecar=wide)).compute_capabilities == ("8.0+",)


def test_a_gpu_that_has_no_plans(engine):
    with pytest.raises(
        BackendError, match=r"model\.engine cannot be built again here: .*got '8\.7'"
    ):
        build(engine, "8.7")
    assert engine.path.read_bytes() == b"an older plan"
    assert read_sidecar(engine.path) == engine.sidecar
