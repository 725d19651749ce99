"""FP16 and INT8 files of a float32 model, each with its proof."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import AccuracyError, BackendError
from edgecount.export.calibrate import (
    Calibration,
    Method,
    calibrate,
    calibration_key,
    load_calibration,
)
from edgecount.export.fp16 import LARGEST, SMALLEST, rounding, to_fp16
from edgecount.export.graph import float_tensors, opset
from edgecount.export.int8 import Encoding, quantisable, to_int8, watched
from edgecount.export.onnx import write_whole
from edgecount.export.pictures import Pictures, calibration_tensors
from edgecount.export.proof import Picture, Proof, count_pictures, prove
from edgecount.export.search import Damage, find_kept, overflowing
from edgecount.export.session import AsWritten
from edgecount.export.source import Source, with_manifest, with_opset
from edgecount.manifest import ENCODING_KEY, FOR_TENSORRT

if TYPE_CHECKING:
    import onnx

    from edgecount import CountResult, EdgeCounter

log = logging.getLogger(__name__)

# Half-precision steps of QuantizeLinear and DequantizeLinear came with it.
MIXED_OPSET = 19
PROBES = 3  # inputs that single nodes are tried on
TRIALS = 6  # pictures that a choice of nodes is tried on
GROUP = 32  # tensors that are watched at once
HEADROOM = 4  # how far beyond the largest value that was seen a type must reach
_MARGIN = 0.8  # of the gate, so that the other pictures pass as well

Report = Callable[[str, int, int], None]  # what is done, steps done, steps in all
# How a file is proven: as a user's EdgeCounter runs it; step by step as the graph says; or with
# the rounding of its float16.
Way = Literal["as used", "as written", "rounding"]


@dataclass(frozen=True)
class Converted:
    """A file made from the float32 model.

    Attributes:
        name: of the file.
        precision: ``fp32``, ``fp16``, ``int8`` or ``int8+fp16``.
        model: its graph.
        kept: node to the reason why it stays in float32.
        proof: how it counts; None: it was not run.
    """

    name: str
    precision: str
    model: onnx.ModelProto
    kept: Mapping[str, str] = field(default_factory=dict)
    proof: Proof | None = None


@dataclass(frozen=True)
class Bench:
    """What conversions are tried with.

    Attributes:
        source: the float32 model.
        folder: where files are written.
        pictures: to prove on, at least one.
        tensors: some of them as inputs of the network.
        threads: of ONNX Runtime.
        report: told how far the work is.
        originals: what the float32 file says of the first pictures, as far as it was asked.
    """

    source: Source
    folder: Path
    pictures: Sequence[Picture]
    tensors: Sequence[NDArray[np.float32]]
    threads: int | None
    report: Report
    originals: list[CountResult] = field(default_factory=list)

    def feeds(self) -> list[dict[str, NDArray[np.float32]]]:
        """The tensors by the input's name."""
        return [{self.source.manifest.input.name: tensor} for tensor in self.tensors]

    def counter(self, path: Path) -> EdgeCounter:
        """A counter over a file, on the CPU, as its users will run it."""
        from edgecount import EdgeCounter

        return EdgeCounter(path, backend="onnxruntime", threads=self.threads)

    def count_originals(self, number: int) -> list[CountResult]:
        """What the float32 file says of the first pictures; each is counted once."""
        if len(self.originals) >= number:
            return self.originals[:number]
        with self.counter(self.folder / "model.onnx") as counter:
            while len(self.originals) < number:
                self.report("counting in FP32", len(self.originals), len(self.pictures))
                picture = self.pictures[len(self.originals)]
                self.originals.extend(count_pictures(counter, [picture]))
        return self.originals[:number]

    def prove(self, model: onnx.ModelProto, gate: float, number: int, what: str, way: Way) -> Proof:
        """How a graph counts the first pictures, beside the float32 file.

        Args:
            model: the graph.
            gate: the largest relative difference that passes.
            number: of pictures.
            what: for the report.
            way: how it is run.

        Raises:
            BackendError: it gives values that are no numbers.
        """
        from edgecount import EdgeCounter

        originals = self.count_originals(number)
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            self.report(what, done, number)

        pictures = self.pictures[:number]
        if way != "as used":
            graph = rounding(model) if way == "rounding" else model
            with (
                AsWritten(graph, self.threads) as backend,
                EdgeCounter(self.source.manifest, backend=backend) as theirs,
            ):
                return prove(pictures, originals, theirs, gate, progress=step)
        tried = self.folder / "tried.onnx"
        write_whole(tried, with_manifest(model, self.source.manifest).SerializeToString())
        try:
            with self.counter(tried) as theirs:
                return prove(pictures, originals, theirs, gate, progress=step)
        finally:
            tried.unlink()

    def prove_all(self, name: str, model: onnx.ModelProto, gate: float, way: Way) -> Proof:
        """The proof of a finished file, on every picture.

        Raises:
            AccuracyError: it gives values that are no numbers; no force makes it a model.
        """
        try:
            return self.prove(model, gate, len(self.pictures), f"counting with {name}", way)
        except BackendError as error:
            raise AccuracyError(f"{name} cannot count, and nothing was written: {error}") from error


