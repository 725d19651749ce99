"""Files that are models, and the errors of those that are none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from sidecars import write_engine

from edgecount.errors import ModelError
from edgecount.manifest import Manifest
from edgecount.models import list_models, model_path
from edgecount.runtime.models.open import open_model


def test_by_path_and_by_text(tiny_model: Path) -> None:
    assert open_model(tiny_model) == open_model(str(tiny_model))
    assert open_model(tiny_model).manifest.name == "tiny"


def test_a_folder_with_a_model(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_model, tmp_path / "model.onnx")
    assert open_model(tmp_path).path == tmp_path / "model.onnx"


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no model.onnx and no engine$"):
        open_model(tmp_path)
    (tmp_path / "best.pt").touch()  # of a training run
    with pytest.raises(ModelError, match=r"edgecount export .*best\.pt --out DIR$"):
        open_model(tmp_path)


@pytest.mark.parametrize("name", list_models())
def test_bundled_models_carry_their_name(name: str) -> None:
    assert open_model(name).manifest.name == name


def test_unknown_name_lists_and_suggests() -> None:
    with pytest.raises(
        ModelError, match=r"unknown model 'edgecount-x': did you mean 'edgecount-s'"
    ):
        open_model("edgecount-x")
    with pytest.raises(ModelError, match=r"did you mean 'edgecount-n'"):
        open_model("EdgeCount-N")
    with pytest.raises(ModelError, match=r"bundled models: .*edgecount-s"):
        model_path("yolo")


@pytest.mark.parametrize("name", ["none.onnx", "folder/none", "./none"])
def test_missing_path(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="no such model file"):
        open_model(name)


@pytest.mark.parametrize("name", ["m.engine", "m.plan", "m.trt"])
def test_an_engine_opens_by_its_sidecar(name: str, tiny_model: Path, tmp_path: Path) -> None:
    engine = write_engine(tmp_path / name, b"a plan", tiny_model)
    opened = open_model(engine.path)
    assert (opened.path, opened.sidecar, opened.folder) == (engine.path, engine.sidecar, None)
    assert opened.manifest == engine.sidecar.manifest
    engine.path.unlink()
    with pytest.raises(ModelError, match=rf"no such model file: .*{name}"):
        open_model(engine.path)


def test_a_folder_of_an_export(tiny_model: Path, tmp_path: Path) -> None:
    """Its float32 file, which says what the engines must say too; or the engines alone."""
    onnx = Path(shutil.copy(tiny_model, tmp_path / "model.onnx"))
    engine = write_engine(tmp_path / "model.fp16.engine", b"a plan", onnx)
    opened = open_model(tmp_path)
    assert (opened.path, opened.sidecar, opened.folder) == (onnx, None, tmp_path)
    onnx.unlink()
    opened = open_model(str(tmp_path))
    assert (opened.path, opened.sidecar, opened.folder) == (engine.path, engine.sidecar, tmp_path)


def test_checkpoints_want_an_export() -> None:
    with pytest.raises(ModelError, match=r"checkpoint: run  edgecount export best.pt"):
        open_model("best.pt")
    with pytest.raises(ModelError, match=r"weights.*an \.onnx of the whole network"):
        open_model("their.pth")


def test_a_model_without_a_manifest(
    make_manifest: Callable[..., Manifest],
    make_graph: Callable[[Manifest], onnx.ModelProto],
    tmp_path: Path,
) -> None:
    onnx.save(make_graph(make_manifest()), tmp_path / "bare.onnx")
    advice = (
        r"carries no edgecount manifest .*`edgecount inspect \S+bare\.onnx --manifest-template`"
    )
    with pytest.raises(ModelError, match=advice):
        open_model(tmp_path / "bare.onnx")


def test_a_manifest_that_is_wrong_names_the_file(
    make_manifest: Callable[..., Manifest],
    make_graph: Callable[[Manifest], onnx.ModelProto],
    write_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    path = write_model(make_graph(make_manifest()), tmp_path / "bad.onnx", '{"format": 1}')
    with pytest.raises(ModelError, match=r"bad.onnx: manifest field name is missing"):
        open_model(path)
