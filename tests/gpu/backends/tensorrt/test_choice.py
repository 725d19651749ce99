"""Which TensorRT engine of a folder runs, and when one is built again."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from tensorrt_engines import Make, assert_same, image, on_host

from edgecount.runtime.backends.select import open_backend
from edgecount.runtime.models.model_file import ModelFile
from edgecount.runtime.models.open import open_model
from edgecount.runtime.models.sidecar import EngineSidecar

pytestmark = pytest.mark.gpu


def test_auto_takes_the_best_engine_of_a_folder(
    make: Make, model: ModelFile, caplog: pytest.LogCaptureFixture
) -> None:
    assert model.path is not None
    make("model.engine", precision="fp32")
    make("model.fp16.engine", precision="fp16")
    folder = open_model(model.path.parent)
    with caplog.at_level(logging.INFO), open_backend(folder).backend as backend:
        assert backend.name == "tensorrt-rtx"
    assert "backend tensorrt-rtx on cuda:0; not tensorrt: there is no engine of it" in caplog.text
    for name in ("model.engine", "model.fp16.engine"):
        with open_backend(open_model(model.path.with_name(name))).backend as backend:
            assert backend.name == "tensorrt-rtx"
    with open_backend(folder, "onnxruntime").backend as backend:
        assert backend.name == "onnxruntime"


def test_auto_takes_the_next_one_and_tells_why(
    make: Make, model: ModelFile, caplog: pytest.LogCaptureFixture
) -> None:
    assert model.path is not None
    make("model.fp16.engine", version="1.2.0")
    folder = open_model(model.path.parent)
    with caplog.at_level(logging.INFO), open_backend(folder).backend as backend:
        assert backend.name == "onnxruntime"
    assert "built by 1.2.0, here is 1.7.1" in caplog.text
    make("model.engine", precision="fp32")
    with open_backend(folder).backend as backend:
        assert backend.name == "tensorrt-rtx"


def test_auto_builds_again_only_where_no_engine_fits(
    make: Make, model: ModelFile, caplog: pytest.LogCaptureFixture
) -> None:
    assert model.path is not None
    asked: list[Path] = []

    def rebuild(plan: Path, sidecar: EngineSidecar, source: Path, here: str) -> EngineSidecar:
        assert (source, here) == (model.path, "8.9")
        asked.append(plan)
        return make(plan.name, precision=sidecar.precision).sidecar

    make("model.fp16.engine", version="1.2.0")
    folder = open_model(model.path.parent)
    with (
        caplog.at_level(logging.INFO),
        open_backend(folder, rebuild=rebuild).backend as backend,
    ):
        assert backend.name == "tensorrt-rtx"
        assert_same(backend.infer({"image": image()}), on_host(model, image()))
    assert [path.name for path in asked] == ["model.fp16.engine"]
    (line,) = (text for text in caplog.messages if text.startswith("building "))
    assert "which takes minutes: " in line
    assert "1.2.0" in line
    assert re.search(r"built .*model\.fp16\.engine again in \d+ s", caplog.text)
    make("model.fp16.engine", version="1.2.0")
    make("model.engine", precision="fp32")
    with open_backend(folder, rebuild=rebuild).backend:
        assert len(asked) == 1
