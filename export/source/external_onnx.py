"""Describe ONNX files that carry no manifest: a template to fill in, and its checks."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import ConfigError, ModelError
from edgecount.export.graph.session import open_session
from edgecount.manifest import CHANNELS, FORMAT, InputSpec, Manifest, OutputSpec, PostprocessSpec
from edgecount.runtime.backends.calls import FIRST_RUN, time_limit
from edgecount.runtime.backends.onnxruntime.calls import run_session

if TYPE_CHECKING:
    import onnx

log = logging.getLogger(__name__)

MAX_MULTIPLE = 1024  # px: an image of this side has to fit in memory, with all that is computed
_MULTIPLE = 32  # px, of a template: what most backbones need
_SIDE = 128  # px, of the image that strides are measured on
_USUAL = 512 * 512  # px: a larger image of a graph of one size may take longer
_FLOAT = 1
_FILL_IN = "FILL IN: "
_ASKED = (
    f"{_FILL_IN}density, heatmap, offset or size, or scores and boxes of a detector, with its "
    '"anchors"; delete the output if it is none'
)
# Parts of names that exporters give to such outputs.
_HINTS = {
    "density": ("dens", "dmap"),
    "heatmap": ("heat", "prob", "score"),
    "offset": ("off", "reg"),
    "size": ("size", "wh"),
}


def manifest_template(graph: onnx.ModelProto, name: str) -> dict[str, Any]:
    """Return a manifest as JSON types, with what a graph of images (N, 3, H, W) and a run show.

    What they cannot show (the normalisation of pixels, often the roles of outputs) is a text that
    says what to fill in, which `Manifest.from_dict` refuses by its field.

    Raises:
        ConfigError: its input is no image, or no output is a map.
        ModelError: it does not run.
    """
    image = _image_of(graph)
    static = _static_size(image)
    spec = InputSpec(image.name, multiple=math.gcd(_MULTIPLE, *(static or ())), static_size=static)
    height, maps = _run(graph, spec, [value.name for value in graph.graph.output])
    strides = {output: _stride(values, height) for output, values in maps.items()}
    found = {output: stride for output, stride in strides.items() if stride}
    if not found:
        shapes = ", ".join(f"{output} {values.shape}" for output, values in maps.items())
        raise ConfigError(
            f"expected an output that is a map (N, C, h, w) whose height divides the image's "
            f"{height}, got {shapes}"
        )
    multiple = spec.multiple if static else math.lcm(spec.multiple, *found.values())
    return {
        "format": FORMAT,
        "name": name,
        "version": "0.0.0",
        "description": "",
        "input": {
            **asdict(spec),
            "channels": f"{_FILL_IN}RGB or BGR",
            "mean": f"{_FILL_IN}three numbers, taken off pixels from 0 to 255",
            "scale": f"{_FILL_IN}three numbers, multiplied with after that, such as 1 / deviation",
            "multiple": multiple,
            "min_side": max(64, multiple),
        },
        "outputs": [
            {"name": output, "role": role, "stride": found[output], "unit": 1.0}
            for output, role in _roles({output: maps[output] for output in found}).items()
        ],
        "postprocess": {
            name: value
            for name, value in asdict(PostprocessSpec()).items()
            if name not in {"interval", "nms_iou"}
        },
        "training": {},
        "licence": "",
    }


def check_manifest(graph: onnx.ModelProto, manifest: Manifest) -> None:
    """Compare a manifest with the graph that it describes, and with a run on noise.

    Raises:
        ConfigError: the graph has other inputs or outputs, or other strides.
        ModelError: the graph does not run.
    """
    spec, image = manifest.input, _image_of(graph)
    if spec.name != image.name:
        raise _wrong("input.name", f"{image.name!r}, the graph's input", repr(spec.name))
    if spec.static_size != (static := _static_size(image)):
        expected = list(static) if static else "null, because the graph takes any size"
        raise _wrong("input.static_size", expected, spec.static_size)
    if spec.multiple > MAX_MULTIPLE:
        raise _wrong("input.multiple", f"1 to {MAX_MULTIPLE} pixels", spec.multiple)
    height, maps = _run(graph, spec, [output.name for output in manifest.outputs])
    for output in manifest.outputs:
        _check_output(output, maps[output.name], height)


def check_runs(graph: onnx.ModelProto, manifest: Manifest) -> None:
    """Run a graph with a manifest of its own on noise, before anything long begins.

    Raises:
        ConfigError: the graph has no such outputs.
        ModelError: it does not run, does not end, or gives what is no number.
    """
    names = [value.name for value in graph.graph.input]
    if manifest.input.name not in names:
        raise _wrong("input.name", f"one of {', '.join(names)}", repr(manifest.input.name))
    _, maps = _run(graph, manifest.input, [output.name for output in manifest.outputs])
    for name, values in maps.items():
        if not np.isfinite(values).all():
            raise ModelError(
                f"the output {name} has a NaN or an infinity on an image of noise: expected finite "
                "values, are the weights whole?"
            )


def _wrong(name: str, expected: object, got: object) -> ConfigError:
    return ConfigError(f"manifest: {name}: expected {expected}, got {got}")


def _check_output(output: OutputSpec, values: NDArray[Any], height: int) -> None:
    stride, channels = _stride(values, height), output.channels
    if stride is None or values.shape[1] != channels:
        raise _wrong(
            f"outputs.{output.name}",
            f"a map (N, {channels}, h, w) whose height divides the image's {height}",
            values.shape,
        )
    if output.stride != stride:
        measured = f"{stride} pixels per cell, as measured"
        raise _wrong(f"outputs.{output.name}.stride", measured, output.stride)
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if output.role in {"heatmap", "scores"} and (low < 0 or high > 1):
        # Peaks above a threshold would mean nothing.
        log.warning(
            "%s %s: expected probabilities from 0 to 1, got values from %.3g to %.3g on "
            "noise: is its sigmoid missing? Heads are counted above postprocess.threshold",
            output.role,
            output.name,
            low,
            high,
        )


def _image_of(graph: onnx.ModelProto) -> Any:
    """Return the one input, a ValueInfoProto of float32 images (N, 3, H, W)."""
    inputs = {weight.name for weight in graph.graph.initializer}
    images = [value for value in graph.graph.input if value.name not in inputs]
    if len(images) != 1:
        found = ", ".join(value.name for value in images)
        raise ConfigError(f"expected a model with one input, of images, got {found or 'none'}")
    tensor = images[0].type.tensor_type
    shape = [side.dim_value or side.dim_param or "?" for side in tensor.shape.dim]
    words = f"({', '.join(map(str, shape))})"
    # A side without a number may be anything, also 3.
    if len(shape) == 4 and shape[3] == 3 and shape[1] != 3:
        raise ConfigError(
            f"expected an input of shape (N, 3, H, W), got {images[0].name} {words}, channels "
            "last: put a Transpose in front of the network when you export it to ONNX"
        )
    if len(shape) != 4 or not (shape[1] == 3 or isinstance(shape[1], str)):
        raise ConfigError(f"expected an input of shape (N, 3, H, W), got {images[0].name} {words}")
    if tensor.elem_type != _FLOAT:
        import onnx

        kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise ConfigError(
            f"expected an input of float32, which edgecount gives as (pixel - mean) * scale, got "
            f"{images[0].name} of {kind}: export the network without its own preprocessing"
        )
    return images[0]


def _static_size(image: Any) -> tuple[int, int] | None:
    """Return (height, width) of an input that takes one size only, else None."""
    *_, height, width = (side.dim_value for side in image.type.tensor_type.shape.dim)
    return (height, width) if height and width else None


def _run(
    graph: onnx.ModelProto, spec: InputSpec, names: Sequence[str]
) -> tuple[int, dict[str, NDArray[Any]]]:
    """Return the height of an image of noise in px, and the network's outputs for it."""
    known = [value.name for value in graph.graph.output]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"manifest: outputs: expected some of {', '.join(known)}, got {name!r}, which the "
                "model does not have"
            )
    side = -(-_SIDE // spec.multiple) * spec.multiple
    image = next(value for value in graph.graph.input if value.name == spec.name)
    own = [axis.dim_value for axis in image.type.tensor_type.shape.dim[2:]]  # 0: any
    height, width = spec.static_size or (length or side for length in own or (0, 0))
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, height, width))
    mean, scale = (np.array(v, np.float32)[:, None, None] for v in (spec.mean, spec.scale))
    image = (pixels.astype(np.float32) - mean) * scale
    limit = FIRST_RUN * max(1.0, height * width / _USUAL)
    session = open_session(graph)
    try:
        with time_limit(limit, f"the model, run on (1, 3, {height}, {width}),"):
            maps = run_session(session, names, {spec.name: image})
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"the model does not run on an input of (1, 3, {height}, {width}), channels first, as "
            f"edgecount gives it: {error}"
        ) from error
    return height, dict(zip(names, maps, strict=True))


def _stride(values: NDArray[Any], height: int) -> int | None:
    """Return the pixels per cell of a map (N, C, h, w); None: it is no map of the image."""
    if values.ndim != 4 or not values.shape[2] or height % values.shape[2]:
        return None
    return int(height // values.shape[2])


def _roles(maps: dict[str, NDArray[Any]]) -> dict[str, str]:
    """Guess the role of each map by its name and channels, or ask for it.

    The maps of a detector are asked for: how a network codes its boxes cannot be seen.
    """
    guessed = {name: _role(name, values) for name, values in maps.items()}
    roles = list(guessed.values())
    return {name: role if roles.count(role) == 1 else _ASKED for name, role in guessed.items()}


def _role(name: str, values: NDArray[Any]) -> str:
    for role, hints in _HINTS.items():
        if CHANNELS[role] == values.shape[1] and any(hint in name.lower() for hint in hints):
            return role
    return _ASKED
