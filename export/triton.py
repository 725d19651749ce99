"""A model repository for Triton Inference Server."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgecount.errors import OutputError
from edgecount.export.onnx import write_whole
from edgecount.runtime.postprocess import CHANNELS

if TYPE_CHECKING:
    from edgecount.export.package import Export, FileRecord
    from edgecount.manifest import Manifest
    from edgecount.runtime.sidecar import InputShapes

_BATCH = 8  # of an ONNX file, which takes any


def write_repository(export: Export, folder: Path, root: Path) -> Path:
    """Write ``NAME/config.pbtxt`` and ``NAME/1/model.plan`` or ``model.onnx``.

    The engine is served where one was built, else the ONNX file of the lowest precision that
    ONNX Runtime is fast with.

    Args:
        export: what was made.
        folder: where its files lie.
        root: the repository; made if it is not there.

    Returns:
        The model's folder.

    Raises:
        OutputError: it cannot be written.
    """
    record = _served(export.files)
    manifest = export.source.manifest
    name = re.sub(r"[^A-Za-z0-9_-]", "_", manifest.name)
    model = root / name
    if model.exists() and not export.options.overwrite:
        raise OutputError(f"{model} exists: choose another --triton, or add --overwrite")
    file = "model.plan" if record.engine else "model.onnx"
    write_whole(model / "1" / file, (folder / record.path).read_bytes())
    shapes = record.engine.shapes if record.engine else None
    write_whole(model / "config.pbtxt", config_text(manifest, name, shapes).encode())
    # Clients read from it how to feed the model and what its maps mean.
    text = json.dumps(manifest.to_dict(), indent=1) + "\n"
    write_whole(model / "manifest.json", text.encode())
    return model


def _served(files: Sequence[FileRecord]) -> FileRecord:
    engines = [record for record in files if record.engine]
    if engines:
        return engines[-1]
    by_name = {str(record.path): record for record in files}
    return by_name.get("model.int8-cpu.onnx") or by_name["model.onnx"]


def config_text(manifest: Manifest, name: str, shapes: InputShapes | None) -> str:
    """The text of ``config.pbtxt``.

    Args:
        manifest: the model's.
        name: of the model in the repository.
        shapes: of an engine; None: an ONNX file, which takes any batch.
    """
    fixed = manifest.input.static_size
    most = _BATCH if shapes is None else shapes.max[0]
    # Triton adds the batch itself, unless the engine knows one batch only.
    alone = shapes is not None and shapes.min[0] == shapes.max[0]
    batch = [most] if alone else []
    height, width = fixed or (-1, -1)
    if shapes is not None and shapes.is_static:
        height, width = shapes.opt[2:]
    kind = "TENSORRT" if shapes else "ONNX"
    lines = [
        f'name: "{name}"',
        f'backend: "{"tensorrt" if kind == "TENSORRT" else "onnxruntime"}"',
        f"max_batch_size: {0 if alone else most}",
        _tensor("input", manifest.input.name, [*batch, 3, height, width]),
    ]
    for output in manifest.outputs:
        sides = [side // output.stride if side > 0 else -1 for side in (height, width)]
        lines.append(_tensor("output", output.name, [*batch, CHANNELS[output.role], *sides]))
    if not alone:
        lines.append("dynamic_batching { }")
    return "\n".join(lines) + "\n"


def _tensor(kind: str, name: str, dims: Sequence[int]) -> str:
    sizes = ", ".join(map(str, dims))
    return f'{kind} {{ name: "{name}" data_type: TYPE_FP32 dims: [ {sizes} ] }}'
