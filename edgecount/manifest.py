"""The manifest: what a model expects and gives, in one description that travels with it.

It is stored as JSON in the ONNX file's metadata under `METADATA_KEY`, written by the exporter
and read by the runtime, so that the two cannot disagree about preprocessing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast

from edgecount._documents import load_json, shown
from edgecount._manifest_checks import (
    LARGEST_GRID,
    LARGEST_MEAN,
    LARGEST_STATIC_SIDE,
    MOST_ANCHORS,
    MOST_PEOPLE,
    SCALES,
    UNITS,
    check,
    check_grids,
    check_postprocess,
    check_roles,
    check_side,
    check_size,
)
from edgecount._typed import Reader
from edgecount.errors import ModelError

__all__ = [
    "FORMAT",
    "METADATA_KEY",
    "FusionSpec",
    "InputSpec",
    "IntervalSpec",
    "Manifest",
    "OutputSpec",
    "PostprocessSpec",
    "Role",
]

FORMAT = 1
METADATA_KEY = "edgecount.manifest"
# Files whose bytes and types are meant for TensorRT say so under this key.
ENCODING_KEY, FOR_TENSORRT = "edgecount.encoding", "tensorrt"
# What a file of lower precision was made from, and how it counts beside it, in `training`.
CONVERTED = "converted"

Role = Literal["density", "heatmap", "offset", "size", "scores", "boxes"]
ROLES = ("density", "heatmap", "offset", "size", "scores", "boxes")
WINDOWS = (3, 5, 7)
CHANNELS = {"density": 1, "heatmap": 1, "offset": 2, "size": 1, "scores": 1, "boxes": 4}

# A default in place of a lost mean or stride would count wrongly and say nothing, so that all
# other fields must be there.
_OPTIONAL = ("description", "fusion", "interval", "licence", "postprocess", "static_size")
_LATER = ("anchors", "grid", "nms_iou")  # left out of the JSON of models that do not need them
_READER = Reader(
    error=ModelError,
    document="the manifest",
    label="manifest field ",
    optional=(*_OPTIONAL, *_LATER, "training", "unit"),
    unknown=", or the model was made by a newer edgecount",
)


@dataclass(frozen=True)
class InputSpec:
    """The image tensor: float32 NCHW, values `(pixel - mean) * scale` of 8-bit pixels.

    Attributes:
        name: the tensor's name in the graph.
        channels: order of the channels of the tensor, "RGB" or "BGR".
        mean: subtracted from each channel, in the order of `channels`, on the 0..255 scale.
        scale: each channel is multiplied by it after the mean is taken off.
        multiple: height and width are padded up to a multiple of this, in pixels.
        max_side: longer frames are shrunk to this longer side by default, in pixels, because
            the model was trained on heads of the sizes that this gives.
        min_side: height and width are padded up to at least this, in pixels; at most 4096, as
            `multiple`.
        static_size: (height, width) if the graph accepts only one size, else None.
    """

    name: str = "image"
    channels: Literal["RGB", "BGR"] = "RGB"
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    scale: tuple[float, float, float] = (1 / 127.5, 1 / 127.5, 1 / 127.5)
    multiple: int = 32
    max_side: int = 2048
    min_side: int = 64
    static_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check(bool(self.name), "input.name", "the name of a tensor", self.name)
        check(self.channels in ("RGB", "BGR"), "input.channels", '"RGB" or "BGR"', self.channels)
        for name, numbers in (("mean", self.mean), ("scale", self.scale)):
            finite = all(map(math.isfinite, numbers))  # JSON cannot hold others
            check(finite, f"input.{name}", "three finite numbers", numbers)
        check(0.0 not in self.scale, "input.scale", "three numbers other than 0", self.scale)
        near = max(map(abs, self.mean)) <= LARGEST_MEAN
        check(
            near, "input.mean", f"three numbers up to {LARGEST_MEAN:g} on a scale of 255", self.mean
        )
        for factor in self.scale:
            check_size("input.scale, of either sign", abs(factor), *SCALES)
        check_side("input.multiple", self.multiple)
        check_side("input.min_side", self.min_side)
        check_side("input.max_side", self.max_side, 2**31 - 1)
        if self.static_size is not None:
            at, size = "input.static_size", self.static_size
            fine = 1 <= min(size) <= max(size) <= LARGEST_STATIC_SIDE
            check(fine, at, f"[height, width] up to {LARGEST_STATIC_SIDE} pixels, or null", size)
            whole = not any(side % self.multiple for side in size)
            check(whole, at, f"multiples of {self.multiple}", size)


@dataclass(frozen=True)
class OutputSpec:
    """One output map, float NCHW with batch first.

    Attributes:
        name: the tensor's name in the graph.
        role: "density" (1 channel, people per cell times `unit`, 0 or more), "heatmap"
            (1 channel, head probability in [0, 1]), "offset" (2 channels, dx and dy of the head
            centre from the top left corner of its cell, in cells), "size" (1 channel, side
            of the head in network pixels), "scores" (`anchors` channels, probability in [0, 1]
            that the box of this cell is a head) or "boxes" (4 channels for each of `anchors`:
            distances from the centre of the cell to the left, top, right and bottom side of the
            box, in cells).
        stride: network pixels per cell, on both axes.
        unit: the density's expansion factor: a cell holds `value / unit` people; 1 for others.
        anchors: boxes of each cell, of "scores" and "boxes".
    """

    name: str
    role: Role
    stride: int
    unit: float = 1.0
    anchors: int = 1

    def __post_init__(self) -> None:
        check(bool(self.name), "outputs.name", "the name of a tensor", self.name)
        at = f"outputs.{self.name}"
        check(self.role in ROLES, f"{at}.role", "one of " + ", ".join(ROLES), self.role)
        check_side(f"{at}.stride", self.stride)
        check_size(f"{at}.unit", self.unit, *UNITS)
        fine = self.role == "density" or self.unit == 1
        check(fine, f"{at}.unit", f"1, as the {self.role} holds no people", self.unit)
        most = MOST_ANCHORS if self.role in {"scores", "boxes"} else 1
        expected = f"1 to {most}" if most > 1 else f"1, as the {self.role} has no boxes"
        check(1 <= self.anchors <= most, f"{at}.anchors", expected, self.anchors)

    @property
    def channels(self) -> int:
        """Number of channels of the map."""
        return CHANNELS[self.role] * self.anchors


@dataclass(frozen=True)
class FusionSpec:
    """How density and head points are blended, cell by cell.

    The two-stream fusion is RAZ-Net's (Liu, Weng and Mu, "Recurrent Attentive Zooming for Joint
    Crowd Counting and Precise Localization", CVPR 2019); the weight is a smoothstep of the local
    density from `low` to `high`.

    Attributes:
        cell: side of a square in network pixels, a multiple of the density's stride. Without a
            grid the squares are the fusion cells.
        low: people per square up to which the points are trusted alone.
        high: people per square from which the density is trusted alone.
        grid: 0, or n of a grid of n x n fusion cells on each frame (4 in the paper): as many rows
            and columns of the density as the frame covers, divided by n and rounded up. Their
            people are scaled to a square before they are compared with `low` and `high`.
    """

    cell: int = 64
    low: float = 1.0
    high: float = 4.0
    grid: int = 0

    def __post_init__(self) -> None:
        at, ends = "postprocess.fusion", (self.low, self.high)
        check_side(f"{at}.cell", self.cell)
        check(0 <= self.low <= self.high <= MOST_PEOPLE, at, "0 <= low <= high <= 1e9", ends)
        fine = self.grid == 0 or 2 <= self.grid <= LARGEST_GRID
        check(fine, f"{at}.grid", f"0, or a number from 2 to {LARGEST_GRID}", self.grid)


@dataclass(frozen=True)
class IntervalSpec:
    """How far the truth may be from a count, measured on held-out images.

    The spread of a count ``n`` is ``sqrt(floor^2 + root^2 n + (share n)^2 + (gap d)^2)`` people,
    ``d`` being the difference between the density's count and the points': two heads that
    disagree are less to be trusted. The interval runs from ``n - below * spread``, at least 0, to
    ``n + above * spread``.

    Attributes:
        coverage: share of images whose truth lies inside, in (0, 1).
        below: spreads down to the lower end, 0 or more.
        above: spreads up to the upper end, 0 or more.
        floor: spread of an empty frame, in people.
        root: weight of independent errors, person by person.
        share: an error common to the whole frame, as a share of the count.
        gap: weight of the two heads' difference.
    """

    coverage: float
    below: float
    above: float
    floor: float
    root: float
    share: float
    gap: float

    def __post_init__(self) -> None:
        at = "postprocess.interval"
        check(0 < self.coverage < 1, f"{at}.coverage", "a share in (0, 1)", self.coverage)
        for name in ("below", "above", "floor", "root", "share", "gap"):
            value = getattr(self, name)
            check(0 <= value <= MOST_PEOPLE, f"{at}.{name}", "a number from 0 to 1e9", value)

    def of(self, count: float, density: float | None, points: float | None) -> tuple[float, float]:
        """Return the interval of a count, of a frame or a region; see `around`.

        Density and points are the counts of either alone, None where there is none: where they
        disagree the model is less sure of both.
        """
        return self.around(count, self.difference(density, points))

    @staticmethod
    def difference(density: float | None, points: float | None) -> float:
        """Return the density's count minus the points'; 0 where one is None: there is only one."""
        return 0.0 if density is None or points is None else density - points

    def around(self, count: float, difference: float = 0.0) -> tuple[float, float]:
        """Return the interval of a count.

        Args:
            count: the estimate, in people.
            difference: that of `difference`.

        Returns:
            Its lower end, at least 0, and its upper end, in people.
        """
        spread = self.spread(count, difference)
        return max(count - self.below * spread, 0.0), count + self.above * spread

    def spread(self, count: float, difference: float = 0.0) -> float:
        """Return the spread of a count in people; the arguments are those of `around`."""
        return math.sqrt(
            self.floor**2
            + self.root**2 * max(count, 0.0)
            + (self.share * count) ** 2
            + (self.gap * difference) ** 2
        )


@dataclass(frozen=True)
class PostprocessSpec:
    """How the maps become a count.

    A `Manifest` refuses values other than the default that its outputs have no use for.

    Attributes:
        window: side of the peak window in heatmap cells: 3, 5 or 7.
        threshold: a peak or a box is above it, in [0, 1).
        fusion: blending of density and points; None: the density alone is the count of a model
            that gives both.
        interval: interval of the truth around the count; None: not measured.
        nms_iou: a box is dropped where its intersection over union with one of a higher score
            that is kept is more than this, in [0, 1].
    """

    window: int = 3
    threshold: float = 0.4
    fusion: FusionSpec | None = None
    interval: IntervalSpec | None = None
    nms_iou: float = 0.5

    def __post_init__(self) -> None:
        check(self.window in WINDOWS, "postprocess.window", "3, 5 or 7", self.window)
        fine = 0 <= self.threshold < 1
        check(fine, "postprocess.threshold", "a number in [0, 1)", self.threshold)
        object.__setattr__(self, "threshold", self.threshold + 0.0)  # -0.0 is 0.0
        fine = 0 <= self.nms_iou <= 1
        check(fine, "postprocess.nms_iou", "a number in [0, 1]", self.nms_iou)


@dataclass(frozen=True)
class Manifest:
    """Description of a model: how it is fed, and what its output maps mean.

    Attributes:
        name: the model's name, such as "edgecount-s".
        version: the model's own version.
        description: one sentence for people.
        input: the image tensor.
        outputs: the maps: a density, a heatmap, or both, and an offset or size only with a
            heatmap; or the scores and boxes of a detector, a pair for each of its strides.
        postprocess: thresholds and fusion.
        training: free-form JSON: data the model was trained on and the metrics it reached.
        licence: terms of the weights.

    Raises:
        ModelError: the parts contradict each other; the message names the field.
    """

    name: str
    version: str
    description: str
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    postprocess: PostprocessSpec = field(default_factory=PostprocessSpec)
    training: dict[str, Any] = field(default_factory=dict)
    licence: str = ""

    def __post_init__(self) -> None:
        check(bool(self.name), "name", "the model's name", self.name)
        names = [output.name for output in self.outputs]
        check(len({*names}) == len(names), "outputs", "outputs of different names", names)
        check_roles(self.outputs)
        check_grids(self)
        check_postprocess(self)

    def output(self, role: Role) -> OutputSpec | None:
        """Return the output of a role, or None when the model does not give it.

        A model may give several outputs of the roles "scores" and "boxes": see `levels`.
        """
        return next((output for output in self.outputs if output.role == role), None)

    def levels(self) -> tuple[tuple[OutputSpec, OutputSpec], ...]:
        """Return the scores and boxes of each stride of a detector, finest first; () without."""
        scores = sorted(
            (output for output in self.outputs if output.role == "scores"),
            key=lambda output: output.stride,
        )
        boxes = {output.stride: output for output in self.outputs if output.role == "boxes"}
        return tuple((output, boxes[output.stride]) for output in scores)

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as plain JSON types.

        Fields that came later are left out where they say nothing, so that older releases can read
        the model: the interval, the grid, the anchors, and the IoU of models without boxes.
        """
        data = cast("dict[str, Any]", json.loads(json.dumps(asdict(self))))
        if self.postprocess.interval is None:
            del data["postprocess"]["interval"]
        if self.postprocess.fusion is not None and not self.postprocess.fusion.grid:
            del data["postprocess"]["fusion"]["grid"]
        if not self.levels() and self.postprocess.nms_iou == PostprocessSpec.nms_iou:
            del data["postprocess"]["nms_iou"]
        for output in data["outputs"]:
            if output["anchors"] == 1:
                del output["anchors"]
        return {"format": FORMAT, **data}

    def to_json(self) -> str:
        """Return the manifest as the JSON text that goes into a model file."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read a manifest from the JSON text of a model file.

        Raises:
            ModelError: not JSON, made by a newer edgecount, or a field is missing, unknown or
                of the wrong kind; the message names the field.
        """
        return cls.from_dict(load_json(text, "the manifest is not JSON", ModelError))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Manifest:
        """Read a manifest from plain JSON types; see `from_json`."""
        values: Any = data
        if isinstance(data, Mapping):
            values = dict(data)
            if "format" not in values:
                raise ModelError("manifest field format is missing")
            number = values.pop("format")
            check(type(number) is int, "format", "a whole number", number)
            if number != FORMAT:
                raise ModelError(
                    f"the manifest has format {shown(number)} and this edgecount reads format "
                    f"{FORMAT}: the model was made by a newer edgecount, upgrade with  pip install "
                    "-U edgecount"
                )
            if values.get("postprocess", 0) is None:  # null: the defaults
                del values["postprocess"]
        return _READER.build(cls, values)
