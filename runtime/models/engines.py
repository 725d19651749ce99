"""Engines on the disk: those beside a model, and the ONNX files that they were built from."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from edgecount._files import require_regular
from edgecount.errors import ModelError
from edgecount.manifest import CONVERTED
from edgecount.runtime.models.sidecar import EngineSidecar, Target, read_sidecar

if TYPE_CHECKING:
    from edgecount.manifest import Manifest
    from edgecount.runtime.models.model_file import ModelFile

ENGINES = (".engine", ".plan", ".trt")
# FP16 counts within half a per cent of the original, INT8 within three, and whether it is faster
# depends on the GPU. Who wants another names its file.
BEST_FIRST = ("fp16", "int8", "fp32")

Rebuild: TypeAlias = Callable[[Path, EngineSidecar, Path, str], EngineSidecar]
"""(plan, sidecar, ONNX, compute capability) to the sidecar of the plan that was built anew."""


class Engine(NamedTuple):
    """A plan and its sidecar."""

    path: Path
    sidecar: EngineSidecar


def is_engine(path: Path) -> bool:
    """Return whether a file is an engine, by its name."""
    return path.suffix in ENGINES


def list_engines(folder: Path) -> list[Path]:
    """Return the engines in a folder, by name."""
    return sorted(path for path in folder.iterdir() if is_engine(path) and path.is_file())


def engines_for(model: ModelFile, target: Target) -> tuple[list[Engine], list[str]]:
    """Return the engines of a model that a target can run, best first, and why not the others.

    Of a folder, all engines that share its manifest; of an .onnx, those that were built from it.
    """
    if model.path is None:
        return [], []
    if model.sidecar is not None and model.folder is None:
        return ([Engine(model.path, model.sidecar)] if model.sidecar.backend == target else []), []
    found, reasons = [], []
    for path in list_engines(model.folder or model.path.parent):
        try:
            engine = Engine(path, read_sidecar(path))
        except ModelError as error:
            reasons.append(str(error))
            continue
        if engine.sidecar.backend != target:
            continue
        if reason := _not_of(engine, model, model.path):
            reasons.append(reason)
        else:
            found.append(engine)
    # An engine that a gate refused and that was kept all the same comes last.
    found.sort(
        key=lambda e: (e.sidecar.overridden, BEST_FIRST.index(e.sidecar.precision), e.path.name)
    )
    return found, reasons


def _not_of(engine: Engine, model: ModelFile, path: Path) -> str | None:
    """Return why an engine is not one of a model; None if it is."""
    if model.folder is None and engine.sidecar.onnx_sha256 != file_sha256(path):
        return f"{engine.path} was not built from {path.name}"
    if not same_network(engine.sidecar.manifest, model.manifest):
        return f"{engine.path} has another manifest than {path.name}: export both again"
    return None


def same_network(first: Manifest, second: Manifest) -> bool:
    """Return whether two files are of one network that is fed alike, as those of one export are.

    A converted file has a name, measurements and an interval of its own.
    """
    return _network(first) == _network(second)


def _network(manifest: Manifest) -> tuple[object, ...]:
    made = manifest.training.get(CONVERTED)
    origin = made.get("from") if isinstance(made, dict) else None
    if not isinstance(origin, dict):
        origin = {"name": manifest.name, "version": manifest.version}
    post = dataclasses.replace(manifest.postprocess, interval=None)
    return origin.get("name"), origin.get("version"), manifest.input, manifest.outputs, post


def find_onnx(plan: Path, sidecar: EngineSidecar) -> Path | None:
    """Find the ONNX file beside a plan that it was built from, by its hash."""
    namesake = plan.with_suffix(".onnx")
    others = sorted(path for path in plan.parent.glob("*.onnx") if path != namesake)
    for path in (namesake, *others):
        if path.is_file() and file_sha256(path) == sidecar.onnx_sha256:
            return path
    return None


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal.

    Raises:
        ModelError: the file cannot be read.
    """
    require_regular(path)
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
            return digest.hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}") from None


def build_command(model: Path | str, target: Target, precision: str = "fp16") -> str:
    """Return the command that builds an engine of a model."""
    flag = "" if precision == "fp32" else f" --{precision}"
    return f"edgecount export {model}{flag} --target {target}"
