"""The TensorRT backend on a GPU that is there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sidecars import SHAPES
from tensorrt_engines import image, on_host, run_in_threads

from edgecount.errors import EdgeCountError
from edgecount.runtime.backends.select import open_backend
from edgecount.runtime.backends.tensorrt.backend import TensorRTBackend, _Worker
from edgecount.runtime.backends.tensorrt.kernel_cache import cache_path
from edgecount.runtime.backends.tensorrt.library import load_tensorrt
from edgecount.runtime.cuda.driver import why_no_gpu
from edgecount.runtime.models.open import open_model

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("target", ["tensorrt", "tensorrt-rtx"])
def test_a_real_engine_on_a_real_gpu(target: Any, tmp_path: Path, tiny_model: Path) -> None:
    from edgecount.export.tensorrt.build import EngineOptions, build_engine
    from edgecount.export.tensorrt.record import make_sidecar, write_sidecar

    if reason := why_no_gpu():
        pytest.skip(reason)
    try:
        load_tensorrt(target)
        onnx_file = Path(shutil.copy(tiny_model, tmp_path / "model.onnx"))
        options = EngineOptions(target, "fp32", SHAPES)
        record = build_engine(onnx_file, tmp_path / "model.engine", options)
    except EdgeCountError as error:
        pytest.skip(str(error))
    model = open_model(onnx_file)
    write_sidecar(record.path, make_sidecar(record, model.manifest))
    with open_backend(open_model(tmp_path)).backend as backend:
        assert backend.name == target
        assert isinstance(backend, TensorRTBackend)
        pictures = [image(seed=1), image(4, 128, 160), image(1, 64, 64)]

        def run(index: int) -> None:
            pixels = pictures[index]
            expected = on_host(model, pixels)
            for _ in range(20):
                maps = backend.infer({"image": pixels})
                for name, values in expected.items():
                    # TensorRT may multiply in TF32
                    np.testing.assert_allclose(maps[name], values, rtol=1e-2, atol=1e-3)

        run_in_threads(len(pictures), run)
        for worker in backend._idle:
            assert isinstance(worker, _Worker)
            assert (worker._context_memory is not None) == (backend._strategy is not None)
            if worker._context_memory is not None:
                assert 0 < worker._context_memory.nbytes <= backend._most
        with backend.open_worker() as worker:
            bound = worker.bind((1, 3, 64, 96))
            worker.stream.upload(bound.input, image())
            worker.enqueue()
            if worker.capturable:
                worker.stream.synchronize()
                worker.stream.begin_capture()
                worker.enqueue()
                worker.stream.end_capture().launch(worker.stream)
            heat = np.empty(bound.outputs["heat"].shape, bound.outputs["heat"].dtype)
            worker.stream.download(bound.outputs["heat"], heat)
            worker.stream.synchronize()
            np.testing.assert_allclose(heat, on_host(model, image())["heat"], rtol=1e-2, atol=1e-3)
    if backend._features.runtime_cache:
        assert cache_path(record.path).is_file()
