"""What conversions are tried with: a model, pictures, and what was found out about both."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from edgecount._files import write_whole
from edgecount.errors import BackendError
from edgecount.export.graph.session import AsWritten
from edgecount.export.precision.fp16 import LARGEST, rounding
from edgecount.export.precision.value_ranges import scan_largest
from edgecount.export.source.load import Source, with_manifest
from edgecount.export.verify.compare import Picture, Proof, UncountableError, count_pictures, prove
from edgecount.runtime.pipeline.preprocess import plan_input, write_input

if TYPE_CHECKING:
    import onnx

    from edgecount import CountResult, EdgeCounter

log = logging.getLogger(__name__)

HEADROOM = 4  # how far beyond the largest value that was seen float16 must reach
RESCANS = 3  # pictures that are looked at again for what they show, at most

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
        warn: told at once what the user should know.
        originals: what the float32 file says of the first pictures, as far as it was asked.
        largest: tensor to the largest magnitude seen so far; empty before the first :meth:`scan`.
        watched: names of the pictures that were scanned for what they showed.
    """

    source: Source
    folder: Path
    pictures: Sequence[Picture]
    tensors: Sequence[NDArray[np.float32]]
    threads: int | None
    report: Report
    warn: Callable[[str], None] = log.warning
    originals: list[CountResult] = field(default_factory=list)
    largest: dict[str, float] = field(default_factory=dict)
    watched: list[str] = field(default_factory=list)

    def feeds(self) -> list[dict[str, NDArray[np.float32]]]:
        """The tensors by the input's name."""
        return [{self.source.manifest.input.name: tensor} for tensor in self.tensors]

    def counter(self, path: Path) -> EdgeCounter:
        """A counter over a file, on the CPU, as its users will run it."""
        from edgecount import EdgeCounter

        return EdgeCounter(path, backend="onnxruntime", threads=self.threads)

    def count_originals(self, number: int) -> list[CountResult]:
        """What the float32 file says of the first pictures; each is counted once.

        Raises:
            BackendError: it gives values that are no numbers.
        """
        if len(self.originals) >= number:
            return self.originals[:number]
        with self.counter(self.folder / "model.onnx") as counter:
            while len(self.originals) < number:
                self.report("counting in FP32", len(self.originals), len(self.pictures))
                picture = self.pictures[len(self.originals)]
                try:
                    self.originals.extend(count_pictures(counter, [picture]))
                except UncountableError as error:
                    raise BackendError(
                        f"the float32 model itself cannot count {error}: mend the model, or leave "
                        "that picture out if your cameras see nothing like it"
                    ) from error
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
            UncountableError: it gives values that are no numbers.
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

    def scan(self) -> dict[str, float]:
        """The largest magnitude of every float32 tensor, on the tensors and on what was watched."""
        if not self.largest:
            done = 0

            def step() -> None:
                nonlocal done
                done += 1
                self.report("looking for large values", done, len(self.tensors))

            self.report("looking for large values", 0, len(self.tensors))
            model, feeds = self.source.model, self.feeds()
            self.largest.update(scan_largest(model, feeds, threads=self.threads, progress=step))
        return self.largest

    def watch(self, picture: Picture) -> bool:
        """Scan a whole picture on which a float16 file went wrong.

        Returns:
            Whether a tensor goes beyond what float16 holds, with headroom, that did not before.
        """
        if picture.name in self.watched or len(self.watched) >= RESCANS:
            return False
        self.watched.append(picture.name)
        self.report(f"looking for large values on {picture.name}", 0, 1)
        before, spec = dict(self.scan()), self.source.manifest.input
        plan = plan_input(picture.image.shape[1::-1], spec, spec.max_side)
        tensor = np.empty((1, 3, *plan.padded), np.float32)
        write_input(picture.image, plan.resized, spec, tensor)
        seen = scan_largest(self.source.model, [{spec.name: tensor}], threads=self.threads)
        self.largest.update({name: max(value, before[name]) for name, value in seen.items()})
        limit = LARGEST / HEADROOM
        return any(before[name] <= limit < value for name, value in self.largest.items())
