"""Load what an export starts from: a float32 graph and its manifest."""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecount.errors import ConfigError, EdgeCountError, ModelError
from edgecount.export.defaults import OPSET
from edgecount.export.extras import missing
from edgecount.export.graph.queries import element_types, opset, tidy, with_subgraphs
from edgecount.export.source.external_data import load_whole
from edgecount.export.source.external_onnx import check_manifest, check_runs
from edgecount.export.source.normalise import normalised
from edgecount.manifest import METADATA_KEY, Manifest
from edgecount.runtime.models.onnx_functions import check_functions

if TYPE_CHECKING:
    import onnx

_FLOAT = 1
_STATED = ("name", "version", "licence")
_HALF = {10: "float16", 16: "bfloat16"}
_QUANTISED = {
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
    *("ConvInteger", "MatMulInteger", "QGemm"),
}


@dataclass(frozen=True)
class SourceModel:
    """The float32 model of an export.

    Attributes:
        model: its graph, simplified and tidy, with the manifest inside.
        manifest: its manifest.
        origin: where it came from, for the report.
        original: the graph before it was simplified.
        checkpoint: the checkpoint that it was made from; None: it was an ONNX file.
    """

    model: onnx.ModelProto
    manifest: Manifest
    origin: str
    original: onnx.ModelProto
    checkpoint: Path | None = None


def load_source(
    model: str,
    *,
    manifest: Manifest | None = None,
    stated: Mapping[str, str] | None = None,
    version: int = OPSET,
) -> SourceModel:
    """Read whatever ``model`` names as a float32 graph.

    Args:
        model: a bundled model's name, a checkpoint (.pt), or an .onnx file.
        manifest: the manifest of an ONNX file that carries none.
        stated: ``name``, ``version`` and ``licence`` in place of the model's own.
        version: the opset to convert it to.

    Raises:
        ModelError: it is missing, damaged, or not float32.
        ConfigError: an ONNX file without a manifest is given none, or one that does not fit it; or
            a model with a manifest is given another.
        MissingExtraError: a package is missing.
    """
    path = Path(model)
    checkpoint = path if path.suffix == ".pt" else None
    if checkpoint:
        if manifest:
            raise ConfigError("manifest: expected with an ONNX file; a checkpoint has its own")
        graph, manifest = _from_checkpoint(checkpoint)
    else:
        graph, manifest = _from_onnx(model, manifest)
    if stated:
        fields: dict[str, Any] = {k: v for k, v in stated.items() if k in _STATED}
        manifest = dataclasses.replace(manifest, **fields)
    original = _only_outputs(graph, [output.name for output in manifest.outputs])
    try:
        _check_float(original, model)
        check_runs(original, manifest)
        made = simplify(with_opset(original, version))
    except ConfigError:
        raise
    except ModelError as error:
        raise ModelError(str(error) if model in str(error) else f"{model}: {error}") from None
    except EdgeCountError:
        raise
    except Exception as error:  # onnx and onnxslim raise what they like on an odd graph
        raise ModelError(f"{model} cannot be simplified: {reason_of(error)}") from error
    return SourceModel(with_manifest(made, manifest), manifest, model, original, checkpoint)


def _only_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """Return a copy with the outputs that the manifest names, without nodes that others need."""
    made = copy.deepcopy(model)
    by_name = {value.name: value for value in model.graph.output}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise ModelError(
            f"the manifest names the output {missing[0]!r}, the graph has {', '.join(by_name)}"
        )
    del made.graph.output[:]
    made.graph.output.extend(by_name[name] for name in names)
    if not with_subgraphs(made):  # those read tensors that no input names
        needed, nodes = set(names), []
        for node in reversed(made.graph.node):
            if needed.intersection(node.output):
                needed.update(node.input)
                nodes.append(node)
        del made.graph.node[:]
        made.graph.node.extend(reversed(nodes))
    return made


def _from_checkpoint(path: Path) -> tuple[onnx.ModelProto, Manifest]:
    import onnx

    from edgecount.export.source.from_torch import export_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "model.onnx"
        manifest = export_checkpoint(path, made)
        return onnx.load(made), manifest


def _from_onnx(model: str, manifest: Manifest | None) -> tuple[onnx.ModelProto, Manifest]:
    from edgecount.runtime.models.engines import is_engine
    from edgecount.runtime.models.onnx_metadata import read_metadata
    from edgecount.runtime.models.open import locate_model

    path = locate_model(model)
    if is_engine(path):
        raise ModelError(f"{path} is an engine: export from the .onnx that it was built from")
    text = read_metadata(path).get(METADATA_KEY)
    graph = load_graph(path)
    if text is not None:
        if manifest:
            raise ConfigError(f"manifest: {path} carries one: leave it out")
        try:
            return graph, Manifest.from_json(text)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None
    if manifest is None:
        names = ", ".join(value.name for value in graph.graph.output)
        raise ConfigError(
            f"{path} carries no edgecount manifest: give one (`manifest`) that says how it wants "
            f"its pixels and what its outputs ({names}) are; for a template to fill in run  "
            f"edgecount inspect {path} --manifest-template > manifest.json"
        )
    check_manifest(graph, manifest)
    return graph, manifest


