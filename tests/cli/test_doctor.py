"""`doctor` and its checks on this machine; those of boards are in test_doctor_jetson.py."""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path

import pytest

from edgecount.cli._doctor import commands, counting, engines, jetson, machine, openvino, video
from edgecount.cli._doctor.check import Check
from edgecount.cli._doctor.commands import Answer
from edgecount.cli._doctor.run import run_checks
from edgecount.runtime.backends.proofs import Proof, keep_proof
from edgecount.runtime.cuda.driver import ask_driver

NAMES = [
    "python",
    "system",
    "cpu",
    "board",
    "memory",
    "edgecount",
    "gpu",
    "onnxruntime",
    "openvino",
    "tensorrt",
    "opencv",
    "pyav",
    "counting",
]


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_doctor_here(run):
    result = run("doctor", "--json")
    checks = json.loads(result.stdout)
    assert [check["name"] for check in checks if check["name"] in NAMES] == NAMES
    assert result.exit_code == 0, checks
    assert not [check for check in checks if check["status"] == "fail"]


def test_text_has_a_line_per_check_and_advice_below(run, monkeypatch):
    checks = [Check("one", "ok", "fine"), Check("two", "warn", "poor", "do this\nor that")]
    monkeypatch.setattr("edgecount.cli._doctor.run.run_checks", lambda model: checks)
    result = run("doctor")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["ok", "one", "fine"],
        ["warn", "two", "poor"],
        ["->", "do", "this"],
        ["->", "or", "that"],
    ]


def test_failure_is_exit_code_1(run, monkeypatch):
    monkeypatch.setattr(
        "edgecount.cli._doctor.run.run_checks", lambda model: [Check("one", "fail", "bad", "fix")]
    )
    assert run("doctor").exit_code == 1


def test_no_engine_is_a_failure_with_the_pip_command(monkeypatch, tiny_model):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    monkeypatch.setattr(engines, "_version", lambda package: None)
    missing = engines.onnxruntime(engines.Runtime(problem="No module named 'onnxruntime'"))
    assert missing.status == "fail"
    assert "edgecount[cpu]" in missing.advice
    check = counting.counting(str(tiny_model))
    assert check.status == "fail"
    assert "edgecount[cpu]" in check.found


def test_with_a_gpu_onnxruntime_may_be_missing(monkeypatch):
    monkeypatch.setattr(engines, "has_gpu", lambda: True)
    assert engines.onnxruntime(engines.Runtime(problem="missing")).status == "warn"


def test_with_openvino_onnxruntime_may_be_missing(monkeypatch):
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    installed = {"openvino": "2026.4.1"}
    monkeypatch.setattr(engines, "_version", installed.get)
    assert engines.onnxruntime(engines.Runtime(problem="missing")).status == "warn"
    assert engines.onnxruntime(engines.Runtime(problem="x", crashes=True)).status == "fail"


