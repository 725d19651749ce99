"""`--device`: the GPU, or several, that the commands hand to their counter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from edgecount import _ext, _latency, counter
from edgecount.cli._bench.combinations import _gpu_bytes
from edgecount.cli._shell.group import USAGE
from edgecount.errors import EdgeCountError

NOT_HERE = "edgecount: error: --device: CUDA device 1 was asked for, and onnxruntime runs on cpu"
CPU = ("--backend", "onnxruntime")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Open every counter on the CPU; return the devices that were asked for."""
    devices: list[Any] = []
    real = counter.open_settings

    def open_settings(*args: Any, device: int | Sequence[int] | None, **options: Any) -> Any:
        devices.append(device)
        return real(*args, device=None, **options)

    monkeypatch.setattr(counter, "open_settings", open_settings)
    return devices


@pytest.mark.parametrize(("text", "device"), [("1", 1), ("0,1", (0, 1)), ("2,0", (2, 0))])
def test_one_gpu_or_several(run, files, asked, text: str, device: object) -> None:
    result = run("count", files.image("one.png", 1), *CPU, "--device", text)
    assert (result.exit_code, result.stderr) == (0, "")
    assert asked == [device]


def test_none_is_asked_for_unless_told(run, files, asked) -> None:
    run("count", files.image("one.png", 1), *CPU)
    assert asked == [None]


@pytest.mark.parametrize("text", ["-1", "x", "", "1,", "0,0", "1.5", "9999", "cuda:1", "0, 1", "²"])
def test_what_names_no_gpu_is_a_usage_error(run, files, text: str) -> None:
    result = run("count", files.image("one.png", 1), f"--device={text}")
    assert result.exit_code == USAGE
    assert "Invalid value for '--device': expected " in result.stderr
    assert repr(text) in result.stderr


def test_tables_of_archives(run, files, asked, tmp_path) -> None:
    """Whichever GPU counts them, they are the same table."""
    files.image("in/a.png", 1)
    table = (tmp_path / "in", "--out", tmp_path / "out", "--format", "jsonl", *CPU)
    assert run("count", *table, "--device", "1", "--shard", "1/1").exit_code == 0
    files.image("in/b.png", 2)
    assert run("count", *table, "--device", "0,2").exit_code == 0
    assert asked == [1, (0, 2)]


def test_bench(run, tiny_model, asked) -> None:
    few = ("--runs", "2", "--size", "96x128", "--threads", "1", *CPU)
    assert run("bench", tiny_model, *few, "--device", "0,1").exit_code == 0
    assert set(asked) == {(0, 1)}


def test_label(run, tiny_model, asked, monkeypatch, tmp_path) -> None:
    from edgecount import label

    class Server:
        def __init__(self, *_: Any, open_counter: Any, **__: Any) -> None:
            open_counter(0.5).close()
            raise EdgeCountError("that is all")

    monkeypatch.setattr(label, "LabelServer", Server)
    result = run("label", tmp_path, "--model", tiny_model, *CPU, "--device", "3")
    assert "that is all" in result.stderr
    assert asked == [3]


@pytest.mark.parametrize("command", ["count", "bench", "eval"])
def test_a_gpu_where_the_engine_runs_on_the_cpu(run, files, tiny_model, command: str) -> None:
    if command == "eval":
        pytest.importorskip("torch", reason="torch is not installed")
    picture = files.image("one.png", 1)
    arguments = {
        "count": (picture,),
        "bench": (tiny_model, "--size", "96x128"),
        "eval": (tiny_model, picture.parent, "--reader", "empty"),
    }
    result = run(command, *arguments[command], *CPU, "--device", "1")
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(NOT_HERE)


def test_eval_of_a_checkpoint(run, files, tmp_path) -> None:
    """It runs in PyTorch, on whichever GPU that takes."""
    pytest.importorskip("torch", reason="torch is not installed")
    pictures, checkpoint = files.image("set/a.png", 0).parent, tmp_path / "best.pt"
    checkpoint.touch()
    result = run("eval", checkpoint, pictures, "--reader", "empty", "--device", "1")
    assert result.exit_code == USAGE
    assert "--device: a checkpoint runs on the first GPU, or the CPU, got 1: set" in result.stderr


def test_memory_is_that_of_the_gpus_in_use(monkeypatch) -> None:
    monkeypatch.setattr(_ext, "cuda_device_count", lambda: 2)
    memory = {0: (90, 100), 1: (70, 100)}
    monkeypatch.setattr(_ext, "device_memory", memory.__getitem__, raising=False)
    assert _latency.gpu_bytes() == 10
    assert _gpu_bytes(None) == 10
    assert _gpu_bytes(1) == 30
    assert _gpu_bytes((0, 1)) == 40
    assert _gpu_bytes(2) is None  # which the counter's error names
