"""The choice among the files of an export, on the CPU that they were timed on and on others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecount.errors import ModelError
from edgecount.runtime.models.choose import choose_onnx
from edgecount.runtime.models.machine import Cpu, this_cpu
from edgecount.runtime.models.open import open_model

HERE = Cpu("one", "x86_64", int8=False)
WITH_INT8 = Cpu("two", "x86_64", int8=True)
UNKNOWN = Cpu("three", "riscv64", int8=None)


def export(folder: Path, times: dict[str, float], **facts: Any) -> Path:
    """Write a folder with a report of files that took so many milliseconds on HERE."""
    files = []
    for name, milliseconds in times.items():
        (folder / name).write_bytes(b"")
        latency = {"latency_ms": {"p50": milliseconds}, "latency_cpu": HERE._asdict()}
        files.append({"file": name, "overridden": False, **latency, **facts.get(name[6:10], {})})
    (folder / "report.json").write_text(json.dumps({"files": files}))
    return folder


def chosen(folder: Path, cpu: Cpu = HERE, device: str = "cpu") -> str:
    choice = choose_onnx(folder, device, cpu)
    assert choice is not None
    assert choice.reason
    return choice.path.name


@pytest.mark.parametrize(
    ("milliseconds", "name"), [(5.0, "model.int8-cpu.onnx"), (9.9, "model.onnx")]
)
def test_the_faster_one_on_the_cpu_of_the_export(
    tmp_path: Path, milliseconds: float, name: str
) -> None:
    export(tmp_path, {"model.onnx": 10.0, "model.int8-cpu.onnx": milliseconds})
    assert chosen(tmp_path) == name


def test_elsewhere_the_instructions_decide(tmp_path: Path) -> None:
    export(tmp_path, {"model.onnx": 10.0, "model.int8-cpu.onnx": 20.0})
    assert chosen(tmp_path, WITH_INT8) == "model.int8-cpu.onnx"
    assert chosen(tmp_path, UNKNOWN) == "model.onnx"
    assert chosen(tmp_path, WITH_INT8, "cuda:0") == "model.onnx"
    (tmp_path / "report.json").unlink()
    assert chosen(tmp_path) == "model.onnx"


def test_a_refused_file_comes_last(tmp_path: Path) -> None:
    times = {"model.onnx": 10.0, "model.int8-cpu.onnx": 2.0}
    export(tmp_path, times, int8={"overridden": True})
    assert chosen(tmp_path) == chosen(tmp_path, WITH_INT8) == "model.onnx"


@pytest.mark.parametrize("report", ["", "[]", '{"files": [3]}', '{"files": 3}', "[" * 10_000])
def test_a_damaged_report_says_nothing(tmp_path: Path, report: str) -> None:
    export(tmp_path, {"model.onnx": 10.0, "model.int8-cpu.onnx": 2.0})
    (tmp_path / "report.json").write_text(report)
    assert chosen(tmp_path) == "model.onnx"


def test_without_a_float32_file(tmp_path: Path) -> None:
    export(tmp_path, {"model.int8-cpu.onnx": 2.0})
    assert chosen(tmp_path) == "model.int8-cpu.onnx"
    (tmp_path / "model.fp16.onnx").touch()
    assert chosen(tmp_path) == "model.int8-cpu.onnx"
    assert chosen(tmp_path, device="cuda:0") == "model.fp16.onnx"


def test_files_of_others_are_not_guessed_from(tmp_path: Path) -> None:
    (tmp_path / "first.onnx").touch()
    assert chosen(tmp_path) == "first.onnx"
    (tmp_path / "second.onnx").touch()
    assert choose_onnx(tmp_path) is None
    with pytest.raises(ModelError, match=r"first.onnx, second.onnx: name one"):
        open_model(tmp_path)


def test_the_cpu_of_linux(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\nflags\t\t: fpu avx_vnni\n")
    assert this_cpu(info)[::2] == ("A CPU @ 2 GHz", True)
    info.write_text("processor\t: 0\nFeatures\t: fp asimd\nModel\t\t: A Board 4\n")
    assert this_cpu(info)[::2] == ("A Board 4", False)
    info.write_text("")
    assert this_cpu(info).int8 is None


BOTH = ("openvino", "onnxruntime")
INT8_RUN = {"backend": "openvino", "precision": "int8", "cpu": HERE._asdict(), "passed": True}
FLOAT_RUN = INT8_RUN | {"precision": "float32"}
HALF_RUN = INT8_RUN | {"precision": "bfloat16"}


def timed(run: dict[str, Any], milliseconds: float) -> dict[str, Any]:
    return run | {"latency_ms": {"p50": milliseconds}}


def run_of(folder: Path, cpu: Cpu = HERE, engines: tuple[str, ...] = BOTH) -> tuple[str, str, str]:
    """Return the file without "model." and ".onnx", the engine and the precision."""
    choice = choose_onnx(folder, "cpu", cpu, engines)
    assert choice is not None
    assert choice.reason
    return choice.path.name[6:-5], choice.backend, choice.precision


@pytest.mark.parametrize(
    ("float32", "bfloat16", "int8", "run"),
    [
        (12.0, None, 5.0, ("int8-cpu", "openvino", "int8")),
        (12.0, None, 9.6, ("", "onnxruntime", "float32")),
        (7.0, None, 6.9, ("", "openvino", "float32")),
        (12.0, 4.0, 5.0, ("", "openvino", "bfloat16")),
        (12.0, 5.0, 4.9, ("", "openvino", "bfloat16")),
        (12.0, 5.0, 3.0, ("int8-cpu", "openvino", "int8")),
    ],
)
def test_the_times_of_both_engines_decide(
    tmp_path: Path,
    float32: float,
    bfloat16: float | None,
    int8: float,
    run: tuple[str, str, str],
) -> None:
    exact = [timed(FLOAT_RUN, float32), *([timed(HALF_RUN, bfloat16)] if bfloat16 else [])]
    facts = {"onnx": {"engines": exact}, "int8": {"engines": [timed(INT8_RUN, int8)]}}
    export(tmp_path, {"model.onnx": 10.0, "model.int8-cpu.onnx": 11.0}, **facts)
    assert run_of(tmp_path) == run
    assert run_of(tmp_path, engines=("onnxruntime",)) == ("", "onnxruntime", "float32")


def test_where_an_engine_was_not_timed_its_instructions_decide(tmp_path: Path) -> None:
    export(tmp_path, {"model.onnx": 10.0, "model.int8-cpu.onnx": 20.0})
    on_arm = Cpu("four", "aarch64", int8=False)
    assert run_of(tmp_path) == ("int8-cpu", "openvino", "int8")
    assert run_of(tmp_path, WITH_INT8) == ("int8-cpu", "openvino", "int8")
    assert run_of(tmp_path, on_arm) == ("", "onnxruntime", "float32")
    assert run_of(tmp_path, UNKNOWN) == ("", "onnxruntime", "float32")
    assert run_of(tmp_path, UNKNOWN, ("openvino",)) == ("", "openvino", "float32")
    assert run_of(tmp_path, WITH_INT8, ("onnxruntime",)) == ("int8-cpu", "onnxruntime", "int8")


def test_a_time_of_another_cpu_says_nothing(tmp_path: Path) -> None:
    facts = {"onnx": {"engines": [timed(FLOAT_RUN, 1.0), timed(HALF_RUN, 0.1)]}}
    export(tmp_path, {"model.onnx": 10.0, "model.int8-cpu.onnx": 20.0}, **facts)
    assert run_of(tmp_path, WITH_INT8) == ("int8-cpu", "openvino", "int8")
    assert run_of(tmp_path, UNKNOWN) == ("", "onnxruntime", "float32")


def test_what_counted_wrongly_on_an_engine_is_not_run_on_it(tmp_path: Path) -> None:
    wrong = {"passed": False}
    facts = {
        "onnx": {"engines": [timed(FLOAT_RUN, 8.0), timed(HALF_RUN, 2.0) | wrong]},
        "int8": {"engines": [timed(INT8_RUN, 1.0) | wrong]},
    }
    export(tmp_path, {"model.onnx": 10.0, "model.int8-cpu.onnx": 5.0}, **facts)
    assert run_of(tmp_path) == ("int8-cpu", "onnxruntime", "int8")
    assert run_of(tmp_path, engines=("openvino",)) == ("", "openvino", "float32")
    assert run_of(tmp_path, WITH_INT8) == ("int8-cpu", "onnxruntime", "int8")
    (tmp_path / "model.onnx").unlink()
    assert run_of(tmp_path) == ("int8-cpu", "onnxruntime", "int8")
    assert run_of(tmp_path, engines=("openvino",)) == ("int8-cpu", "openvino", "int8")


def test_a_file_refused_by_its_gate_is_run_by_no_engine(tmp_path: Path) -> None:
    facts = {"int8": {"overridden": True, "engines": [timed(INT8_RUN, 1.0)]}}
    export(tmp_path, {"model.onnx": 10.0, "model.int8-cpu.onnx": 2.0}, **facts)
    assert run_of(tmp_path) == ("", "onnxruntime", "float32")


@pytest.mark.parametrize(
    "entries",
    [
        3,
        {},
        [3],
        [{}],
        [INT8_RUN | {"precision": ["int8"]}],
        [INT8_RUN | {"backend": 3}],
        [INT8_RUN | {"passed": "yes"}],
        [timed(INT8_RUN, float("nan"))],
        [timed(INT8_RUN, -1.0)],
        [INT8_RUN | {"latency_ms": 3}],
    ],
)
def test_damaged_facts_of_engines_say_nothing(tmp_path: Path, entries: Any) -> None:
    export(tmp_path, {"model.onnx": 10.0, "model.int8-cpu.onnx": 20.0}, int8={"engines": entries})
    assert run_of(tmp_path, engines=("onnxruntime",)) == ("", "onnxruntime", "float32")
    assert run_of(tmp_path)[2] in ("int8", "float32")


def test_on_other_devices_the_first_engine_runs_the_exact_file(tmp_path: Path) -> None:
    export(tmp_path, {"model.onnx": 10.0, "model.int8-cpu.onnx": 2.0})
    choice = choose_onnx(tmp_path, "gpu", HERE, ("openvino-gpu",))
    assert choice is not None
    assert (choice.path.name, choice.backend) == ("model.onnx", "openvino-gpu")


def test_weights_of_float16_are_computed_in_float32_by_openvino(tmp_path: Path) -> None:
    export(tmp_path, {"model.fp16.onnx": 10.0})
    assert run_of(tmp_path, engines=("openvino",)) == ("fp16", "openvino", "float32")
    assert run_of(tmp_path, engines=("onnxruntime",)) == ("fp16", "onnxruntime", "float16")
