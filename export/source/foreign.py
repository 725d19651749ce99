"""The manifest of an ONNX file that carries none: what its user says, and what running it shows."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import ConfigError, ModelError
from edgecount.export.defaults import SIDES
from edgecount.export.graph.session import open_session
from edgecount.manifest import InputSpec, Manifest, OutputSpec, Role

if TYPE_CHECKING:
    import onnx

__all__ = ["Description", "describe"]

log = logging.getLogger(__name__)

_FLOAT = 1
_LEAST = 128  # px, of the image that strides are measured on


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

    def __post_init__(self) -> None:
        """Refuse values that no manifest holds, by the flags that they are typed with.

        Raises:
            ConfigError: one makes no sense.
        """
        numbers = {"mean": self.mean, "scale": self.scale, "unit": (self.unit,)}
        for name, values in numbers.items():
            if not all(map(math.isfinite, values)):
                told = " ".join(f"{value:g}" for value in values)
                raise ConfigError(f"--{name}: expected finite numbers, got {told}")
        if self.unit <= 0:
            raise ConfigError(f"--unit: expected a number above 0, got {self.unit:g}")
        if 0.0 in self.scale:
            told = " ".join(f"{value:g}" for value in self.scale)
            raise ConfigError(f"--scale: expected three numbers other than 0, got {told}")
        if not 1 <= self.multiple <= SIDES:
            raise ConfigError(f"--multiple: expected 1 to {SIDES} pixels, got {self.multiple}")


def describe(graph: onnx.ModelProto, described: Description, name: str) -> Manifest:
    """The manifest of a foreign network; strides are measured.

    Raises:
        ConfigError: it has no output of such a name, or not one input of images, or its strides
            are not those that it is said to have.
        ModelError: it does not run.
    """
    image = _image_of(graph)
    shape = [side.dim_value for side in image.type.tensor_type.shape.dim]
    static = (shape[2], shape[3]) if shape[2] and shape[3] else None
    multiple = math.gcd(described.multiple, *(static or ()))
    spec = InputSpec(
        name=image.name,
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
    height, maps = _run(graph, spec, list(names.values()))
    strides = {output: _stride(output, values, height) for output, values in maps.items()}
    _check_strides(described, strides, multiple)
    if described.heatmap:
        _check_scores(described.heatmap, maps[described.heatmap])
    outputs = tuple(
        OutputSpec(output, role, strides[output], described.unit if role == "density" else 1.0)
        for role, output in names.items()
    )
    made = Manifest(name, "0.0.0", "An ONNX model described on export.", spec, outputs)
    return dataclasses.replace(
        made, postprocess=dataclasses.replace(made.postprocess, threshold=described.threshold)
    )


def _image_of(graph: onnx.ModelProto) -> Any:
    """The one input, a ValueInfoProto of float32 images (N, 3, H, W)."""
    inputs = {weight.name for weight in graph.graph.initializer}
    images = [value for value in graph.graph.input if value.name not in inputs]
    if len(images) != 1:
        found = ", ".join(value.name for value in images)
        raise ConfigError(f"expected a model with one input, of images, got {found or 'none'}")
    tensor = images[0].type.tensor_type
    shape = [side.dim_value or side.dim_param or "?" for side in tensor.shape.dim]
    told = f"({', '.join(map(str, shape))})"
    # A side without a number may be anything, also 3.
    if len(shape) == 4 and shape[3] == 3 and shape[1] != 3:
        raise ConfigError(
            f"expected an input of shape (N, 3, H, W), got {images[0].name} {told}, channels last: "
            "put a Transpose in front of the network when you export it to ONNX"
        )
    if len(shape) != 4 or not (shape[1] == 3 or isinstance(shape[1], str)):
        raise ConfigError(f"expected an input of shape (N, 3, H, W), got {images[0].name} {told}")
    if tensor.elem_type != _FLOAT:
        import onnx

        kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise ConfigError(
            f"expected an input of float32, which edgecount gives as (pixel - mean) * scale, got "
            f"{images[0].name} of {kind}: export the network without its own preprocessing"
        )
    return images[0]


def _run(
    graph: onnx.ModelProto, spec: InputSpec, names: Sequence[str]
) -> tuple[int, dict[str, NDArray[Any]]]:
    """Height of an image of noise, in px, and the maps that the network gives for it."""
    known = [value.name for value in graph.graph.output]
    for name in names:
        if name not in known:
            raise ConfigError(f"the model has no output {name!r}; it has {', '.join(known)}")
    side = -(-_LEAST // spec.multiple) * spec.multiple
    height, width = spec.static_size or (side, side)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, height, width))
    mean, scale = (np.array(v, np.float32)[:, None, None] for v in (spec.mean, spec.scale))
    image = (pixels.astype(np.float32) - mean) * scale
    session = open_session(graph)
    try:
        maps = session.run(list(names), {spec.name: image})
    except Exception as error:
        raise ModelError(
            f"the model does not run on an input of (1, 3, {height}, {width}), channels first, as "
            f"edgecount gives it: {error}"
        ) from error
    return height, dict(zip(names, maps, strict=True))


def _stride(name: str, values: NDArray[Any], height: int) -> int:
    if values.ndim != 4 or not values.shape[2] or height % values.shape[2]:
        raise ConfigError(
            f"output {name}: expected a map (N, C, h, w) whose height divides the image's "
            f"{height}, got {values.shape}: give another --multiple, which its stride divides"
        )
    return int(height // values.shape[2])


def _check_strides(described: Description, strides: Mapping[str, int], multiple: int) -> None:
    """Compare what is said with what was measured."""
    named = described.density or described.heatmap
    if described.stride and named and described.stride != strides[named]:
        raise ConfigError(
            f"--stride: the network gives {named} with one cell per {strides[named]} px, got "
            f"{described.stride}: leave it out"
        )
    for name, stride in strides.items():
        if multiple % stride:
            raise ConfigError(
                f"--multiple: expected a multiple of {stride}, which is the pixels per cell of "
                f"{name}, got {multiple}"
            )


def _check_scores(name: str, values: NDArray[Any]) -> None:
    """Say that a heatmap holds no probabilities: peaks above a threshold would mean nothing."""
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if low < 0 or high > 1:
        log.warning(
            "--heatmap %s: expected probabilities from 0 to 1, got values from %.3g to %.3g on "
            "noise: is its sigmoid missing? Heads are counted above --threshold",
            name,
            low,
            high,
        )
