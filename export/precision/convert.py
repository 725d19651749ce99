"""FP16 and INT8 files of a float32 model, each with its proof."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgecount.errors import AccuracyError, BackendError, OutputError
from edgecount.export.defaults import Method
from edgecount.export.graph.queries import opset
from edgecount.export.precision.calibrate import (
    Calibration,
    calibrate,
    calibration_key,
    load_calibration,
)
from edgecount.export.precision.fp16 import LARGEST, SMALLEST, to_fp16
from edgecount.export.precision.int8 import Encoding, quantisable, to_int8
from edgecount.export.precision.mixed import Pairs
from edgecount.export.precision.sensitivity import Damage, find_kept, overflowing
from edgecount.export.precision.trial import HEADROOM, Bench, Converted, Way
from edgecount.export.source.load import with_manifest, with_opset
from edgecount.export.verify.compare import Proof, UncountableError
from edgecount.export.verify.images import Pictures, calibration_tensors
from edgecount.manifest import ENCODING_KEY, FOR_TENSORRT

if TYPE_CHECKING:
    import onnx

log = logging.getLogger(__name__)

# Half-precision steps of QuantizeLinear and DequantizeLinear came with it.
MIXED_OPSET = 19
PROBES = 3  # inputs that single nodes are tried on
TRIALS = 6  # pictures that a choice of nodes is tried on
_MARGIN = 0.8  # of the gate, so that the other pictures pass as well


class _OverflowError(Exception):
    """A picture showed values beyond float16 in nodes that none before it did: begin again."""


class _Lowering(NamedTuple):
    """One way to make a model narrower."""

    label: str
    model: onnx.ModelProto
    nodes: Sequence[str]  # that may be kept
    lower: Callable[[Collection[str]], onnx.ModelProto]  # with nodes that are kept
    run: Way


def make_fp16(bench: Bench, gate: float) -> Converted:
    """``model.fp16.onnx``: strongly typed, float32 at its ends.

    Nodes that see values near float16's largest stay in float32, on the bench's tensors and on
    pictures that go wrong, and so do, if the counts ask for it, those that move the outputs most.

    Raises:
        AccuracyError: it gives values that are no numbers; no force makes it a model.
    """
    model = bench.source.model
    name = "model.fp16.onnx"
    nodes = [node.name for node in model.graph.node]

    def lower(keep: Collection[str]) -> onnx.ModelProto:
        return to_fp16(model, keep)

    way = _Lowering("FP16", model, nodes, lower, "rounding")

    def attempt(trials: int) -> Converted:
        kept = overflowing(model, bench.scan(), LARGEST / HEADROOM, SMALLEST)
        found = _search(bench, way, kept, gate, trials)
        made = mark(with_manifest(lower({*kept, *found}), bench.source.manifest))
        proof = _prove_all(bench, name, made, gate, "rounding")
        return Converted(name, "fp16", made, {**kept, **found}, proof)

    return _best(bench, attempt)


def make_int8(
    bench: Bench, calibration: Calibration, method: Method, gate: float, encoding: Encoding
) -> Converted:
    """``model.int8.onnx`` (for TensorRT) or ``model.int8-cpu.onnx`` (for ONNX Runtime)."""
    model = bench.source.model
    ranges = calibration.ranges(method)
    name = "model.int8.onnx" if encoding == "tensorrt" else "model.int8-cpu.onnx"
    way: Way = "as written" if encoding == "tensorrt" else "as used"

    def lower(keep: Collection[str]) -> onnx.ModelProto:
        return to_int8(model, ranges, encoding, keep)

    nodes = quantisable(model)
    label = "INT8" if encoding == "tensorrt" else "INT8 for CPUs"
    lowering = _Lowering(label, model, nodes, lower, way)

    def attempt(trials: int) -> Converted:
        found = _search(bench, lowering, {}, gate, trials)
        made = with_manifest(lower(found), bench.source.manifest)
        if encoding == "tensorrt":
            made = mark(made)
        return Converted(name, "int8", made, found, _prove_all(bench, name, made, gate, way))

    return _best(bench, attempt)


def make_mixed(bench: Bench, int8: Converted, gate: float) -> Converted:
    """``model.int8-fp16.onnx``: what the INT8 file leaves in float32 computes in float16.

    In a strongly typed graph it would stay in float32 otherwise, slower than a plain FP16 engine.
    """
    name = "model.int8-fp16.onnx"
    wide = with_opset(int8.model, max(MIXED_OPSET, opset(int8.model)))
    pairs = Pairs(wide)
    nodes = pairs.computing()
    why = {node: f"FP16, not INT8: {reason}" for node, reason in int8.kept.items()}

    def lower(keep: Collection[str]) -> onnx.ModelProto:
        return to_fp16(wide, pairs.closed(keep))

    way = _Lowering("INT8 with FP16", wide, nodes, lower, "rounding")

    def attempt(trials: int) -> Converted:
        kept = pairs.overflowing(bench.scan(), HEADROOM)
        found = _search(bench, way, kept, gate, trials)
        made = mark(with_manifest(lower({*kept, *found}), bench.source.manifest))
        proof = _prove_all(bench, name, made, gate, "rounding")
        return Converted(name, "int8+fp16", made, {**why, **kept, **found}, proof)

    return _best(bench, attempt)


def mark(model: onnx.ModelProto) -> onnx.ModelProto:
    """Say in the file that it is meant for TensorRT, so that ONNX Runtime takes it as written."""
    # What is made of a marked file has it already, and ONNX's checker refuses a key twice.
    if all(entry.key != ENCODING_KEY for entry in model.metadata_props):
        entry = model.metadata_props.add()
        entry.key, entry.value = ENCODING_KEY, FOR_TENSORRT
    return model


def _best(bench: Bench, attempt: Callable[[int], Converted]) -> Converted:
    """Search on a few pictures, and on all if what that found does not pass on all."""
    few = min(TRIALS, len(bench.pictures))
    made = _repeated(attempt, few)
    if few < len(bench.pictures) and made.proof is not None and not made.proof.passed:
        made = _repeated(attempt, len(bench.pictures))
    return made


def _repeated(attempt: Callable[[int], Converted], trials: int) -> Converted:
    """An attempt, begun again while pictures show what overflows; a bench looks at few."""
    made = None
    while made is None:
        with suppress(_OverflowError):
            made = attempt(trials)
    return made


def _prove(
    bench: Bench, model: onnx.ModelProto, gate: float, number: int, what: str, way: Way
) -> Proof:
    """As :meth:`Bench.prove`, with a look at the picture on which a float16 file went wrong.

    Raises:
        UncountableError: the file gives values that are no numbers.
        _OverflowError: more nodes overflow there than was known.
    """
    try:
        proof = bench.prove(model, gate, number, what, way)
    except UncountableError as error:
        if way == "rounding" and bench.watch(error.picture):
            raise _OverflowError(f"more nodes overflow on {error.picture.name}") from error
        raise
    worst = proof.worst[0]
    if way == "rounding" and not proof.passed and bench.watch(worst):
        raise _OverflowError(f"more nodes overflow on {worst.name}")
    return proof


def _prove_all(bench: Bench, name: str, model: onnx.ModelProto, gate: float, way: Way) -> Proof:
    """The proof of a finished file, on every picture.

    Raises:
        AccuracyError: it gives values that are no numbers; no force makes it a model.
    """
    try:
        return _prove(bench, model, gate, len(bench.pictures), f"counting with {name}", way)
    except BackendError as error:
        other = "--fp16" if name == "model.fp16.onnx" else "--int8"
        raise AccuracyError(
            f"{name} cannot count, and nothing was written: {error}; --force keeps no such file: "
            f"export without {other}, or leave that picture out if your cameras see nothing like it"
        ) from error


def calibrated(bench: Bench, pictures: Pictures, cache: Path, *, keep: bool = True) -> Calibration:
    """The ranges of all that may become bytes; from the cache where it is of the same run."""
    model, spec = bench.source.model, bench.source.manifest.input
    key = calibration_key(model.graph.SerializeToString(), repr(spec), pictures.paths)
    found = load_calibration(cache, key)
    if found is not None:
        log.info("ranges taken from %s", cache)
        return found
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        bench.report("calibrating", done, len(pictures))

    feeds = ({spec.name: tensor} for tensor in calibration_tensors(pictures, spec))
    made = calibrate(model, feeds, calibrated_tensors(model), threads=bench.threads, progress=step)
    if keep:
        try:
            made.save(cache, key)
        except OutputError as error:
            bench.warn(f"{error}: the next export has to run the calibration images again")
    return made


def _search(
    bench: Bench, way: _Lowering, always: Mapping[str, str], gate: float, trials: int
) -> dict[str, str]:
    """Nodes to keep for the counts' sake; none where that does not help (the gate will say so)."""
    label, nodes, lower = way.label, way.nodes, way.lower
    damage = Damage(way.model, lower, nodes, bench.feeds()[:PROBES], bench.threads, way.run)
    seen: dict[str, float] = {}

    def alone(name: str) -> float:
        seen[name] = damage(name)
        bench.report(f"{label}: which layers it costs", len(seen), len(nodes))
        return seen[name]

    def accept(model: onnx.ModelProto) -> bool:
        try:
            return _prove(bench, model, gate * _MARGIN, trials, f"trying {label}", way.run).passed
        except BackendError:  # values that are no numbers
            return False

    kept = find_kept(lower, nodes, always, alone, accept)
    if kept is None:
        log.info("%s: keeping half of the layers in float32 does not save the counts", label)
        return {}
    return {name: f"alone it moves the maps by {seen[name]:.2%}" for name in kept}
