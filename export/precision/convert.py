"""Convert a float32 model to FP16 and INT8, and compare each file with it.

Each conversion is a loop: convert, count, and keep in float32 what the counts ask for, until the
counts pass or nothing helps.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgecount.errors import AccuracyError, BackendError, ModelError, OutputError
from edgecount.export.defaults import Method
from edgecount.export.graph.queries import opset
from edgecount.export.precision.calibrate import (
    Calibration,
    calibrate,
    calibration_key,
    load_calibration,
)
from edgecount.export.precision.fp16 import LARGEST, SMALLEST, to_fp16
from edgecount.export.precision.int8 import Encoding, calibrated_tensors, quantisable, to_int8
from edgecount.export.precision.mixed import Pairs
from edgecount.export.precision.sensitivity import Sensitivity, find_kept, overflowing
from edgecount.export.precision.trial import HEADROOM, ExecutionMode, Trial
from edgecount.export.progress import Steps
from edgecount.export.source.load import with_manifest, with_opset
from edgecount.export.verify.compare import Comparison, UncountableError
from edgecount.export.verify.images import ImageFolder, calibration_tensors
from edgecount.manifest import ENCODING_KEY, FOR_TENSORRT

if TYPE_CHECKING:
    import onnx

log = logging.getLogger(__name__)

# Half-precision scales of QuantizeLinear and DequantizeLinear came with it.
MIXED_OPSET = 19
PROBES = 3  # inputs that single nodes are tried on
SEARCHED = 6  # images that a choice of nodes is tried on
_MARGIN = 0.8  # share of the gate that a search has to keep to, so that other images pass as well


@dataclass(frozen=True)
class Converted:
    """A file made from the float32 model.

    Attributes:
        name: name of the file.
        precision: ``fp32``, ``fp16``, ``int8`` or ``int8+fp16``.
        model: its graph.
        kept: nodes that stay in a higher precision, each with the reason.
        comparison: its counts beside those of the float32 model; None: it was not compared.
    """

    name: str
    precision: str
    model: onnx.ModelProto
    kept: Mapping[str, str] = field(default_factory=dict)
    comparison: Comparison | None = None


@dataclass(frozen=True)
class _Conversion:
    """A way to convert a graph to a lower precision, and what its graphs are tried on.

    Attributes:
        trial: what they are tried on.
        gate: the largest relative difference of the counts that passes.
        name: name of the file that it makes.
        precision: see `Converted`.
        label: the conversion in words.
        option: the export's option that asks for it.
        model: the graph that it starts from.
        nodes: names of the nodes that it can convert.
        convert: makes the graph that keeps these nodes as they are.
        overflowing: returns the nodes that must be kept for their values, with the reason.
        mode: how its graphs are run.
    """

    trial: Trial
    gate: float
    name: str
    precision: str
    label: str
    option: Literal["fp16", "int8"]
    model: onnx.ModelProto
    nodes: Sequence[str]
    convert: Callable[[Collection[str]], onnx.ModelProto]
    overflowing: Callable[[], dict[str, str]]
    mode: ExecutionMode

    def make(self) -> Converted:
        """Choose the nodes to keep on a few images, and on all if that does not pass on all."""
        number = len(self.trial.images)
        made = self._make(min(SEARCHED, number))
        passed = made.comparison is not None and made.comparison.passed
        return made if passed or number <= SEARCHED else self._make(number)

    def _make(self, number: int) -> Converted:
        """Make a file, choosing the nodes to keep by counts on the first images.

        It is made anew while images show overflow that was not known when it was begun.

        Raises:
            AccuracyError: it gives non-finite values.
        """
        trial, task = self.trial, f"counting with {self.name}"
        while True:
            known = trial.overflows
            required = self.overflowing()
            kept = {**required, **self._search(required, number)}
            if trial.overflows > known:
                continue
            model = with_manifest(self.convert(kept), trial.source.manifest)
            if self.mode != "as used":
                model = marked(model)
            comparison, failure = self._compare(model, self.gate, len(trial.images), task)
            if trial.overflows == known:
                break
        if failure:
            raise AccuracyError(
                f"{self.name} cannot count, and nothing was written: {failure}; `force` keeps no "
                f"such file: export without `{self.option}`, or leave that image out if your "
                "cameras see nothing like it"
            ) from failure
        return Converted(self.name, self.precision, model, kept, comparison)

    def _search(self, required: Collection[str], number: int) -> dict[str, str]:
        """Return nodes to keep for the counts' sake; none where that does not help."""
        trial, label, seen = self.trial, self.label, dict[str, float]()
        known, feeds = trial.overflows, trial.feeds[:PROBES]
        sensitivity = Sensitivity(
            self.model, self.convert, self.nodes, feeds, trial.threads, self.mode
        )

        def sensitivity_of(name: str) -> float:
            seen[name] = sensitivity(name)
            trial.progress(f"{label}: which layers it costs", len(seen), len(self.nodes))
            return seen[name]

        def is_enough(model: onnx.ModelProto) -> bool:
            comparison, _ = self._compare(model, self.gate * _MARGIN, number, f"trying {label}")
            # New overflow makes the whole attempt outdated: the search need not go on.
            return trial.overflows > known or (comparison is not None and comparison.passed)

        kept = find_kept(self.convert, self.nodes, required, sensitivity_of, is_enough)
        if kept is None:
            log.info("%s: keeping half of the layers in float32 does not save the counts", label)
            return {}
        return {name: f"alone it moves the maps by {seen[name]:.2%}" for name in kept}

    def _compare(
        self, model: onnx.ModelProto, gate: float, number: int, task: str
    ) -> tuple[Comparison | None, BackendError | None]:
        """Compare a graph, and look for overflow on the image on which a float16 graph fails."""
        comparison: Comparison | None = None
        failure: BackendError | None = None
        try:
            comparison = self.trial.compare(model, gate, number, task, self.mode)
        except BackendError as error:  # the engine fails, or the maps are not finite
            failure = error
        if self.mode == "rounding":
            if isinstance(failure, UncountableError):
                self.trial.rescan(failure.image)
            elif comparison and not comparison.passed:
                self.trial.rescan(comparison.worst[0])
        return comparison, failure


