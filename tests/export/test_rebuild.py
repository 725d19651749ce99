"""An engine built again from its sidecar, by the real builder of TensorRT for RTX."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import subprocess
import sys

import onnx
import pytest
from graphs import small_model
from sidecars import write_engine

from edgecount import counter
from edgecount._rebuild import rebuild_engine
from edgecount.cli.count import _counter
from edgecount.errors import BackendError
from edgecount.runtime.models.sidecar import InputShapes, read_sidecar

rtx = pytest.importorskip("tensorrt_rtx_bindings", exc_type=ImportError)

SHAPES = InputShapes((1, 3, 64, 64), (1, 3, 64, 96), (2, 3, 128, 128))


@pytest.fixture
def engine(tmp_path):
    """Return an engine of an older TensorRT and another GPU, with its ONNX beside it."""
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


def build(engine, capability="8.9", how=rebuild_engine, **more):
    path, sidecar = engine
    return how(path, sidecar, path.with_name("model.onnx"), capability, **more)


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
    made = build(engine._replace(sidecar=wide))
    assert made.compute_capabilities == ("8.0", "8.6", "8.9", "12.0", "12.1+")
    assert build(engine._replace(sidecar=made)).compute_capabilities == made.compute_capabilities
    with pytest.raises(BackendError, match=r"got '9\.0': TensorRT for RTX has no kernels for it"):
        build(engine._replace(sidecar=made), "9.0")


@pytest.mark.parametrize(
    ("option", "here", "for_others"),
    [
        ("hardware_compatible", "8.9", True),
        ("hardware_compatible", "8.7", False),
        ("hardware_compatible", "7.5", False),
        ("same_capability", "7.5", True),
        ("same_capability", "8.7", False),
    ],
)
def test_an_engine_for_many_gpus_is_built_as_such_where_that_works(
    engine, monkeypatch, option, here, for_others
):
    asked = []

    def note(_onnx, _plan, options, **_):
        asked.append(options)
        raise BackendError("far enough")

    monkeypatch.setattr("edgecount.export.tensorrt.build.build_engine", note)
    options = {option: True, "version_compatible": True}
    wide = dataclasses.replace(
        engine.sidecar, backend="tensorrt", compute_capabilities=("8.0+",), options=options
    )
    with pytest.raises(BackendError, match="far enough"):
        build(engine._replace(sidecar=wide), here)
    (found,) = asked
    assert (getattr(found, option), found.version_compatible) == (for_others, True)
    assert not (found.hardware_compatible and found.same_capability)
    assert found.compute_capabilities == ()


def test_a_gpu_that_has_no_plans(engine):
    with pytest.raises(
        BackendError, match=r"model\.engine cannot be built again here: .*got '8\.7'"
    ):
        build(engine, "8.7")
    assert engine.path.read_bytes() == b"an older plan"
    assert read_sidecar(engine.path) == engine.sidecar


def test_the_export_s_packages_are_not_needed(engine):
    """Who installed the extra for GPUs has none of them."""
    code = """
import sys
from pathlib import Path
for name in ("onnx", "onnxslim", "jinja2", "onnxruntime", "torch"):
    sys.modules[name] = None
from edgecount._rebuild import rebuild_engine
from edgecount.runtime.models.sidecar import read_sidecar
plan = Path(sys.argv[1])
rebuild_engine(plan, read_sidecar(plan), plan.with_name("model.onnx"), "8.9")
"""
    subprocess.run([sys.executable, "-c", code, engine.path], check=True)
    assert read_sidecar(engine.path).version == rtx.__version__


def test_progress_goes_through_the_build(engine):
    told = []
    build(engine, progress=lambda *step: told.append(step))
    assert any(done == total for _, done, total in told)


class Screen(io.StringIO):
    """A text stream in place of stderr."""

    def __init__(self, is_terminal):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal


@pytest.mark.parametrize(
    ("is_terminal", "quiet", "shown"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
def test_count_shows_the_build_on_a_terminal(engine, monkeypatch, is_terminal, quiet, shown):
    """As far as goes without a GPU: what opens the engine is asked for a build, and then fails."""

    def open_counter(model, *, rebuild):
        assert model == "model.engine"
        build(engine, how=rebuild)
        raise BackendError("there is no GPU")

    screen = Screen(is_terminal)
    monkeypatch.setattr(counter, "EdgeCounter", open_counter)
    monkeypatch.setattr(sys, "stderr", screen)
    with pytest.raises(BackendError, match="there is no GPU"):
        _counter(model="model.engine", rebuild=True, quiet=quiet)
    assert ("Building engine" in screen.getvalue()) == shown
    assert bool(screen.getvalue()) == shown


def test_count_without_rebuild_asks_for_none(monkeypatch):
    monkeypatch.setattr(counter, "EdgeCounter", lambda model, **more: (model, more))
    made = _counter(model="name", rebuild=False, quiet=False, threads=2)
    assert made == ("name", {"threads": 2})
