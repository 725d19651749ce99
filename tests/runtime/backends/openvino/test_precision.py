"""Faster precisions: asked for by name, or taken where their counts were proven."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount import EdgeCounter, _proof
from edgecount._proof import prove
from edgecount.errors import BackendError, ConfigError
from edgecount.runtime.backends import proofs
from edgecount.runtime.backends.base import Backend
from edgecount.runtime.backends.proofs import Proof, find_proof, keep_proof, list_proofs
from edgecount.runtime.backends.select import open_backend
from edgecount.runtime.models.machine import this_cpu
from edgecount.runtime.models.open import open_model

pytest.importorskip("openvino", reason="openvino is not installed")

from edgecount.runtime.backends import onnx_run
from edgecount.runtime.backends.openvino import backend as openvino_backend
from edgecount.runtime.backends.openvino import library, precision
from edgecount.runtime.backends.openvino.backend import OpenVinoBackend

Verdict = tuple[bool, str]


@pytest.fixture(autouse=True)
def own_proofs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let OpenVINO say that it computes in bfloat16; return the hints that it is given.

    On a CPU without it OpenVINO computes in float32 all the same, so that what comes out is right,
    and all around the engine is tested. Real bfloat16 is tested where there is some.
    """
    hints: list[str] = []
    properties = openvino_backend.compile_properties

    def note(device: str, wanted: str, *args: Any, **more: Any) -> dict[str, Any]:
        hints.append(precision.hint(wanted))
        return properties(device, wanted, *args, **more)

    real = library.capabilities("CPU")
    monkeypatch.setattr(library, "capabilities", lambda _: real | {"BF16"})
    monkeypatch.setattr(openvino_backend, "compile_properties", note)
    monkeypatch.setattr(
        openvino_backend,
        "computed_in",
        lambda _: "bfloat16" if hints[-1] == "bf16" else "float32",
    )
    monkeypatch.setattr(onnx_run, "may_have_half_precision", lambda: True)
    return hints


class Judge:
    """Proves what it is told to, and notes what it was asked."""

    def __init__(self, passed: bool) -> None:
        self.passed = passed
        self.asked: list[tuple[str, str, float]] = []

    def __call__(self, exact: Backend, faster: Backend, _: Any, gate: float) -> Verdict:
        self.asked.append((exact.precision, faster.precision, gate))
        return self.passed, "its counts differ by 0.70% of the mean count"


def opened(path: Path, judge: Judge | None, **options: Any) -> tuple[str, str]:
    with open_backend(open_model(path), prove=judge, **options).backend as backend:
        return backend.name, backend.precision


