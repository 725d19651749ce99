"""Engines that do not fit this machine: what is said before TensorRT is given them."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sidecars import GPU, write_engine

from edgecount import _ext
from edgecount.errors import BackendError, MissingExtraError, ModelError
from edgecount.runtime.backends.tensorrt import compatibility
from edgecount.runtime.backends.tensorrt.compatibility import engine_problems, fit_engine
from edgecount.runtime.cuda import driver
from edgecount.runtime.cuda.driver import Driver
from edgecount.runtime.models.engines import Engine
from edgecount.runtime.models.sidecar import EngineSidecar, sidecar_path

rtx = pytest.importorskip("tensorrt_rtx_bindings", exc_type=ImportError)

PLAN = b"a plan"
Make = Callable[..., Engine]


@pytest.fixture
def make(tmp_path: Path, tiny_model: Path) -> Make:
    """Return what writes an engine of the installed TensorRT, with its ONNX beside it."""
    onnx = Path(shutil.copy(tiny_model, tmp_path / "model.fp16.onnx"))

    def write(**changes: Any) -> Engine:
        path = tmp_path / "model.fp16.engine"
        return write_engine(path, PLAN, onnx, **{"version": rtx.__version__} | changes)

    return write


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with a GPU, as far as questions go."""
    monkeypatch.setattr(driver, "ask_driver", lambda: GPU)
    monkeypatch.setattr(_ext, "cuda_built", True)
    monkeypatch.setattr(_ext, "cuda_device_count", lambda: 1)


def test_an_engine_that_fits(make: Make, gpu: None) -> None:
    engine = make()
    fitting = fit_engine(engine)
    assert fitting.trt.__version__ == rtx.__version__
    assert (fitting.plan, fitting.sidecar) == (PLAN, engine.sidecar)
    assert engine_problems(engine, PLAN) == []


def test_without_a_driver_nothing_of_tensorrt_is_called(make: Make) -> None:
    """In a process of its own: what is guarded against would end it."""
    if not isinstance(driver.ask_driver(), str):
        pytest.skip("there is a GPU here")
    path = make().path
    code = (
        "import sys\n"
        "from edgecount import EdgeCounter\n"
        "from edgecount.errors import BackendError\n"
        "try:\n"
        f"    EdgeCounter({str(path)!r})\n"
        "except BackendError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{path} needs a GPU: ")
    assert "NVIDIA driver" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "1.2.0"}, ["built by 1.2.0", f"here is {rtx.__version__}"]),
        (
            {"compute_capabilities": ("8.6", "12.0")},
            ["built for 8.6, 12.0", "8.9 (RTX 4090 with 128 "],
        ),
        ({"driver": "13.2"}, ["CUDA 13.2", "here is CUDA 13.0"]),
        ({"plan_sha256": "b" * 64}, ["not the one that its sidecar describes", "bbbbbbbbbbbb"]),
        ({"onnx_sha256": "a" * 64}, ["model.fp16.onnx is not the ONNX", "expected aaaaaaaaaaaa"]),
    ],
)
def test_both_sides_are_named(
    make: Make, gpu: None, changes: dict[str, Any], words: list[str]
) -> None:
    engine = make(**changes)
    with pytest.raises(BackendError, match="does not fit this machine") as raised:
        fit_engine(engine)
    for word in words:
        assert word in str(raised.value)
    assert "edgecount export" in str(raised.value)
    assert "--fp16 --target tensorrt-rtx" in str(raised.value)
    assert ("rebuild=True" in str(raised.value)) == ("onnx_sha256" not in changes)
    assert engine_problems(engine, PLAN) != []