def load_graph(path: Path) -> onnx.ModelProto:
    """Read an ONNX file with all of its weights.

    Raises:
        ModelError: it is missing, damaged, or no model that ONNX accepts.
        MissingExtraError: onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise missing("onnx", "engine", "to export models") from error
    check_functions(path)
    try:
        model = normalised(load_whole(path))
        onnx.checker.check_model(model)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{path} is not a model that ONNX accepts: {reason_of(error)}") from error
    return model


def reason_of(error: Exception) -> str:
    """Return what an error says, or its kind if it says nothing, as a MemoryError does."""
    return str(error) or type(error).__name__


def with_opset(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """Return the model in this version of the standard operators.

    Raises:
        ConfigError: ONNX has no conversion for it.
    """
    import onnx.version_converter

    if opset(model) == version:
        return model
    try:
        made = onnx.version_converter.convert_version(model, version)
    except Exception as error:
        raise ConfigError(
            f"opset: the model is of opset {opset(model)}, and ONNX cannot convert it to "
            f"{version}: {reason_of(error)}"
        ) from error
    if opset(made) != version:
        raise ConfigError(f"opset: asked for {version}, the converter gave {opset(made)}")
    del made.metadata_props[:]
    made.metadata_props.extend(model.metadata_props)
    return made


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy with constants folded, shapes inferred, and a name for every node."""
    import onnx

    try:
        import onnxslim
    except ImportError as error:
        raise missing("onnxslim", "engine", "to simplify graphs") from error
    slim: onnx.ModelProto = onnxslim.slim(copy.deepcopy(model))
    made = tidy(onnx.shape_inference.infer_shapes(slim))
    onnx.checker.check_model(made, full_check=True)
    return made


def with_manifest(model: onnx.ModelProto, manifest: Manifest) -> onnx.ModelProto:
    """Return a copy with this manifest inside, in place of another."""
    made = copy.deepcopy(model)
    others = [entry for entry in made.metadata_props if entry.key != METADATA_KEY]
    del made.metadata_props[:]
    made.metadata_props.extend(others)
    entry = made.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, manifest.to_json()
    return made


def with_static_size(source: SourceModel, size: tuple[int, int]) -> SourceModel:
    """Return the model for one size of image, (height, width) in pixels, and any batch.

    Raises:
        ConfigError: the sides are no multiples of what the network needs, or the graph takes
            another size only.
    """
    model = copy.deepcopy(source.model)
    image = next(v for v in model.graph.input if v.name == source.manifest.input.name)
    sides = image.type.tensor_type.shape.dim[2:]
    # The inner shapes of a graph of one size are made for that one.
    own = source.manifest.input.static_size or [side.dim_value for side in sides]
    if any(side not in (0, asked) for side, asked in zip(own, size, strict=True)):
        words = "x".join(str(side or "any") for side in own)
        raise ConfigError(
            f"size: the model takes {words} only, got {size[0]}x{size[1]}: leave it out, or "
            "export from a model that takes any size"
        )
    multiple = source.manifest.input.multiple
    if any(side % multiple or side < multiple for side in size):
        raise ConfigError(
            f"size: expected sides that are multiples of {multiple}, got {size[0]}x{size[1]}; "
            f"the nearest is {'x'.join(str(max(round(s / multiple), 1) * multiple) for s in size)}"
        )
    for axis, side in zip((2, 3), size, strict=True):
        image.type.tensor_type.shape.dim[axis].dim_value = side
    strides = {output.name: output.stride for output in source.manifest.outputs}
    for value in model.graph.output:
        for axis, side in zip((2, 3), size, strict=True):
            value.type.tensor_type.shape.dim[axis].dim_value = side // strides[value.name]
    del model.graph.value_info[:]
    spec = dataclasses.replace(source.manifest.input, static_size=size)
    # The interval was measured at the usual sizes.
    post = dataclasses.replace(source.manifest.postprocess, interval=None)
    manifest = dataclasses.replace(source.manifest, input=spec, postprocess=post)
    return dataclasses.replace(
        source, model=with_manifest(simplify(model), manifest), manifest=manifest
    )


def _check_float(model: onnx.ModelProto, origin: str) -> None:
    """Refuse models of lower precision: compared with themselves, their faults would not show.

    Raises:
        ModelError: it computes in integers or in another float type, or its ends are not float32.
    """
    inside = {weight.name for weight in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.output):
        # Older exporters list weights as inputs, too.
        if value.name not in inside and value.type.tensor_type.elem_type != _FLOAT:
            raise ModelError(
                f"{origin}: expected float32 inputs and outputs, {value.name} is of another type: "
                "export from the float32 model"
            )
    operators = {node.op_type for node in model.graph.node}
    if quantised := sorted(o for o in operators if o.startswith("QLinear") or o in _QUANTISED):
        raise ModelError(
            f"{origin} is already quantised (it holds {', '.join(quantised)}): export from the "
            "float32 model.onnx"
        )
    types = element_types(model)
    half = next((name for name, kind in types.items() if kind in _HALF), None)
    if half is not None:
        raise ModelError(
            f"{origin} is already in {_HALF[types[half]]} (its tensor {half}): export from "
            "the float32 model.onnx"
        )
