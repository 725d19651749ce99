"""Kernels that are compiled where they run, and kept on the disk."""

from __future__ import annotations

import logging
import os
import re
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import standin_tensorrt as standin
from sidecars import GPU
from tensorrt_engines import Make, assert_same, image, on_host, run_in_threads

from edgecount.runtime.backends.tensorrt import kernel_cache
from edgecount.runtime.backends.tensorrt.backend import TensorRTBackend
from edgecount.runtime.backends.tensorrt.kernel_cache import cache_path
from edgecount.runtime.cuda import driver
from edgecount.runtime.models.engines import Engine
from edgecount.runtime.models.model_file import ModelFile
from edgecount.runtime.models.sidecar import InputShapes

pytestmark = pytest.mark.gpu

WRITE_ALWAYS = 0.0


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="edgecount.runtime.backends.tensorrt.kernel_cache")
    return caplog


def said(heard: pytest.LogCaptureFixture) -> list[str]:
    return [
        r.getMessage()
        for r in heard.records
        if r.name == "edgecount.runtime.backends.tensorrt.kernel_cache"
    ]


def compiled(engine: Engine, *sizes: tuple[int, int]) -> int:
    """Kernels that a new process compiles for frames of some sizes."""
    with TensorRTBackend(engine) as backend:
        for height, width in sizes:
            backend.infer({"image": image(1, height, width)})
        number: int = backend._engine.compiled
        return number


def test_the_next_process_compiles_nothing(make: Make, heard: pytest.LogCaptureFixture) -> None:
    engine = make()
    assert compiled(engine, (64, 64), (64, 96)) == 2
    path = cache_path(engine.path)
    assert path.name == "model.engine.runtime-cache"
    first = path.read_bytes()
    for _ in range(3):
        assert compiled(engine, (64, 96), (64, 64)) == 0
        assert path.read_bytes() == first
    assert compiled(engine, (64, 96), (96, 96)) == 1
    assert compiled(engine, (64, 64), (64, 96), (96, 96)) == 0
    assert said(heard) == []
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "model.engine",
        "model.engine.json",
        "model.engine.runtime-cache",
        "model.onnx",
    ]


def test_it_is_written_after_the_first_shape_and_at_the_end(make: Make) -> None:
    engine = make()
    path = cache_path(engine.path)
    with TensorRTBackend(engine) as backend, backend.open_worker() as worker:
        worker.bind((1, 3, 64, 64))
        first = path.read_bytes()
        worker.bind((1, 3, 64, 96))  # too soon after the first
        assert path.read_bytes() == first
    assert path.read_bytes() != first


def test_workers_share_what_one_of_them_compiled(make: Make, model: ModelFile) -> None:
    with TensorRTBackend(make()) as backend:
        with backend.open_worker() as one, backend.open_worker() as other:
            one.bind((1, 3, 64, 64))
            other.bind((1, 3, 64, 64))
        assert backend._engine.compiled == 1


def another_gpu(monkeypatch: pytest.MonkeyPatch, make: Make) -> Engine:
    other = GPU._replace(devices=[GPU.devices[0]._replace(name="RTX 4080")])
    monkeypatch.setattr(driver, "ask_driver", lambda: other)
    return make()


def another_driver(monkeypatch: pytest.MonkeyPatch, make: Make) -> Engine:
    monkeypatch.setattr(driver, "ask_driver", lambda: GPU._replace(cuda="13.1"))
    return make()


def another_tensorrt(monkeypatch: pytest.MonkeyPatch, make: Make) -> Engine:
    monkeypatch.setattr(standin, "__version__", "1.8.0")
    return make(version="1.8.0")


def another_engine(monkeypatch: pytest.MonkeyPatch, make: Make) -> Engine:
    del monkeypatch
    return make(shapes=InputShapes((1, 3, 64, 64), (1, 3, 64, 64), (2, 3, 128, 160)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (another_gpu, r"it was made for GPU RTX 4090 with 128 multiprocessors \(8\.9\)"),
        (another_driver, r"it was made for driver CUDA 13\.0"),
        (another_tensorrt, r"it was made for TensorRT 1\.7\.1"),
        (another_engine, r"it was made for engine [0-9a-f]{16}"),
    ],
)
def test_kernels_of_something_else_are_not_used(
    make: Make,
    heard: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pytest.MonkeyPatch, Make], Engine],
    reason: str,
) -> None:
    compiled(make(), (64, 64))
    engine = change(monkeypatch, make)
    assert compiled(engine, (64, 64)) == 1
    (line,) = said(heard)
    assert re.search(rf"runtime-cache is not used: {reason}; it is replaced$", line)
    assert compiled(engine, (64, 64)) == 0
    assert len(said(heard)) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"more",
        lambda data: data[:-3] + b"\x00" + data[-2:],
        lambda data: data.replace(b"engine", b"engina"),
        lambda data: b"",
        lambda data: b"\xff" * 300,
        lambda data: data.partition(b"\n")[0] + b"\n[1, 2]\n",
    ],
)
def test_a_damaged_file_is_replaced(
    make: Make, heard: pytest.LogCaptureFixture, spoil: Callable[[bytes], bytes]
) -> None:
    engine = make()
    compiled(engine, (64, 64))
    path = cache_path(engine.path)
    whole = path.read_bytes()
    path.write_bytes(spoil(whole))
    assert compiled(engine, (64, 64)) == 1
    assert said(heard) == [f"{path} is not used: it is damaged; it is replaced"]
    assert path.read_bytes() == whole