def make_fp16(trial: Trial, gate: float) -> Converted:
    """Make ``model.fp16.onnx``: strongly typed, with float32 inputs and outputs.

    Nodes that see values near float16's largest stay in float32, on the trial's tensors and on
    images that go wrong, and so do, if the counts ask for it, those that move the outputs most.

    Raises:
        AccuracyError: it gives non-finite values, which no force makes a model.
    """
    model = trial.source.model
    return _Conversion(
        trial=trial,
        gate=gate,
        name="model.fp16.onnx",
        precision="fp16",
        label="FP16",
        option="fp16",
        model=model,
        nodes=[node.name for node in model.graph.node],
        convert=lambda keep: to_fp16(model, keep),
        overflowing=lambda: overflowing(model, trial.largest(), LARGEST / HEADROOM, SMALLEST),
        mode="rounding",
    ).make()


def make_int8(
    trial: Trial, calibration: Calibration, method: Method, gate: float, encoding: Encoding
) -> Converted:
    """Make ``model.int8.onnx`` (for TensorRT) or ``model.int8-cpu.onnx`` (for ONNX Runtime).

    Raises:
        AccuracyError: it gives non-finite values, which no force makes a model.
    """
    model = trial.source.model
    ranges, means = calibration.ranges(method), calibration.means()
    for_tensorrt = encoding == "tensorrt"
    return _Conversion(
        trial=trial,
        gate=gate,
        name="model.int8.onnx" if for_tensorrt else "model.int8-cpu.onnx",
        precision="int8",
        label="INT8" if for_tensorrt else "INT8 for CPUs",
        option="int8",
        model=model,
        nodes=quantisable(model),
        convert=lambda keep: to_int8(model, ranges, encoding, keep, means),
        overflowing=dict,
        mode="as written" if for_tensorrt else "as used",
    ).make()


def make_mixed(trial: Trial, int8: Converted, gate: float) -> Converted:
    """Make ``model.int8-fp16.onnx``: what the INT8 file leaves in float32 computes in float16.

    In a strongly typed graph it would stay in float32 otherwise, slower than a plain FP16 engine.

    Raises:
        AccuracyError: it gives non-finite values, which no force makes a model.
    """
    model = with_opset(int8.model, max(MIXED_OPSET, opset(int8.model)))
    pairs = Pairs(model)
    made = _Conversion(
        trial=trial,
        gate=gate,
        name="model.int8-fp16.onnx",
        precision="int8+fp16",
        label="INT8 with FP16",
        option="int8",
        model=model,
        nodes=pairs.computing(),
        convert=lambda keep: to_fp16(model, pairs.closed(keep)),
        overflowing=lambda: pairs.overflowing(trial.largest(), HEADROOM),
        mode="rounding",
    ).make()
    not_int8 = {node: f"FP16, not INT8: {reason}" for node, reason in int8.kept.items()}
    return dataclasses.replace(made, kept={**not_int8, **made.kept})


def marked(model: onnx.ModelProto) -> onnx.ModelProto:
    """Say in a file that it is meant for TensorRT, so that ONNX Runtime takes it as written."""
    # What is made of a marked file has it already, and ONNX's checker refuses a key twice.
    if all(entry.key != ENCODING_KEY for entry in model.metadata_props):
        entry = model.metadata_props.add()
        entry.key, entry.value = ENCODING_KEY, FOR_TENSORRT
    return model


def calibrated(trial: Trial, images: ImageFolder, cache: Path) -> Calibration:
    """Return the values of all tensors that INT8 may store, from the cache if it is of them.

    Raises:
        ModelError: the model has nothing that INT8 computes.
    """
    model, spec = trial.source.model, trial.source.manifest.input
    tensors = calibrated_tensors(model)
    if not tensors:
        raise ModelError(
            "expected a model with convolutions of constant float32 weights, which are what INT8 "
            "computes, got one without any: export it without `int8`"
        )
    key = calibration_key(model.graph.SerializeToString(), repr(spec), images.paths)
    found = load_calibration(cache, key)
    if found is not None:
        log.info("ranges taken from %s", cache)
        return found
    step = Steps(trial.progress, "calibrating", len(images))
    feeds = ({spec.name: tensor} for tensor in calibration_tensors(images, spec))
    made = calibrate(model, feeds, tensors, threads=trial.threads, progress=step)
    try:
        made.save(cache, key)
    except OutputError as error:
        trial.warn(f"{error}: the next export has to run the calibration images again")
    return made
