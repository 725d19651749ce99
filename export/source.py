"""What `edgecount export` starts from: a float32 graph and its manifest."""

from __future__ import annotations

import dataclasses
import logging
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from edgecount.errors import ConfigError, MissingExtraError, ModelError
from edgecount.export.defaults import OPSET
from edgecount.export.graph import opset, tidy
from edgecount.export.session import open_session
from edgecount.manifest import METADATA_KEY, InputSpec, Manifest, OutputSpec, Role

if TYPE_CHECKING:
    import onnx

log = logging.getLogger(__name__)

_CHECKPOINT = ".pt"
_FLOAT = 1


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


@dataclass(frozen=True)
class Description:
    """What an ONNX file without a manifest does not say of itself.

    Attributes:
        density: name of the output with people per cell; None: there is none.
        heatmap: name of the output with head probabilities; None: there is none.
        offset: name of the output with the heads' offsets in their cells; None: there is none.
        stride: network pixels per cell of the density, or else of the heatmap; None: measured.
        unit: the density's expansion factor.
        mean: per channel, on the scale of 0 to 255.
        scale: per channel, after the mean is taken off.
        channels: their order.
        multiple: sides of the input are multiples of this.
        threshold: of head points.
    """

    density: str | None = None
    heatmap: str | None = None
    offset: str | None = None
    stride: int | None = None
    unit: float = 1.0
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    scale: tuple[float, float, float] = (1 / 127.5, 1 / 127.5, 1 / 127.5)
    channels: Literal["RGB", "BGR"] = "RGB"
    multiple: int = 32
    threshold: float = 0.4


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
    made = simplify(with_opset(original, version))
    _check_float(made, model)
    return Source(with_manifest(made, manifest), manifest, origin, original, checkpoint)


def _only_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """A copy with the outputs that the manifest names; what only others need falls away later."""
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
    return made


def _from_checkpoint(path: Path) -> tuple[onnx.ModelProto, Manifest]:
    import onnx

    from edgecount.export.checkpoint import export_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "model.onnx"
        manifest = export_checkpoint(path, made)
        return onnx.load(made), manifest


def _from_onnx(model: str, described: Description | None) -> tuple[onnx.ModelProto, Manifest]:
    from edgecount.runtime.engine_files import is_engine
    from edgecount.runtime.model_file import locate_model
    from edgecount.runtime.onnx_metadata import read_metadata

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
        raise MissingExtraError("onnx", "engine", "to export models") from error
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:
        raise ModelError(f"{path} is not a model that ONNX accepts: {error}") from error
    return model


def describe(graph: onnx.ModelProto, described: Description, name: str) -> Manifest:
    """The manifest of a foreign network; strides are measured where they are not given.

    Raises:
        ConfigError: it has no output of such a name, or not one input of images.
    """
    inputs = {weight.name for weight in graph.graph.initializer}
    images = [value for value in graph.graph.input if value.name not in inputs]
    if len(images) != 1:
        found = ", ".join(value.name for value in images)
        raise ConfigError(f"expected a model with one input, of images, got {found or 'none'}")
    shape = [d.dim_value for d in images[0].type.tensor_type.shape.dim]
    if len(shape) != 4 or shape[1] not in (0, 3):
        raise ConfigError(f"expected an input of shape (N, 3, H, W), got {shape}")
    static = (shape[2], shape[3]) if shape[2] and shape[3] else None
    multiple = math.gcd(described.multiple, *(static or ()))
    spec = InputSpec(
        name=images[0].name,
        channels=described.channels,
        mean=described.mean,
        scale=described.scale,
        multiple=multiple,
        min_side=max(64, multiple),
        static_size=static,
    )
    roles: dict[Role, str | None] = {
        "density": described.density,
        "heatmap": described.heatmap,
        "offset": described.offset,
    }
    names = {role: output for role, output in roles.items() if output}
    strides = _strides(graph, spec, list(names.values()))
    if described.stride and described.density:
        strides[described.density] = described.stride
    elif described.stride and described.heatmap:
        strides[described.heatmap] = described.stride
    outputs = tuple(
        OutputSpec(output, role, strides[output], described.unit if role == "density" else 1.0)
        for role, output in names.items()
    )
    made = Manifest(name, "0.0.0", "An ONNX model described on export.", spec, outputs)
    return dataclasses.replace(
        made, postprocess=dataclasses.replace(made.postprocess, threshold=described.threshold)
    )


def _strides(graph: onnx.ModelProto, spec: InputSpec, names: Sequence[str]) -> dict[str, int]:
    known = [value.name for value in graph.graph.output]
    for name in names:
        if name not in known:
            raise ConfigError(f"the model has no output {name!r}; it has {', '.join(known)}")
    height, width = spec.static_size or (4 * spec.multiple, 4 * spec.multiple)
    session = open_session(graph)
    image = np.zeros((1, 3, height, width), np.float32)
    try:
        maps = session.run(list(names), {spec.name: image})
    except Exception as error:
        raise ModelError(f"the model does not run on a {height}x{width} image: {error}") from error
    strides = {}
    for name, values in zip(names, maps, strict=True):
        if values.ndim != 4 or not values.shape[2] or height % values.shape[2]:
            raise ConfigError(
                f"output {name}: expected a map (N, C, h, w) whose height divides the image's "
                f"{height}, got {values.shape}"
            )
        strides[name] = height // values.shape[2]
    return strides


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
        raise MissingExtraError("onnxslim", "engine", "to simplify graphs") from error
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
        ConfigError: the sides are no multiples of what the network needs.
    """
    import onnx

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


def _check_float(model: onnx.ModelProto, origin: str) -> None:
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type != _FLOAT:
            raise ModelError(
                f"{origin}: expected float32 inputs and outputs, {value.name} is of another type: "
                "export from the float32 model"
            )
