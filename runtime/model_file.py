"""From what a user calls a model to a file and its manifest."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edgecount.errors import BackendError, ModelError
from edgecount.manifest import ENCODING_KEY, METADATA_KEY, Manifest
from edgecount.models import list_models, model_path
from edgecount.runtime.onnx_metadata import read_metadata

__all__ = ["ModelFile", "locate_model", "open_model"]

_ENGINES = (".engine", ".plan", ".trt")
_CHECKPOINTS = (".pt", ".pth", ".ckpt", ".safetensors")


@dataclass(frozen=True)
class ModelFile:
    """A model that a backend can open.

    Attributes:
        path: the .onnx file; None for a manifest alone, which only a backend of one's own can run.
        manifest: what it expects and gives.
        encoding: of its bytes and types; "tensorrt": meant for that.
    """

    path: Path | None
    manifest: Manifest
    encoding: str = ""


def open_model(model: str | os.PathLike[str] | Manifest) -> ModelFile:
    """Find a model and read its manifest; no engine is loaded.

    Args:
        model: a bundled model's name, an .onnx file, a folder that holds model.onnx, or a
            manifest alone.

    Raises:
        ModelError: there is no such model, it is damaged, or it carries no manifest.
        BackendError: it is an engine file, which this build cannot run.
    """
    if isinstance(model, Manifest):
        return ModelFile(None, model)
    if not isinstance(model, (str, os.PathLike)):
        raise ModelError(
            f"expected a model's name, the path of an .onnx file or a Manifest, got {model!r}"
        )
    path = locate_model(model)
    metadata = read_metadata(path)
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise ModelError(
            f"{path} carries no edgecount manifest (metadata key {METADATA_KEY!r}), which says how "
            "to feed the model and what its outputs mean: write one with edgecount.Manifest"
        )
    try:
        return ModelFile(path, Manifest.from_json(text), metadata.get(ENCODING_KEY, ""))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def locate_model(model: str | os.PathLike[str]) -> Path:
    """The file that a name, a path or a folder means; it need not be there.

    Raises:
        ModelError: there is no such model, or it is a checkpoint.
        BackendError: it is an engine file, which this build cannot run.
    """
    text = os.fspath(model)
    if isinstance(model, str) and model in list_models():
        return model_path(model)
    path = Path(text).expanduser()
    if path.suffix in _ENGINES:
        raise BackendError(
            f"{path} is a TensorRT engine, and this build of edgecount runs ONNX models only: "
            "pass the .onnx that the engine was built from"
        )
    if path.suffix in _CHECKPOINTS:
        raise ModelError(f"{path} is a training checkpoint: export it to ONNX and pass that")
    if path.is_dir():
        inner = path / "model.onnx"
        if not inner.is_file():
            raise ModelError(f"the folder {path} holds no model.onnx")
        return inner
    if path.exists() or path.suffix == ".onnx" or os.sep in text:
        return path
    return model_path(text)