def test_openvino_tells_what_auto_computes_in(monkeypatch, tmp_path):
    pytest.importorskip("openvino", reason="openvino is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    check = openvino.openvino()
    assert check.status == "ok"
    assert " with CPU (" in check.found
    assert check.found.endswith("no proofs held")
    keep_proof(Proof("a.onnx", "openvino", "bfloat16", {"model": "0"}, True, "near"))
    facts = {"version": "2030.1", "faster": "bfloat16", "devices": {"CPU": ["Xeon", ["BF16"]]}}
    check = openvino.openvino(lambda *_, **__: Answer(True, json.dumps(facts)))
    assert check.found == (
        "2030.1 with CPU (Xeon: BF16); auto computes float32 models in bfloat16 where its counts "
        "were proven; proofs held: a.onnx in bfloat16 passed"
    )
    keep_proof(Proof("a.onnx", "openvino", "bfloat16", {"model": "1"}, True, "near"))
    assert openvino.openvino().found.endswith("held: a.onnx in bfloat16 passed (2 files)")


@pytest.mark.parametrize("answer", [Answer(False, "libfoo.so: none"), Answer(True, "{}")])
def test_an_openvino_that_does_not_load(monkeypatch, answer):
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2026.4.1")
    check = openvino.openvino(lambda *_, **__: answer)
    assert check.status == "warn"
    assert "does not load" in check.found
    assert "edgecount[openvino]" in check.advice


def test_onnxruntime_that_ends_the_process(monkeypatch, tiny_model, tmp_path):
    """As an illegal instruction does: doctor goes on, and does not try to count."""
    write(tmp_path, {"onnxruntime.py": "import os; os.abort()\n"})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    checks = {check.name: check for check in run_checks(str(tiny_model), tmp_path)}
    assert checks["onnxruntime"].status == "fail"
    assert "ended by signal 6" in checks["onnxruntime"].found
    assert checks["counting"].found.startswith("not tried")


def test_onnxruntime_here():
    found = engines.try_onnxruntime()
    assert "CPU" in found.providers
    assert not found.crashes


def test_a_provider_that_is_listed_is_tried(monkeypatch):
    """Without its libraries it is listed all the same, and what it runs ends on the CPU."""
    monkeypatch.setattr(engines, "has_gpu", lambda: True)
    answers = [
        Answer(True, "1.20 CUDAExecutionProvider CPUExecutionProvider"),
        Answer(False, "onnxruntime could not start CUDAExecutionProvider"),
    ]
    found = engines.try_onnxruntime(lambda *_, **__: answers.pop(0))
    assert found.providers == ("CUDA", "CPU")
    assert found.cuda_problem == "onnxruntime could not start CUDAExecutionProvider"
    assert not found.crashes
    answers = [Answer(True, "1.20 CUDAExecutionProvider"), Answer(False, "signal 11", crashed=True)]
    assert engines.try_onnxruntime(lambda *_, **__: answers.pop(0)).crashes
    answers = [Answer(True, "1.20 CUDAExecutionProvider"), Answer(True, "")]
    assert not engines.try_onnxruntime(lambda *_, **__: answers.pop(0)).cuda_problem


def test_a_frame_is_counted_on_the_gpu_or_the_reason_given():
    tried = engines.try_cuda()
    assert tried.ok or "NVIDIA" in tried.text or "CUDAExecutionProvider" in tried.text
    assert not tried.text.startswith("edgecount.errors.")


def test_both_packages_of_onnxruntime(monkeypatch):
    monkeypatch.setattr(engines, "_version", lambda _name: "1.20")
    check = engines.onnxruntime(engines.Runtime("1.20", ("CPU",)))
    assert check.status == "warn"
    assert check.found.endswith("from onnxruntime and onnxruntime-gpu")
    assert "gpu brings the one and cpu, engine and export" in check.advice


def test_a_missing_model_is_a_failure():
    assert counting.counting("no-such-model").status == "fail"


def test_a_check_that_breaks_does_not_stop_the_others(monkeypatch, tiny_model, tmp_path):
    def explode():
        raise RuntimeError("boom")

    monkeypatch.setattr(machine, "cpu", explode)
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    checks = run_checks(str(tiny_model), tmp_path)
    assert [check.name for check in checks] == NAMES
    assert checks[2].status == "fail"
    assert "boom" in checks[2].found


def test_a_pc_without_a_gpu_is_asked_for_nothing(monkeypatch, tiny_model, tmp_path):
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    write(tmp_path, {"proc/device-tree/model": "Raspberry Pi 5 Model B\0"})
    checks = run_checks(str(tiny_model), tmp_path)
    assert [check.name for check in checks] == NAMES
    assert not [check for check in checks if check.advice and check.name != "counting"]
    assert jetson.board(tmp_path).found == "Raspberry Pi 5 Model B"


def test_cpu_of_an_arm_board(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nFeatures\t: fp asimd crc32 asimddp\n")
    assert "asimd asimddp" in machine.cpu(info).found


def test_pyav_is_missed(monkeypatch):
    assert video.pyav().status == "ok"
    monkeypatch.setitem(sys.modules, "av", None)
    check = video.pyav()
    assert check.status == "warn"
    assert "pip install av" in check.advice


def test_opencv_lists_only_what_it_has(tmp_path):
    write(tmp_path, {"etc/nv_tegra_release": "# R36 (release), REVISION: 4.3"})
    cv2 = pytest.importorskip("cv2")
    gstreamer = "GStreamer:                   YES" in cv2.getBuildInformation()
    check = video.opencv(tmp_path)
    assert check.status == "ok"
    assert ("no GStreamer" in check.found) is not gstreamer
    assert ("GSTREAMER" in check.found) is gstreamer


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("numpy.core.multiarray failed to import", 'pip install "numpy<2"'),
        ("libGL.so.1: cannot open shared object file", "headless"),
    ],
)
def test_opencv_that_does_not_load(monkeypatch, tmp_path, error, words):
    write(tmp_path, {"cv2.py": f"raise ImportError({error!r})\n"})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    check = video.opencv(tmp_path)
    assert check.status == "fail"
    assert error in check.found
    assert words in check.advice


def test_programs_that_do_not_answer():
    python = sys.executable
    assert commands.ask(python, "-c", "print(' yes ')") == Answer(True, "yes")
    assert commands.ask("/no/such/program") == Answer(False, "No such file or directory")
    assert not commands.ask(python, "-c", "import time; time.sleep(60)", timeout=0.1).ok
    failed = commands.ask(python, "-c", "raise SystemExit('first\\nlast')")
    assert failed == Answer(False, "last")
    killed = commands.ask(python, "-c", "import os; os.kill(os.getpid(), 9)")
    assert killed == Answer(False, "it was ended by signal 9", crashed=True)


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
        value._obj.value = {75: 8, 76: 7, 16: 16}[attribute]

    def cuDeviceTotalMem_v2(self, memory, _handle):  # noqa: N802
        memory._obj.value = 8 * 2**30


def test_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeCuda())
    assert engines.gpu(tmp_path) == Check("gpu", "ok", "Orin (sm_87, 8 GiB), driver for CUDA 13.2")


def test_driver_without_a_device(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeCuda(100))
    assert ask_driver() == "the NVIDIA driver does not start (CUDA_ERROR_NO_DEVICE)"


def test_no_driver(monkeypatch, tmp_path):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert engines.gpu(tmp_path).status == "ok"
    assert engines.gpu(tmp_path).found.startswith("none: no NVIDIA driver")
