"""Write a model repository for Triton Inference Server."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgecount._files import write_whole
from edgecount.errors import OutputError
from edgecount.export.graph.session import open_session
from edgecount.runtime.models.engines import BEST_FIRST

if TYPE_CHECKING:
    from edgecount.export.package import Export, FileRecord
    from edgecount.manifest import Manifest
    from edgecount.runtime.models.sidecar import InputShapes

log = logging.getLogger(__name__)

# The parameter of config.pbtxt that clients read the manifest from.
MANIFEST = "edgecount_manifest"
_BATCH = 8  # frames in a call of an ONNX file that takes any number
_FILES = {"tensorrt": "model.plan", "onnxruntime": "model.onnx"}
_ON_CPU = "model.int8-cpu.onnx"

TritonBackend = Literal["tensorrt", "onnxruntime"]


def write_repository(export: Export, folder: Path, root: Path) -> Path:
    """Write ``NAME/config.pbtxt`` and ``NAME/1/model.plan`` or ``model.onnx``.

    An engine of TensorRT is served where one was built, else the ONNX file of the lowest precision
    that ONNX Runtime is fast with; of those, none that a gate refused if there is another.

    Returns:
        The model's folder in the repository ``root``, which is made if it is not there.

    Raises:
        OutputError: it cannot be written; a folder that was not there before is not there then.
    """
    record = _served(export.files)
    manifest = record.manifest or export.source.manifest
    model = model_folder(root, export.source.manifest, overwrite=export.options.overwrite)
    fresh = not model.exists()
    data = (folder / record.path).read_bytes()
    if record.engine:
        backend: TritonBackend = "tensorrt"
        shapes = engine_shapes(manifest, record.engine.shapes)
        max_batch = record.engine.shapes.max[0]
        fp16 = {tensor.name for tensor in record.engine.tensors if tensor.dtype == "float16"}
    else:
        backend = "onnxruntime"
        shapes, max_batch = onnx_shapes(manifest, data), export.options.batch or _BATCH
        fp16 = set()
    on_cpu = str(record.path) == _ON_CPU
    text = config_text(manifest, model.name, backend, shapes, max_batch, on_cpu=on_cpu, fp16=fp16)
    try:
        write_whole(model / "1" / _FILES[backend], data)
        write_whole(model / "config.pbtxt", text.encode())
        readable = json.dumps(manifest.to_dict(), indent=1) + "\n"
        write_whole(model / "manifest.json", readable.encode())
        for other in set(_FILES.values()) - {_FILES[backend]}:
            (model / "1" / other).unlink(missing_ok=True)  # of an export before this one
    except BaseException:
        if fresh:
            shutil.rmtree(model, ignore_errors=True)
        raise
    return model


def model_folder(root: Path, manifest: Manifest, *, overwrite: bool) -> Path:
    """Return the folder of a model in a repository.

    Raises:
        OutputError: it is there, and is not to be replaced; or nothing can be written there.
    """
    model = root / re.sub(r"[^A-Za-z0-9_-]", "_", manifest.name)
    if model.exists() and not overwrite:
        raise OutputError(f"{model} exists: choose another `repository`, or add `overwrite`")
    there = next(folder for folder in (root, *root.resolve().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"repository: {root}: {there} is no folder that can be written to")
    return model


def _served(files: Sequence[FileRecord]) -> FileRecord:
    engines = [record for record in files if record.engine]
    ours = [r for r in engines if r.engine and r.engine.options.target == "tensorrt"]
    if ours:
        return min(ours, key=_rank)
    by_name = {str(record.path): record for record in files}
    small = by_name.get(_ON_CPU)
    chosen = small if small and not small.overridden else by_name["model.onnx"]
    if engines:
        log.warning(
            "Triton Inference Server runs no engines of TensorRT for RTX, so that it gets %s; for "
            "an engine, export for TensorRT on the server",
            chosen.path,
        )
    return chosen


def _rank(record: FileRecord) -> tuple[bool, int]:
    assert record.engine
    return record.overridden, BEST_FIRST.index(record.engine.options.precision)


def onnx_shapes(manifest: Manifest, model: bytes) -> dict[str, list[int]]:
    """Return the shapes (B, C, H, W) of an ONNX file's tensors by name, with -1 for what varies.

    Triton compares them with those that ONNX Runtime reports of the file, and refuses a model that
    states others; what is open in the file may be stated.
    """
    session = open_session(model, 1)
    reported = {node.name: node.shape for node in (*session.get_inputs(), *session.get_outputs())}
    stated = _stated(manifest)
    return {
        name: [
            side if isinstance(side, int) else ours
            for side, ours in zip(reported[name], stated[name], strict=True)
        ]
        for name in stated
    }


def engine_shapes(manifest: Manifest, shapes: InputShapes) -> dict[str, list[int]]:
    """Return the shapes (B, C, H, W) of an engine's tensors by name, with -1 for what varies."""
    varies = zip(shapes.min, shapes.max, strict=True)
    batch, _, height, width = (high if low == high else -1 for low, high in varies)
    return {name: [batch, *sides[1:]] for name, sides in _stated(manifest, (height, width)).items()}


def _stated(manifest: Manifest, size: tuple[int, int] | None = None) -> dict[str, list[int]]:
    """Return the shapes that the manifest promises, at a size (height, width; -1: any)."""
    size = size or manifest.input.static_size or (-1, -1)
    shapes = {manifest.input.name: [-1, 3, *size]}
    for output in manifest.outputs:
        sides = [side // output.stride if side > 0 else -1 for side in size]
        shapes[output.name] = [-1, output.channels, *sides]
    return shapes


def config_text(
    manifest: Manifest,
    name: str,
    backend: TritonBackend,
    shapes: Mapping[str, Sequence[int]],
    max_batch: int,
    *,
    on_cpu: bool = False,
    fp16: Collection[str] = (),
) -> str:
    """Return the text of ``config.pbtxt``, with the manifest in the parameter `MANIFEST`, as JSON.

    A call takes up to ``max_batch`` frames where the first axis of all `onnx_shapes` varies.
    ``fp16`` names the tensors that are float16; the others are float32.
    """
    # Triton itself adds the axis of the batch, and gathers requests to one, only where it varies.
    batched = all(shape[0] == -1 for shape in shapes.values())
    image = manifest.input.name
    lines = [
        f'name: "{name}"',
        f'backend: "{backend}"',
        f"max_batch_size: {max_batch if batched else 0}",
    ]
    for tensor, shape in shapes.items():
        kind = "input" if tensor == image else "output"
        dims = ", ".join(map(str, shape[1:] if batched else shape))
        data_type = "TYPE_FP16" if tensor in fp16 else "TYPE_FP32"
        lines.append(f'{kind} {{ name: "{tensor}" data_type: {data_type} dims: [ {dims} ] }}')
    if batched:
        lines.append("dynamic_batching { }")
    if on_cpu:
        lines.append("instance_group { kind: KIND_CPU }")
    # ASCII, so that JSON's escapes are all that the text format has to read.
    value = json.dumps(json.dumps(manifest.to_dict(), allow_nan=False))
    lines.append(f'parameters {{ key: "{MANIFEST}" value {{ string_value: {value} }} }}')
    return "\n".join(lines) + "\n"