def make_fp16(bench: Bench, gate: float) -> Converted:
    """``model.fp16.onnx``: strongly typed, float32 at its ends.

    Nodes that see values near float16's largest on the bench's tensors stay in float32, and so do,
    if the counts ask for it, those that move the outputs most.
    """
    model = bench.source.model
    name = "model.fp16.onnx"
    kept = overflowing(model, scan(bench), LARGEST / HEADROOM, SMALLEST)

    def lower(keep: Collection[str]) -> onnx.ModelProto:
        return to_fp16(model, keep)

    nodes = [node.name for node in model.graph.node]

    def attempt(trials: int) -> Converted:
        found = _search(bench, lower, nodes, kept, gate, "FP16", "rounding", trials)
        made = mark(with_manifest(lower({*kept, *found}), bench.source.manifest))
        proof = bench.prove_all(name, made, gate, "rounding")
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

    def attempt(trials: int) -> Converted:
        found = _search(bench, lower, nodes, {}, gate, label, way, trials)
        made = with_manifest(lower(found), bench.source.manifest)
        if encoding == "tensorrt":
            made = mark(made)
        return Converted(name, "int8", made, found, bench.prove_all(name, made, gate, way))

    return _best(bench, attempt)


def make_mixed(bench: Bench, int8: Converted, gate: float) -> Converted:
    """``model.int8-fp16.onnx``: what the INT8 file leaves in float32 computes in float16.

    In a strongly typed graph it would stay in float32 otherwise, slower than a plain FP16 engine.
    """
    name = "model.int8-fp16.onnx"
    wide = with_opset(int8.model, max(MIXED_OPSET, opset(int8.model)))
    largest = scan(bench)
    largest |= {f"{tensor}_dequantised": value for tensor, value in largest.items()}
    kept = overflowing(wide, largest, LARGEST / HEADROOM, SMALLEST)
    made = mark(with_manifest(to_fp16(wide, kept), bench.source.manifest))
    proof = bench.prove_all(name, made, gate, "rounding")
    why = {node: f"FP16, not INT8: {reason}" for node, reason in int8.kept.items()}
    return Converted(name, "int8+fp16", made, {**why, **kept}, proof)


def mark(model: onnx.ModelProto) -> onnx.ModelProto:
    """Say in the file that it is meant for TensorRT, so that ONNX Runtime takes it as written."""
    entry = model.metadata_props.add()
    entry.key, entry.value = ENCODING_KEY, FOR_TENSORRT
    return model


def _best(bench: Bench, attempt: Callable[[int], Converted]) -> Converted:
    """Search on a few pictures, and on all if what that found does not pass on all."""
    few = min(TRIALS, len(bench.pictures))
    made = attempt(few)
    if few < len(bench.pictures) and made.proof is not None and not made.proof.passed:
        made = attempt(len(bench.pictures))
    return made


def scan(bench: Bench) -> dict[str, float]:
    """The largest magnitude of every float32 tensor, on the bench's tensors."""
    model = bench.source.model
    names = [bench.source.manifest.input.name, *(name for _, name in float_tensors(model))]
    largest: dict[str, float] = {}
    # All at once, the tensors of a large network on a large picture may not fit in memory.
    for first in range(0, len(names), GROUP):
        part = names[first : first + GROUP]
        seen = calibrate(model, bench.feeds(), part, threads=bench.threads)
        largest |= {name: values.largest for name, values in seen.values.items()}
    return largest


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
    made = calibrate(model, feeds, watched(model), threads=bench.threads, progress=step)
    if keep:
        made.save(cache, key)
    return made


def _search(
    bench: Bench,
    lower: Callable[[Collection[str]], onnx.ModelProto],
    nodes: Sequence[str],
    always: Mapping[str, str],
    gate: float,
    label: str,
    way: Way,
    trials: int,
) -> dict[str, str]:
    """Nodes to keep for the counts' sake; none where that does not help (the gate will say so)."""
    damage = Damage(bench.source.model, lower, nodes, bench.feeds()[:PROBES], bench.threads, way)
    seen: dict[str, float] = {}

    def alone(name: str) -> float:
        seen[name] = damage(name)
        bench.report(f"{label}: which layers it costs", len(seen), len(nodes))
        return seen[name]

    def accept(model: onnx.ModelProto) -> bool:
        try:
            return bench.prove(model, gate * _MARGIN, trials, f"trying {label}", way).passed
        except BackendError:  # values that are no numbers
            return False

    kept = find_kept(lower, nodes, always, alone, accept)
    if kept is None:
        log.info("%s: keeping half of the layers in float32 does not save the counts", label)
        return {}
    return {name: f"alone it moves the maps by {seen[name]:.2%}" for name in kept}
