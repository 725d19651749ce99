"""What `edgecount export` starts from: a float32 graph and its manifest."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecount.errors import ConfigError, ModelError
from edgecount.export.defaults import OPSET
from edgecount.export.extras import missing
from edgecount.export.graph.queries import element_types, opset, tidy, with_subgraphs
from edgecount.export.source.external_data import load_whole
from edgecount.export.source.foreign import Description, describe
from edgecount.manifest import METADATA_KEY, Manifest

if TYPE_CHECKING:
    import onnx

__all__ = [
    "Description",
    "Source",
    "describe",
    "load_source",
    "simplify",
    "with_manifest",
    "with_opset",
    "with_static_size",
]

_CHECKPOINT = ".pt"
_FLOAT = 1
_NARROW = {10: "float16", 16: "bfloat16"}
_QUANTISED = {
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
    *("ConvInteger", "MatMulInteger", "QGemm"),
}


@dataclass(frozen=True)
class Source:
    """A float32 model.

    Attributes:
        model: its graph, simplified, tidy, with the manifest inside.
        manifest: what it expects and gives.
        origin: where it came from, for the report.
        original: the graph before it was simplified.
        checkpoint: the checkpoint that it was made from; None if it was an ONNX file.
    """

    model: onnx.ModelProto
    manifest: Manifest
    origin: str
    original: onnx.ModelProto
    checkpoint: Path | None = None


def load_source(
    model: str,
    *,
    described: Description | None = None,
    stated: Mapping[str, str] | None = None,
    version: int = OPSET,
) -> Source:
    """Read whatever ``model`` names as a float32 graph.

    Args:
        model: a bundled model's name, a checkpoint (.pt), or an .onnx file.
        described: of an ONNX without a manifest.
        stated: ``name``, ``version`` and ``licence`` in place of the model's own.
        version: the opset to write.

    Raises:
        ModelError: it is missing, damaged, or not float32.
        ConfigError: an ONNX without a manifest is not described, or one with it is.
        MissingExtraError: a package is missing.
    """
    path = Path(model)
    if path.suffix == _CHECKPOINT:
        graph, manifest = _from_checkpoint(path)
        origin, checkpoint = str(path), path
    else:
        graph, manifest = _from_onnx(model, described)
        origin, checkpoint = model, None
    if described and checkpoint:
        raise ConfigError("--density and the like describe an ONNX file, not a checkpoint")
    if stated:
        own = {name: getattr(manifest, name) for name in ("name", "version", "licence")}
        told = {**own, **stated}
        manifest = dataclasses.replace(
            manifest, name=told["name"], version=told["version"], licence=told["licence"]
        )
    original = _only_outputs(graph, [output.name for output in manifest.outputs])
    _check_float(original, model)
    made = simplify(with_opset(original, version))
    return Source(with_manifest(made, manifest), manifest, origin, original, checkpoint)


def _only_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """A copy with the outputs that the manifest names, without nodes that only others need."""
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(model)
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

    from edgecount.export.source.checkpoint import export_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "model.onnx"
        manifest = export_checkpoint(path, made)
        return onnx.load(made), manifest


def _from_onnx(model: str, described: Description | None) -> tuple[onnx.ModelProto, Manifest]:
    from edgecount.runtime.models.engines import is_engine
    from edgecount.runtime.models.onnx_metadata import read_metadata
    from edgecount.runtime.models.open import locate_model

    path = locate_model(model)
    if is_engine(path):
        raise ModelError(f"{path} is an engine: export from the .onnx that it was built from")
    text = read_metadata(path).get(METADATA_KEY)
    graph = _load(path)
    if text is not None:
        if described:
            raise ConfigError(f"{path} has a manifest: leave out --density and the like")
        try:
            return graph, Manifest.from_json(text)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None
    if described is None or not (described.density or described.heatmap):
        names = ", ".join(value.name for value in graph.graph.output)
        raise ConfigError(
            f"{path} carries no edgecount manifest: say which of its outputs ({names}) is the "
            "density (--density NAME) or the heads' heatmap (--heatmap NAME), and how it wants its "
            "pixels (--mean, --scale, --channels)"
        )
    return graph, describe(graph, described, path.stem)


def _load(path: Path) -> onnx.ModelProto:
    try:
        import onnx
    except ImportError as error:
        raise missing("onnx", "engine", "to export models") from error
    try:
        model = load_whole(path)
        onnx.checker.check_model(model)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{path} is not a model that ONNX accepts: {error}") from error
    return model


def with_opset(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """The model in this version of the standard operators.

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
            f"--opset: the model is of opset {opset(model)}, and ONNX cannot convert it to "
            f"{version}: {error}"
        ) from error
    if opset(made) != version:
        raise ConfigError(f"--opset: asked for {version}, the converter gave {opset(made)}")
    del made.metadata_props[:]
    made.metadata_props.extend(model.metadata_props)
    return made


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """Constants folded, shapes inferred, leftovers removed, every node with a name."""
    import onnx

    try:
        import onnxslim
    except ImportError as error:
        raise missing("onnxslim", "engine", "to simplify graphs") from error
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    slim: onnx.ModelProto = onnxslim.slim(copy)
    made = tidy(onnx.shape_inference.infer_shapes(slim))
    onnx.checker.check_model(made, full_check=True)
    return made


