"""The package openvino and what it uses: devices, threads, its import, forks."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from processes import run_code

from edgecount import EdgeCounter
from edgecount.errors import BackendError, MissingExtraError, ModelError
from edgecount.runtime.backends.select import open_backend
from edgecount.runtime.models.open import open_model

pytest.importorskip("openvino", reason="openvino is not installed")

from edgecount.runtime.backends.openvino import library
from edgecount.runtime.backends.openvino.backend import OpenVinoBackend
from edgecount.runtime.backends.openvino.properties import compile_properties


@pytest.mark.parametrize("name", ["openvino-gpu", "openvino-npu"])
def test_a_device_that_is_not_there(name: str, tiny_model: Path) -> None:
    if any(library.DEVICES[name] in device for device in library.list_devices()):
        pytest.skip("it is here")
    with pytest.raises(BackendError, match=rf"{name}: OpenVINO finds no Intel .*here: CPU \("):
        open_backend(open_model(tiny_model), name)


@pytest.mark.parametrize("name", ["openvino-gpu", "openvino-npu"])
def test_other_devices_run_as_the_cpu_does(
    name: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CPU stands in for them; one that takes fixed sizes alone compiles each."""
    monkeypatch.setitem(library.DEVICES, name, "CPU")
    with EdgeCounter(tiny_model, backend=name, precision="float32") as counter:
        for width in (64, 96, 64, 128):
            image = np.full((64, width, 3), 255, np.uint8)
            found = counter.count(image)
            assert found.count == pytest.approx(width)
            assert (found.backend, found.precision) == (name, "float32")
        assert isinstance(counter.backend, OpenVinoBackend)
        sizes = [shape[3] for shape in counter.backend.shapes() if shape]
        assert sizes == ([96, 64, 128] if name == "openvino-npu" else [])
    model = open_model(tiny_model)
    first, *rest = model.manifest.outputs
    outputs = (replace(first, name="none"), *rest)
    other = replace(model, manifest=replace(model.manifest, outputs=outputs))
    with pytest.raises(ModelError, match="names the output 'none'"):
        OpenVinoBackend(other, name)


def test_without_the_package(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library.core.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r'pip install "edgecount\[openvino\]"'):
        open_backend(open_model(tiny_model), "openvino")
    with pytest.raises(MissingExtraError, match=r"openvino is needed to compute in bfloat16"):
        open_backend(open_model(tiny_model), precision="bfloat16")
    with open_backend(open_model(tiny_model)).backend as backend:
        assert backend.name == "onnxruntime"


@pytest.mark.parametrize("text", ["raise ImportError('libfoo.so.1')", "raise OSError('bad')", ""])
def test_a_package_that_is_broken_never_breaks_auto(
    tiny_model: Path,
    tmp_path: Path,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    shutil.copy(tiny_model, folder / "model.onnx")
    (tmp_path / "openvino.py").write_text(text)
    for name in [name for name in sys.modules if name.split(".")[0] == "openvino"]:
        monkeypatch.delitem(sys.modules, name)
    library.core.cache_clear()
    monkeypatch.syspath_prepend(tmp_path)
    with caplog.at_level(logging.INFO), open_backend(open_model(folder)).backend as backend:
        assert backend.name == "onnxruntime"
    assert "openvino cannot be loaded: " in caplog.text
    with pytest.raises(BackendError, match="openvino cannot be loaded: "):
        open_backend(open_model(folder), "openvino")


def test_without_onnxruntime_openvino_runs_everything(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with EdgeCounter(tiny_model) as counter:
        assert counter.count(np.zeros((64, 64, 3), np.uint8)).backend == "openvino"


def test_the_import_sends_nothing_and_says_nothing(tmp_path: Path) -> None:
    code = (
        "from edgecount.runtime.backends.openvino.library import load_openvino\n"
        "load_openvino()\n"
        "import sys\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
    )
    assert run_code(code, HOME=str(tmp_path)) == (0, "", "")
    assert not list(tmp_path.iterdir())


def test_first_requests_of_two_threads_do_not_wait_for_each_other() -> None:
    """What OpenVINO makes at the first request made nine in ten of such processes hang."""
    code = """if True:
        import faulthandler, sys, threading
        import numpy as np
        from edgecount.runtime.backends.openvino.library import load_openvino
        openvino = load_openvino()
        faulthandler.dump_traceback_later(30, exit=True)
        sys.setswitchinterval(1e-6)
        together = threading.Barrier(8)
        def request():
            together.wait()
            assert openvino.Type.f32.to_dtype() == np.float32
        threads = [threading.Thread(target=request) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    """
    assert run_code(code) == (0, "", "")


def test_threads_are_those_that_were_asked_for() -> None:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for threads, wanted in ((None, usable), (1, 1), (3, 3)):
        found = compile_properties("CPU", "float32", threads, 1)
        assert found["INFERENCE_NUM_THREADS"] == wanted
        assert found["ENABLE_HYPER_THREADING"]
        assert not found["ENABLE_CPU_PINNING"]


@pytest.mark.parametrize("one", [True, False])
def test_threads_are_bound_to_no_core(one: bool) -> None:
    """Several processes would otherwise all be bound to the first core."""
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs Linux and two cores")
    usable = os.sched_getaffinity(0)
    cores = {max(usable)} if one else usable
    code = (
        "import os, threading\n"
        f"os.sched_setaffinity(0, {cores})\n"
        "import numpy as np\n"
        "from edgecount.runtime.backends.openvino.backend import OpenVinoBackend\n"
        "from edgecount.runtime.models.open import open_model\n"
        "backend = OpenVinoBackend(open_model('edgecount-n'), threads=1)\n"
        "image = {'image': np.zeros((1, 3, 320, 320), np.float32)}\n"
        "run = threading.Thread(target=lambda: [backend.infer(image) for _ in range(10)])\n"
        "run.start()\n"
        "while run.is_alive():\n"  # threads are bound for the length of a run
        "    for task in os.listdir('/proc/self/task'):\n"
        "        try: found = os.sched_getaffinity(int(task))\n"
        "        except ProcessLookupError: continue\n"
        f"        assert found == {cores}, task\n"
        "    run.join(0.001)\n"
    )
    assert run_code(code) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_fork_opens_its_own_after_another_was_closed(tiny_model: Path, threads: int) -> None:
    code = """if True:
        import os, signal, sys
        import numpy as np
        from edgecount import EdgeCounter
        def count():
            how = {"backend": "openvino", "precision": "float32", "threads": int(sys.argv[2])}
            with EdgeCounter(sys.argv[1], **how) as counter:
                print(counter.count(np.zeros((64, 64, 3), np.uint8)).count, flush=True)
        count()
        child = os.fork()
        if not child:
            signal.alarm(60)  # it would wait for ever
            count()
            os._exit(0)
        print(os.waitpid(child, 0)[1])
    """
    assert run_code(code, tiny_model, threads)[:2] == (0, "0.0\n0.0\n0\n")
