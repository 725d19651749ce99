"""Messages about the NVIDIA driver, with and without one."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edgecount import _ext
from edgecount.errors import BackendError
from edgecount.runtime.cuda import driver
from edgecount.runtime.cuda.driver import (
    FORKED,
    Device,
    Driver,
    PrimaryContext,
    ask_driver,
    probe_driver,
    why_no_gpu,
)


def test_the_driver_is_there_or_a_reason_is() -> None:
    answer = probe_driver()
    if isinstance(answer, str):
        assert "driver" in answer
        assert why_no_gpu() == answer
    else:
        assert answer.devices


def test_a_driver_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "ask_driver", lambda: Driver("13.0", []))
    assert probe_driver() == "the NVIDIA driver shows no GPU"


def test_an_extension_without_cuda_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Driver("13.0", [Device("RTX 4090", "8.9", 2**34, 128)])
    monkeypatch.setattr(driver, "ask_driver", lambda: gpu)
    monkeypatch.setattr(_ext, "cuda_built", False)
    reason = why_no_gpu()
    assert reason is not None
    assert "CMAKE_ARGS=-DEDGECOUNT_CUDA=ON" in reason
    assert "nvcc" in reason


def test_a_gpu_that_cuda_does_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Driver("13.0", [Device("RTX 4090", "8.9", 2**34, 128)])
    monkeypatch.setattr(driver, "ask_driver", lambda: gpu)
    monkeypatch.setattr(_ext, "cuda_built", True)
    monkeypatch.setattr(_ext, "cuda_device_count", lambda: 0)
    reason = why_no_gpu()
    assert reason is not None
    assert "RTX 4090" in reason
    assert "CUDA_VISIBLE_DEVICES" in reason


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ctypes.CDLL:
    """Compile a driver that counts how deep its contexts lie, and has GPU 0 only."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for the stub")
    (tmp_path / "cuda.c").write_text(
        'static int depth; static const char* name = "CUDA_ERROR_INVALID_DEVICE";\n'
        "int depth_now(void) { return depth; }\n"
        "int started;\n"
        "static int ready;\n"
        "int cuInit(unsigned flags) { ready = 1; return started; }\n"
        "int cuDriverGetVersion(int* version) { *version = 12060; return 0; }\n"
        "int cuDeviceGetCount(int* number) { *number = 0; return 0; }\n"
        "int cuDevicePrimaryCtxRetain(void** context, int device) {\n"
        "    *context = &depth; return !ready ? 3 : device == 0 ? 0 : 101; }\n"
        "int cuCtxPushCurrent_v2(void* context) { ++*(int*)context; return 0; }\n"
        "int cuCtxPopCurrent_v2(void** context) { *context = &depth; --depth; return 0; }\n"
        "int cuGetErrorName(int code, const char** text) { *text = name; return code != 101; }\n"
    )
    library = tmp_path / "libcuda.so.1"
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(tmp_path / "cuda.c")]
    subprocess.run(command, check=True)
    loaded = ctypes.CDLL(str(library))
    monkeypatch.setattr(driver.ctypes, "CDLL", lambda _: loaded)
    return loaded


def test_the_primary_context_is_current_within_the_block(stub: ctypes.CDLL) -> None:
    on_gpu = PrimaryContext(0)
    assert stub.depth_now() == 0
    with on_gpu:
        assert stub.depth_now() == 1
    with pytest.raises(KeyError), on_gpu:
        raise KeyError
    assert stub.depth_now() == 0


def test_a_gpu_that_gives_no_context(stub: ctypes.CDLL) -> None:
    with pytest.raises(BackendError, match="cannot be used: CUDA_ERROR_INVALID_DEVICE"):
        PrimaryContext(1)


def test_without_a_driver_there_is_no_context(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise OSError

    monkeypatch.setattr(driver.ctypes, "CDLL", missing)
    with PrimaryContext(0):
        pass


def test_a_fork_of_a_process_that_started_the_driver(
    stub: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "_started", set())
    assert ask_driver() == Driver("12.6", [])
    assert ask_driver() == Driver("12.6", [])
    on_gpu = PrimaryContext(0)
    assert not on_gpu.is_lost
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as in a fork
    assert ask_driver() == FORKED
    assert 'start processes by "spawn"' in FORKED
    assert on_gpu.is_lost
    with pytest.raises(BackendError, match="forked from one that uses the GPU"), on_gpu:
        pass
    with pytest.raises(BackendError, match="forked from one that uses the GPU"):
        PrimaryContext(0)
    assert stub.depth_now() == 0


def test_a_fork_of_a_process_where_another_library_started_the_driver(
    stub: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CUDA's documentation of errors has it: CUDA_ERROR_NOT_INITIALIZED is 3."""
    monkeypatch.setattr(driver, "_started", set())
    ctypes.c_int.in_dll(stub, "started").value = 3
    assert ask_driver() == FORKED
    ctypes.c_int.in_dll(stub, "started").value = 100
    answer = ask_driver()
    assert isinstance(answer, str)
    assert answer.startswith("the NVIDIA driver does not start")