def with_manifest(model: onnx.ModelProto, manifest: Manifest) -> onnx.ModelProto:
    """A copy with this manifest inside, in place of another."""
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(model)
    others = [entry for entry in made.metadata_props if entry.key != METADATA_KEY]
    del made.metadata_props[:]
    made.metadata_props.extend(others)
    entry = made.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, manifest.to_json()
    return made


def with_static_size(source: Source, size: tuple[int, int]) -> Source:
    """The model for one size of image, (height, width); any batch.

    Raises:
        ConfigError: the sides are no multiples of what the network needs, or the graph takes
            another size only.
    """
    import onnx

    _check_resizable(source, size)
    multiple = source.manifest.input.multiple
    if any(side % multiple or side < multiple for side in size):
        raise ConfigError(
            f"--input: expected sides that are multiples of {multiple}, got {size[0]}x{size[1]}; "
            f"the nearest is {'x'.join(str(max(round(s / multiple), 1) * multiple) for s in size)}"
        )
    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    image = next(v for v in model.graph.input if v.name == source.manifest.input.name)
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


def _check_resizable(source: Source, size: tuple[int, int]) -> None:
    """Refuse another size than the graph's own: its inner shapes are made for that one.

    Raises:
        ConfigError: the graph takes one size, and it is another.
    """
    spec = source.manifest.input
    image = next(value for value in source.model.graph.input if value.name == spec.name)
    sides = [axis.dim_value for axis in image.type.tensor_type.shape.dim][2:]
    own = spec.static_size or sides
    if any(side not in (0, asked) for side, asked in zip(own, size, strict=True)):
        told = "x".join(str(side or "any") for side in own)
        raise ConfigError(
            f"--input: the model takes {told} only, got {size[0]}x{size[1]}: leave it out, or "
            "export from a model that takes any size"
        )


def _check_float(model: onnx.ModelProto, origin: str) -> None:
    """Refuse what was made from a float32 model: compared with itself, its faults would not show.

    Raises:
        ModelError: it computes in bytes or in another float, or ends in what is no float32.
    """
    inside = {weight.name for weight in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.output):
        # Older exporters list weights as inputs, too.
        if value.name not in inside and value.type.tensor_type.elem_type != _FLOAT:
            raise ModelError(
                f"{origin}: expected float32 inputs and outputs, {value.name} is of another type: "
                "export from the float32 model"
            )
    bytes_by = sorted({node.op_type for node in model.graph.node if _in_bytes(node.op_type)})
    if bytes_by:
        raise ModelError(
            f"{origin} is already quantised (it holds {', '.join(bytes_by)}): export from the "
            "float32 model.onnx"
        )
    types = element_types(model)
    narrow = next((name for name, kind in types.items() if kind in _NARROW), None)
    if narrow is not None:
        raise ModelError(
            f"{origin} is already in {_NARROW[types[narrow]]} (its tensor {narrow}): export from "
            "the float32 model.onnx"
        )


def _in_bytes(operator: str) -> bool:
    return operator.startswith("QLinear") or operator in _QUANTISED
