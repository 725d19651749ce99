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