def test_what_tensorrt_refuses_is_replaced(
    make: Make, heard: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make()
    compiled(engine, (64, 64))
    monkeypatch.setattr(standin, "CACHE_OF", "kernels of another kind")
    assert compiled(engine, (64, 64)) == 1
    (line,) = said(heard)
    assert "TensorRT refuses it" in line
    assert compiled(engine, (64, 64)) == 0


def test_a_folder_that_cannot_be_written_leaves_it_to_the_user_s_cache(
    make: Make, heard: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    engine = make()
    (cache_path(engine.path) / "in the way").mkdir(parents=True)
    assert compiled(engine, (64, 64)) == 1
    (kept,) = (tmp_path / "home" / "edgecount").iterdir()
    assert kept.name.startswith("model.engine-")
    assert kept.suffix == ".runtime-cache"
    heard.clear()
    assert compiled(engine, (64, 64)) == 0
    assert [line for line in said(heard) if "compiled" in line] == []


def test_the_newest_of_two_files_is_used(make: Make, tmp_path: Path) -> None:
    engine = make()
    beside = cache_path(engine.path)
    compiled(engine, (64, 64))
    first = beside.read_bytes()
    beside.unlink()
    (beside / "in the way").mkdir(parents=True)
    compiled(engine, (64, 96))
    (beside / "in the way").rmdir()
    beside.rmdir()
    beside.write_bytes(first)
    (kept,) = (tmp_path / "home" / "edgecount").iterdir()
    for newest, size in ((kept, (64, 96)), (beside, (64, 64))):
        for path in (beside, kept):
            when = 2e9 if path == newest else 1e9
            os.utime(path, (when, when))
        with TensorRTBackend(engine) as backend:
            backend.infer({"image": image(1, *size)})
            assert backend._engine.compiled == 0
            backend._kernels = None  # not to be written


def test_a_full_disk_is_a_line_in_the_log(
    make: Make,
    model: ModelFile,
    heard: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(kernel_cache, "_PAUSE", WRITE_ALWAYS)
    engine = make()
    with TensorRTBackend(engine) as backend:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
        try:
            for width in (64, 96, 128):
                pixels = image(1, 64, width)
                assert_same(backend.infer({"image": pixels}), on_host(model, pixels))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        (line,) = said(heard)
        assert line.startswith("compiled kernels are not kept for the next process: ")
        assert line.count("File too large") == 2
        assert list((tmp_path / "home" / "edgecount").iterdir()) == []
    assert cache_path(engine.path).is_file()  # by then there is room again


def test_several_at_once_leave_one_whole_file(
    make: Make, heard: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_cache, "_PAUSE", WRITE_ALWAYS)
    engine = make()
    sizes = [(64, 64), (64, 96), (96, 96), (96, 64)]

    def run(index: int) -> None:
        for _ in range(3):
            compiled(engine, sizes[index], (128, 128))

    run_in_threads(len(sizes), run)
    assert compiled(engine, (128, 128)) == 0
    assert said(heard) == []
    assert len(list(engine.path.parent.iterdir())) == 4


def test_an_engine_that_was_replaced_meanwhile_keeps_its_own_kernels(make: Make) -> None:
    engine = make()
    with TensorRTBackend(engine) as backend:
        newer = make(shapes=InputShapes((1, 3, 64, 64), (1, 3, 64, 64), (2, 3, 128, 160)))
        compiled(newer, (64, 64))
        backend.infer({"image": image()})
    assert compiled(newer, (64, 64)) == 0


def test_a_tensorrt_without_a_cache_writes_none(
    make: Make, model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(standin.IRuntimeConfig, "create_runtime_cache")
    engine = make()
    with TensorRTBackend(engine) as backend:
        assert_same(backend.infer({"image": image()}), on_host(model, image()))
    assert not cache_path(engine.path).exists()


def test_a_cache_that_is_not_taken_is_a_line_in_the_log(
    make: Make,
    model: ModelFile,
    heard: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(standin.IRuntimeConfig, "set_runtime_cache", lambda *_: False)
    engine = make()
    with TensorRTBackend(engine) as backend, backend.open_worker():
        assert_same(backend.infer({"image": image()}), on_host(model, image()))
    assert not cache_path(engine.path).exists()
    (line,) = said(heard)
    assert "compiles them in each process" in line