def test_boards_whose_gpus_have_one_name(
    make: Make, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = GPU.devices[0]._replace(name="Orin", processors=16)
    engine = make(backend="tensorrt", device=big.kind)
    small = GPU._replace(devices=[big._replace(processors=8)])
    monkeypatch.setattr(driver, "ask_driver", lambda: small)
    monkeypatch.setattr(compatibility, "load_tensorrt", lambda _: rtx)
    with pytest.raises(BackendError, match=r"on Orin with 16 .*, here is Orin with 8 "):
        fit_engine(engine)
    monkeypatch.setattr(driver, "ask_driver", lambda: GPU._replace(devices=[big]))
    fit_engine(engine)


def test_a_changed_plan(make: Make, gpu: None) -> None:
    engine = make()
    engine.path.write_bytes(b"another plan")
    with pytest.raises(BackendError, match="the plan is not the one that its sidecar describes"):
        fit_engine(engine)
    engine.path.unlink()
    with pytest.raises(ModelError, match=r"cannot read the engine .*model\.fp16\.engine"):
        fit_engine(engine)


def test_the_onnx_may_be_elsewhere_or_have_another_name(make: Make, gpu: None) -> None:
    engine = make()
    onnx = engine.path.with_suffix(".onnx")
    onnx.rename(onnx.with_name("model.int8-fp16.onnx"))
    fit_engine(engine)
    onnx.write_bytes(b"of the same name, and not the one")
    fit_engine(engine)
    onnx.with_name("model.int8-fp16.onnx").unlink()
    with pytest.raises(BackendError, match=r"model\.fp16\.onnx is not the ONNX"):
        fit_engine(engine)
    onnx.unlink()
    fit_engine(engine)


def test_a_missing_or_damaged_sidecar_is_named(make: Make) -> None:
    from edgecount.runtime.models.open import open_model

    path = make().path
    sidecar_path(path).write_text("{")
    with pytest.raises(ModelError, match=r"model\.fp16\.engine\.json: not JSON"):
        open_model(path)
    sidecar_path(path).unlink()
    with pytest.raises(ModelError, match=r"cannot read .*\.engine\.json.*edgecount export"):
        open_model(path)


def test_a_missing_tensorrt_names_the_extra(
    make: Make, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make()
    for name in ("tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r'pip install "edgecount\[rtx\]"'):
        fit_engine(engine)
    (problem,) = engine_problems(engine, PLAN)
    assert "edgecount[rtx]" in problem


def test_an_extension_without_cuda_says_how_to_build_it(
    make: Make, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ext, "cuda_built", False)
    engine = make()
    with pytest.raises(BackendError, match="EDGECOUNT_CUDA=ON"):
        fit_engine(engine)
    (problem,) = engine_problems(engine, PLAN)
    assert "EDGECOUNT_CUDA=ON" in problem


def test_every_reason_is_told_without_a_gpu(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "ask_driver", lambda: Driver("13.0", []))
    first, second = engine_problems(make(), b"another plan")
    assert "not the one that its sidecar describes" in first
    assert second == (
        "the NVIDIA driver shows no GPU; the engine needs a GPU of compute capability 8.9"
    )


class Builder:
    """Takes the place of TensorRT's builder, for what happens around it."""

    def __init__(self, **made: Any) -> None:
        self.calls: list[tuple[Path, Path, str]] = []
        self._made = made

    def __call__(
        self, plan: Path, sidecar: EngineSidecar, onnx: Path, capability: str
    ) -> EngineSidecar:
        self.calls.append((plan, onnx, capability))
        return dataclasses.replace(sidecar, **self._made)


def test_an_engine_that_does_not_fit_is_built_again(
    make: Make, gpu: None, caplog: pytest.LogCaptureFixture
) -> None:
    engine = make(compute_capabilities=("7.5",))
    build = Builder(compute_capabilities=("8.9",))
    with caplog.at_level(logging.WARNING, logger=compatibility.__name__):
        fitting = fit_engine(engine, build)
    assert build.calls == [(engine.path, engine.path.with_suffix(".onnx"), "8.9")]
    assert fitting.sidecar.compute_capabilities == ("8.9",)
    assert "which takes minutes" in caplog.text
    assert "built for 7.5, here is 8.9" in caplog.text


def test_an_engine_is_built_again_by_one_of_those_that_open_it(make: Make, gpu: None) -> None:
    """Another process has the lock when this one comes to it, and has built when it is let in."""
    engine = make(version="1.2.0")
    begun, built = threading.Event(), threading.Event()
    builds: list[bytes] = []

    def build(plan: Path, sidecar: EngineSidecar, onnx: Path, here: str) -> EngineSidecar:
        begun.set()
        assert built.wait(60)
        builds.append(b"build %d" % len(builds))
        plan.write_bytes(builds[-1])
        digest = hashlib.sha256(builds[-1]).hexdigest()
        made = dataclasses.replace(sidecar, version=rtx.__version__, plan_sha256=digest)
        sidecar_path(plan).write_text(made.to_json())
        return made

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fit_engine, engine, build)
        assert begun.wait(60)
        second = pool.submit(fit_engine, engine, build)
        built.set()
        one, other = first.result(60), second.result(60)
    assert builds == [b"build 0"]
    assert one.plan == other.plan == b"build 0"
    assert one.sidecar == other.sidecar
    assert not list(engine.path.parent.glob("*.lock"))


def test_an_engine_that_fits_is_left_as_it_is(make: Make, gpu: None) -> None:
    build = Builder()
    fit_engine(make(), build)
    assert build.calls == []


def test_without_its_onnx_nothing_can_be_built(make: Make, gpu: None) -> None:
    engine = make(version="1.2.0")
    engine.path.with_suffix(".onnx").unlink()
    build = Builder(version=rtx.__version__)
    with pytest.raises(BackendError, match="the ONNX that it was built from is not beside it"):
        fit_engine(engine, build)
    assert build.calls == []


def test_what_does_not_fit_after_the_build_is_refused(make: Make, gpu: None) -> None:
    with pytest.raises(BackendError, match=r"does not fit this machine: .*built by 1\.2\.0"):
        fit_engine(make(version="1.2.0"), Builder())


def test_an_engine_is_not_built_again_on_another_gpu_than_it_is_for(
    make: Make, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = GPU.devices[0]._replace(name="T4", processors=40)
    both = GPU._replace(devices=[small, *GPU.devices])
    monkeypatch.setattr(driver, "ask_driver", lambda: both)
    monkeypatch.setattr(compatibility, "load_tensorrt", lambda _: rtx)
    engine = make(backend="tensorrt", version="10.3.0", device=GPU.devices[0].kind)
    asked: list[Path] = []

    def rebuild(plan: Path, sidecar: EngineSidecar, onnx: Path, here: str) -> EngineSidecar:
        asked.append(plan)
        return dataclasses.replace(sidecar, version=rtx.__version__)

    with pytest.raises(BackendError, match=r"first GPU, which is T4 .*\(CUDA_VISIBLE_DEVICES\)"):
        fit_engine(engine, rebuild, device=1)
    assert asked == []
    both.devices[0] = GPU.devices[0]
    assert fit_engine(engine, rebuild, device=1).rebuilt