def test_a_proven_precision_is_taken_and_proven_once(
    bfloat16: list[str], tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    judge = Judge(True)
    with caplog.at_level(logging.INFO):
        assert opened(tiny_model, judge) == ("openvino", "bfloat16")
    assert "precision bfloat16 with openvino" in caplog.text
    assert judge.asked == [("float32", "bfloat16", 0.005)]
    assert opened(tiny_model, judge) == ("openvino", "bfloat16")
    assert opened(tiny_model, judge, backend="openvino") == ("openvino", "bfloat16")
    assert opened(tiny_model, None) == ("openvino", "bfloat16")
    assert len(judge.asked) == 1
    assert opened(tiny_model, judge, precision="float32") == ("onnxruntime", "float32")
    assert opened(tiny_model, judge, precision="float32", backend="openvino") == (
        "openvino",
        "float32",
    )
    (proof,) = list_proofs()
    assert (proof.file, proof.precision, proof.passed) == ("tiny.onnx", "bfloat16", True)


def test_a_refused_precision_stays_float32_and_says_by_how_much(
    bfloat16: list[str], tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    judge = Judge(False)
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            assert opened(tiny_model, judge) == ("onnxruntime", "float32")
            assert opened(tiny_model, judge, backend="openvino") == ("openvino", "float32")
        assert "bfloat16 with openvino is not used: its counts differ by 0.70%" in caplog.text
    assert len(judge.asked) == 1


def test_without_a_prover_nothing_unproven_is_taken(bfloat16: list[str], tiny_model: Path) -> None:
    assert opened(tiny_model, None) == ("onnxruntime", "float32")
    assert not list_proofs()


def test_a_damaged_proof_is_made_anew(bfloat16: list[str], tiny_model: Path) -> None:
    judge = Judge(True)
    opened(tiny_model, judge)
    folder = proofs._folder()
    assert folder is not None
    (path,) = folder.iterdir()
    for text in ("", "{", "[]", "{}", path.read_text().replace("true", "7"), "\0" * 99):
        path.write_text(text)
        assert not list_proofs()
        opened(tiny_model, judge)
        assert len(list_proofs()) == 1
    assert len(judge.asked) == 7
    # Of another model's key: a file that was moved proves nothing.
    path.write_text(path.read_text().replace('"model": "', '"model": "0'))
    opened(tiny_model, judge)
    assert len(judge.asked) == 8


def test_a_proof_that_cannot_be_kept_counts_now(
    bfloat16: list[str],
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    judge = Judge(True)
    assert opened(tiny_model, judge) == ("openvino", "bfloat16")
    assert "the proof of bfloat16 is not kept" in caplog.text
    monkeypatch.setattr(proofs, "user_cache", lambda: None)
    assert opened(tiny_model, judge) == ("openvino", "bfloat16")
    assert (find_proof({}), list_proofs()) == (None, [])


def _exported(tiny_model: Path, folder: Path, **entry: Any) -> Path:
    folder.mkdir()
    shutil.copy(tiny_model, folder / "model.onnx")
    cpu = this_cpu()._asdict()
    run = {"backend": "openvino", "precision": "bfloat16", "version": library.version(), "cpu": cpu}
    engines = [
        run | {"latency_ms": {"p50": 1.0}, "passed": True} | entry,
        run | {"precision": "float32", "latency_ms": {"p50": 3.0}, "passed": True},
    ]
    facts = {"file": "model.onnx", "latency_ms": {"p50": 2.0}, "latency_cpu": cpu}
    report = {"files": [facts | {"engines": engines}]}
    (folder / "report.json").write_text(json.dumps(report))
    return folder


def test_the_export_s_proof_is_enough(
    bfloat16: list[str], tiny_model: Path, tmp_path: Path
) -> None:
    judge = Judge(False)
    good = _exported(tiny_model, tmp_path / "good")
    assert opened(good, judge) == ("openvino", "bfloat16")
    bad = _exported(tiny_model, tmp_path / "bad", passed=False)
    assert opened(bad, judge) == ("onnxruntime", "float32")
    assert judge.asked == []
    for name, change in (("old", {"version": "1.0"}), ("other", {"cpu": {"name": "x"}})):
        folder = _exported(tiny_model, tmp_path / name, **change)
        assert opened(folder, judge) == ("onnxruntime", "float32")
    assert len(judge.asked) == 1  # of the same file, asked for twice


def test_the_export_s_proof_is_of_its_own_file(
    bfloat16: list[str], tiny_model: Path, tmp_path: Path
) -> None:
    folder, judge = _exported(tiny_model, tmp_path / "export"), Judge(False)
    report = json.loads((folder / "report.json").read_text())
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    for found, expected in ((digest, "bfloat16"), ("0" * 64, "float32")):
        report["files"][0]["sha256"] = found
        (folder / "report.json").write_text(json.dumps(report))
        assert opened(folder, judge)[1] == expected
    assert len(judge.asked) == 1


def test_int8_of_a_folder_is_proven_against_its_float32(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if this_cpu().machine not in ("x86_64", "AMD64"):
        pytest.skip("by rule on x86 alone")
    shutil.copy(tiny_model, tmp_path / "model.onnx")
    shutil.copy(tiny_model, tmp_path / "model.int8-cpu.onnx")
    judge = Judge(False)
    with caplog.at_level(logging.INFO):
        assert opened(tmp_path, judge)[0] == "onnxruntime"
        assert opened(tmp_path, judge, backend="openvino") == ("openvino", "float32")
    assert judge.asked == [("float32", "int8", 0.03)]
    assert "int8 with openvino is not used: its counts differ" in caplog.text
    for proof in list_proofs():
        keep_proof(Proof(**{**vars(proof), "passed": True}))
    assert opened(tmp_path, judge) == ("openvino", "int8")


def test_a_precision_by_name_is_that_or_an_error(tiny_model: Path) -> None:
    real = [name for name in ("bfloat16", "float16") if name in precision.computes_in()]
    for name in ("bfloat16", "float16"):
        if name in real:
            assert opened(tiny_model, None, backend="openvino", precision=name)[1] == name
            continue
        for backend in ("auto", "openvino"):
            with pytest.raises(BackendError, match=rf"^precision: {name} was asked for, .* only"):
                opened(tiny_model, None, backend=backend, precision=name)
    with pytest.raises(BackendError, match=r"onnxruntime computes .* in float32: leave precision"):
        opened(tiny_model, None, backend="onnxruntime", precision="float16")
    with pytest.raises(ConfigError, match=r"expected one of auto, float32, bfloat16, float16, got"):
        opened(tiny_model, None, precision="int4")


def test_a_hint_that_is_not_followed_is_an_error(
    bfloat16: list[str], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CPU without bfloat16 takes float32 without a word."""
    monkeypatch.setattr(openvino_backend, "computed_in", lambda _: "float32")
    with pytest.raises(BackendError, match=r"bfloat16 was asked for, and openvino computes in flo"):
        opened(tiny_model, None, backend="openvino", precision="bfloat16")
    judge = Judge(True)
    assert opened(tiny_model, judge) == ("onnxruntime", "float32")
    assert judge.asked == []


def test_what_this_cpu_computes_in_is_what_is_read_back(tiny_model: Path) -> None:
    for name in precision.computes_in():
        with OpenVinoBackend(open_model(tiny_model), precision=name) as backend:
            assert backend.precision == name
    core, model = library.core(), library.core().read_model(str(tiny_model))
    lacks = {"bfloat16", "float16"} - set(precision.computes_in())
    for name in lacks:
        hint = {"INFERENCE_PRECISION_HINT": precision.hint(name)}
        assert precision.computed_in(core.compile_model(model, "CPU", hint)) != name


def test_own_backends_say_what_they_compute_in(tiny_model: Path) -> None:
    class Own(Backend):
        name, precision = "own", "bfloat16"

        def infer(self, inputs: Any) -> dict[str, NDArray[Any]]:
            raise NotImplementedError

        def close(self) -> None:
            pytest.fail("it is the caller's")

    EdgeCounter(tiny_model, backend=Own(), precision="bfloat16").close()
    with pytest.raises(BackendError, match=r"float32 was asked for, and own computes"):
        EdgeCounter(tiny_model, backend=Own(), precision="float32")


class Scaled(OpenVinoBackend):
    """An engine whose density is off by a factor."""

    factor = 1.0

    def infer(self, inputs: Any) -> dict[str, NDArray[Any]]:
        maps = super().infer(inputs)
        return {k: (v * self.factor).astype(v.dtype) for k, v in maps.items()}


@pytest.mark.parametrize(
    ("factor", "gate", "passed", "told"),
    [
        (1.0, 0.005, True, {"its counts", "its head points"}),
        (1.004, 0.005, True, {"its counts", "its head points"}),
        (1.004, 0.0001, False, {"its counts"}),
        (1.2, 0.03, False, {"its counts", "its head points"}),
        (np.nan, 0.03, False, set()),
    ],
)
def test_the_proof_is_by_counts_of_rendered_scenes(
    factor: float, gate: float, passed: bool, told: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_proof, "_PEOPLE", (5, 12, 0))
    monkeypatch.setattr(_proof, "_SIZE", (320, 240))
    model = open_model("edgecount-n")
    with OpenVinoBackend(model) as exact, Scaled(model) as faster:
        faster.factor = factor
        found, text = prove(exact, faster, model.manifest, gate)
    assert found is passed
    assert "rendered scenes" in text
    # Of what failed alone: what is within its limit is no reason against an engine.
    assert {what for what in ("its counts", "its head points") if what in text} == told


def test_scenes_in_which_a_model_sees_nobody_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_proof, "_PEOPLE", (0, 0))
    monkeypatch.setattr(_proof, "_SIZE", (320, 240))
    model = open_model("edgecount-n")
    with OpenVinoBackend(model) as engine:
        found, text = prove(engine, engine, model.manifest, 0.03)
    assert not found
    assert "too few to compare" in text
