"""Finding a model: from its name, path or folder to a file and its manifest."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from edgecount._files import require_regular
from edgecount.errors import ModelError
from edgecount.manifest import ENCODING_KEY, METADATA_KEY, Manifest
from edgecount.models import list_models, model_path
from edgecount.runtime.models.choose import FLOAT32, choose_onnx
from edgecount.runtime.models.engines import is_engine, list_engines
from edgecount.runtime.models.model_file import ModelFile
from edgecount.runtime.models.onnx_functions import check_functions
from edgecount.runtime.models.onnx_metadata import read_metadata
from edgecount.runtime.models.sidecar import read_sidecar

_WEIGHTS = (".pth", ".ckpt", ".safetensors")


def open_model(model: str | os.PathLike[str] | Manifest) -> ModelFile:
    """Find a model and read its manifest; no engine is loaded.

    Args:
        model: a bundled model's name, an .onnx file, an engine with its sidecar beside it, a folder
            that `edgecount export` wrote, or a manifest alone.

    Raises:
        ModelError: there is no such model, it is damaged, or it carries no manifest.
    """
    if isinstance(model, Manifest):
        return ModelFile(None, model)
    if not isinstance(model, (str, os.PathLike)):
        raise ModelError(
            "expected a model's name, the path of an .onnx file, an engine or a folder, or a "
            f"Manifest, got {model!r}"
        )
    path = locate_model(model)
    given = Path(os.fspath(model)).expanduser()
    folder = given if path.parent == given else None
    if is_engine(path):
        require_regular(path)
        if not path.is_file():
            raise ModelError(f"no such model file: {path}")
        sidecar = read_sidecar(path)
        return ModelFile(path, sidecar.manifest, sidecar=sidecar, folder=folder)
    return open_onnx_file(path, folder)


def open_onnx_file(path: Path, folder: Path | None = None) -> ModelFile:
    """Read the manifest of an ONNX file, found in a folder or named itself.

    Raises:
        ModelError: it is damaged, or carries no manifest.
    """
    metadata = read_metadata(path)
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise ModelError(
            f"{path} carries no edgecount manifest (metadata key {METADATA_KEY!r}), which says how "
            "to feed the model and what its outputs mean: have `edgecount inspect "
            f"{shlex.quote(str(path))} --manifest-template` write one to fill in, and give it to "
            "`edgecount export --manifest`"
        )
    try:
        manifest = Manifest.from_json(text)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    check_functions(path)
    return ModelFile(path, manifest, metadata.get(ENCODING_KEY, ""), folder=folder)


def locate_model(model: str | os.PathLike[str]) -> Path:
    """Return the file that a name, a path or a folder means; it need not exist.

    Raises:
        ModelError: there is no such model, or it is a checkpoint.
    """
    text = os.fspath(model)
    if isinstance(model, str) and model in list_models():
        return model_path(model)
    path = Path(text).expanduser()
    if path.suffix == ".pt":
        raise ModelError(
            f"{path} is a training checkpoint: run  edgecount export {path}  and pass the folder "
            "that it makes"
        )
    if path.suffix in _WEIGHTS:
        raise ModelError(
            f"{path} holds weights without their network: expected a bundled name, an .onnx of the "
            "whole network (torch.onnx.export), an engine, or a checkpoint (.pt) of edgecount train"
        )
    if path.is_dir():
        return _in_folder(path)
    if path.exists() or path.suffix == ".onnx" or is_engine(path) or os.sep in text:
        return path
    # It looks like a name: the error of an unknown one lists those that are bundled.
    return model_path(text)


def _in_folder(folder: Path) -> Path:
    """Return the folder's float32 model, or else another one of it.

    Which file runs is chosen when an engine is: the best one that works on this machine.
    """
    inner = folder / FLOAT32
    if inner.exists():
        return inner
    if engines := list_engines(folder):
        return engines[0]
    choice = choose_onnx(folder)
    if choice is None:
        others = sorted(path.name for path in folder.glob("*.onnx"))
        if others:
            raise ModelError(
                f"the folder {folder} holds no model.onnx and no engine, but {', '.join(others)}: "
                "name one of these"
            )
        best = folder / "best.pt"
        hint = (
            f": export its checkpoint, edgecount export {best} --out DIR" if best.exists() else ""
        )
        raise ModelError(f"the folder {folder} holds no model.onnx and no engine{hint}")
    return choice.path
