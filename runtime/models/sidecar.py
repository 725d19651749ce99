"""The JSON file beside an engine: what it was built from, by what and for what.

A plan (TensorRT's serialized engine) loads only on the TensorRT that built it and on a GPU that it
was built for, and its deserialiser explains a refusal badly. The sidecar lets us explain it before:
`model.engine` has `model.engine.json` beside it. The plan is kept as it is, so that other programs
can load it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgecount._documents import load_json, shown
from edgecount._files import require_regular
from edgecount._typed import Reader
from edgecount.errors import ConfigError, ModelError
from edgecount.manifest import Manifest

FORMAT = 1

Target = Literal["tensorrt", "tensorrt-rtx"]
TARGETS: tuple[Target, ...] = ("tensorrt", "tensorrt-rtx")
Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
NUMBERS = {"fp32": "float32", "fp16": "float16", "int8": "int8"}
"""The kind of numbers that an engine computes in, as `Backend.precision` names it."""

Shape = tuple[int, int, int, int]

_READER = Reader(
    error=ModelError,
    document="the sidecar",
    label="field ",
    # Engines of before have none; any other default could let one run where it must not.
    optional=("platform",),
    unknown=", or the engine was made by a newer edgecount",
)


@dataclass(frozen=True)
class InputShapes:
    """Shapes of the image tensor that an engine takes, each (B, 3, H, W) in pixels.

    Attributes:
        min: smallest on every axis.
        opt: shape that TensorRT tunes for.
        max: largest on every axis; it decides how much memory the engine takes.

    Raises:
        ConfigError: not four whole numbers above 0, or not min <= opt <= max on every axis.
    """

    min: Shape
    opt: Shape
    max: Shape

    def __post_init__(self) -> None:
        for name in ("min", "opt", "max"):
            shape = getattr(self, name)
            if len(shape) != 4 or not all(type(side) is int and side > 0 for side in shape):
                raise ConfigError(
                    f"shapes.{name}: expected four whole numbers above 0 (batch, channels, height, "
                    f"width), got {shown(shape)}"
                )
        if not all(a <= b <= c for a, b, c in zip(self.min, self.opt, self.max, strict=True)):
            raise ConfigError(
                f"shapes: expected min <= opt <= max on every axis, got {self.min}, {self.opt}, "
                f"{self.max}"
            )

    @classmethod
    def static(cls, shape: Shape) -> InputShapes:
        """Return the shapes of an engine that takes one shape and no other."""
        return cls(shape, shape, shape)

    @property
    def is_static(self) -> bool:
        """True if there is only one shape."""
        return self.min == self.max


@dataclass(frozen=True)
class EngineSidecar:
    """The description of an engine: its model, its build and where it can run.

    Attributes:
        manifest: description of the model's input and outputs.
        onnx_sha256: SHA-256 of the ONNX file that it was built from.
        plan_sha256: SHA-256 of the plan.
        precision: "fp32", "fp16" or "int8", as asked for and proven.
        shapes: shapes that the image tensor may have.
        backend: "tensorrt" or "tensorrt-rtx".
        version: full version of that library.
        compute_capabilities: those of the GPUs that it runs on, such as "8.7"; "8.0+" is that one
            and all newer ones, of TensorRT less Jetsons.
        device: kind of the GPU that it was built on, such as "Orin with 8 multiprocessors"; None:
            built without one.
        driver: newest CUDA version that the driver knew, such as "12.6"; None: built without one.
        layers: number of layers that multiply, by their precision.
        options: options of the build that no other field holds.
        created_by: version of edgecount.
        overridden: the gate on accuracy refused the file and the user took it all the same.
        platform: operating system and CPU that it runs on, such as "linux-x86-64", or "jetson";
            None: any that its library runs on, or not known.
    """

    manifest: Manifest
    onnx_sha256: str
    plan_sha256: str
    precision: Precision
    shapes: InputShapes
    backend: Target
    version: str
    compute_capabilities: tuple[str, ...]
    created_by: str
    device: str | None = None
    driver: str | None = None
    layers: dict[str, int] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    overridden: bool = False
    platform: str | None = None

    def to_json(self) -> str:
        """Return the text of the file."""
        data = {"format": FORMAT, **asdict(self), "manifest": self.manifest.to_dict()}
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> EngineSidecar:
        """Read the text of the file.

        Raises:
            ModelError: not JSON, of another format, or a field is missing, unknown or of the wrong
                kind; the message names the field.
        """
        data = load_json(text, "not JSON", ModelError)
        if isinstance(data, dict):
            number = data.pop("format", None)
            if number != FORMAT:
                raise ModelError(
                    f"expected format {FORMAT}, got {shown(number)}: the engine was made by "
                    "another version of edgecount; build it again"
                )
            if isinstance(data.get("manifest"), dict):
                data["manifest"] = Manifest.from_dict(data["manifest"])
        try:
            return _READER.build(cls, data)
        except ConfigError as error:  # of the shapes
            raise ModelError(f"field {error}") from None


def sidecar_path(plan: Path) -> Path:
    """Return the path of a plan's sidecar: beside it, its name with .json added."""
    return plan.with_name(plan.name + ".json")


def read_sidecar(plan: Path) -> EngineSidecar:
    """Read the sidecar of a plan.

    Raises:
        ModelError: there is no sidecar, or it is damaged; the message names the file.
    """
    path = sidecar_path(plan)
    require_regular(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(
            f"cannot read {path}: {reason}; an engine needs the file that  edgecount export  wrote "
            "beside it"
        ) from None
    try:
        return EngineSidecar.from_json(text)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
