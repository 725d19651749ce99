"""`doctor` and its checks."""

from __future__ import annotations

import ctypes
import json
import sys

import pytest

from edgecount.cli import _doctor
from edgecount.cli._doctor import Check, counting, engines, machine
from edgecount.runtime.cuda_driver import ask_driver

NAMES = [
    "python",
    "system",
    "cpu",
    "board",
    "edgecount",
    "gpu",
    "onnxruntime",
    "tensorrt",
    "opencv",
    "counting",
]


def test_doctor_here(run):
    result = run("doctor", "--json")
    checks = json.loads(result.stdout)
    assert [check["name"] for check in checks] == NAMES
    assert result.exit_code == 0, checks
    assert not [check for check in checks if check["status"] == "fail"]


def test_text_has_a_line_per_check_and_advice_below(run, monkeypatch):
    checks = [Check("one", "ok", "fine"), Check("two", "warn", "poor", "do this")]
    monkeypatch.setattr(_doctor, "run_checks", lambda model: checks)
    result = run("doctor")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["ok", "one", "fine"],
        ["warn", "two", "poor"],
        ["->", "do", "this"],
    ]


def test_failure_is_exit_code_1(run, monkeypatch):
    monkeypatch.setattr(_doctor, "run_checks", lambda model: [Check("one", "fail", "bad", "fix")])
    assert run("doctor").exit_code == 1


def test_no_engine_is_a_failure_with_the_pip_command(monkeypatch, tiny_model):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert engines.onnxruntime().status == "fail"
    assert "edgecount[cpu]" in engines.onnxruntime().advice
    check = counting.counting(str(tiny_model))
    assert check.status == "fail"
    assert "edgecount[cpu]" in check.found


def test_a_missing_model_is_a_failure():
    assert counting.counting("no-such-model").status == "fail"


def test_a_check_that_breaks_does_not_stop_the_others(monkeypatch, tiny_model):
    def explode():
        raise RuntimeError("boom")

    monkeypatch.setattr(machine, "cpu", explode)
    checks = _doctor.run_checks(str(tiny_model))
    assert [check.name for check in checks] == NAMES
    assert checks[2].status == "fail"
    assert "boom" in checks[2].found


@pytest.mark.parametrize(
    ("release", "status", "words"),
    [
        ("# R36 (release), REVISION: 4.3, GCID: 38968081", "ok", "L4T 36.4.3, JetPack 6.1 or 6.2"),
        ("# R36 (release), REVISION: 3.0, GCID: 36106755", "ok", "JetPack 6.0"),
        ("# R38 (release), REVISION: 2.0, GCID: 1", "ok", "JetPack 7"),
        ("# R35 (release), REVISION: 4.1, GCID: 1", "warn", "JetPack 5"),
        ("# R32 (release), REVISION: 7.1, GCID: 1", "warn", "JetPack 4 or older"),
        ("gibberish", "warn", "not understood"),
    ],
)
def test_jetson(tmp_path, release, status, words):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text(release)
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"NVIDIA Jetson Orin Nano\0")
    check = machine.board(tmp_path)
    assert check.status == status
    assert check.found.startswith("NVIDIA Jetson Orin Nano, ")
    assert words in check.found


def test_a_machine_that_is_no_jetson(tmp_path):
    assert machine.board(tmp_path) == Check("board", "ok", "not a Jetson")


def test_cpu_of_an_arm_board(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nFeatures\t: fp asimd crc32 asimddp\n")
    assert "asimd asimddp" in machine.cpu(info).found


class FakeCuda:
    """libcuda with one GPU."""

    def __init__(self, code: int = 0) -> None:
        self.code = code

    def cuInit(self, _flags):  # noqa: N802
        return self.code

    def cuGetErrorName(self, _code, name):  # noqa: N802
        name._obj.value = b"CUDA_ERROR_NO_DEVICE"

    def cuDriverGetVersion(self, version):  # noqa: N802
        version._obj.value = 13020

    def cuDeviceGetCount(self, number):  # noqa: N802
        number._obj.value = 1

    def cuDeviceGet(self, handle, index):  # noqa: N802
        handle._obj.value = index

    def cuDeviceGetName(self, name, _size, _handle):  # noqa: N802
        name.value = b"Orin"

    def cuDeviceGetAttribute(self, value, attribute, _handle):  # noqa: N802
        value._obj.value = {75: 8, 76: 7}[attribute]

    def cuDeviceTotalMem_v2(self, memory, _handle):  # noqa: N802
        memory._obj.value = 8 * 2**30


def test_gpu(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeCuda())
    assert engines.gpu() == Check("gpu", "ok", "Orin (sm_87, 8 GiB), driver for CUDA 13.2")


def test_driver_without_a_device(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeCuda(100))
    assert ask_driver() == "the NVIDIA driver does not start (CUDA_ERROR_NO_DEVICE)"


def test_no_driver(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert engines.gpu().status == "ok"
    assert engines.gpu().found.startswith("none: no NVIDIA driver")
