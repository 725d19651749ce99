"""From one model to a folder of proven files: what `edgecount export` does."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgecount._files import write_whole
from edgecount.errors import AccuracyError
from edgecount.export.extras import missing
from edgecount.export.graph.session import open_session
from edgecount.export.options import ExportOptions
from edgecount.export.output_folder import check_target, staged
from edgecount.export.precision import convert
from edgecount.export.precision.trial import Bench, Converted, Report
from edgecount.export.source.foreign import Description
from edgecount.export.source.load import Source, load_source, with_static_size
from edgecount.export.tensorrt.build import EngineOptions, EngineRecord, build_engine, check_network
from edgecount.export.tensorrt.choose import plan_engines
from edgecount.export.tensorrt.record import make_sidecar, write_sidecar
from edgecount.export.tensorrt.verify import EngineRun, run_engine
from edgecount.export.verify.choice import Choice, choose_pictures
from edgecount.export.verify.compare import Proof, count_pictures, prove
from edgecount.export.verify.gate import advice, percentages, refusal
from edgecount.export.verify.images import calibration_tensors
from edgecount.manifest import Manifest
from edgecount.runtime.backends.tensorrt.library import load_tensorrt, probe_features

__all__ = ["Export", "ExportOptions", "FileRecord", "export_model"]

SAME = 1e-3  # of the mean count, or of a map's largest value: the same network in another form
WITH_TORCH = 3
SCANNED = 8  # pictures of the proof, and as many of the calibration: for FP16's range
NOBODY = 1.0  # people: a mean count below proves nothing


@dataclass(frozen=True)
class FileRecord:
    """A file of the export.

    Attributes:
        converted: an ONNX file, or None.
        engine: an engine, or None.
        run: what running the engine showed; None: it is no engine.
        path: where it lies in the folder.
        size: bytes.
        sha256: of its content.
        refused: by its own gate, and kept by force.
        overridden: it is refused, or an engine of a file that is.
    """

    path: Path
    size: int
    sha256: str
    converted: Converted | None = None
    engine: EngineRecord | None = None
    run: EngineRun | None = None
    refused: bool = False
    overridden: bool = False


@dataclass(frozen=True)
class Export:
    """What was made.

    Attributes:
        source: the float32 model.
        files: in the order in which they were made.
        pictures: where the proof's pictures come from, in words.
        real: whether those are real images.
        warnings: what the user should know.
        options: as asked for.
        no_engine: why none was built; None where one was, or none was asked for.
        report: told how far the work with it is.
    """

    source: Source
    files: Sequence[FileRecord]
    pictures: str
    real: bool
    warnings: Sequence[str]
    options: ExportOptions
    no_engine: str | None = None
    report: Report = field(default=lambda *_: None, repr=False, compare=False)


def export_model(
    model: str,
    out: Path,
    options: ExportOptions,
    *,
    described: Description | None = None,
    stated: Mapping[str, str] | None = None,
    report: Report | None = None,
    warn: Callable[[str], None] | None = None,
    begin: Callable[[Manifest], None] | None = None,
    finish: Callable[[Export, Path], None] | None = None,
) -> Export:
    """Make and prove all files, then give the folder its name.

    Args:
        model: see :func:`edgecount.export.source.load.load_source`.
        out: the folder to make.
        options: what to make.
        described: of an ONNX without a manifest.
        stated: ``name``, ``version`` and ``licence`` in place of the model's own.
        report: told (what is done, steps done, steps in all).
        warn: told each of the export's warnings, as soon as it is known.
        begin: told of the model before the long work, which what it raises ends.
        finish: writes what else belongs into the folder, before it gets its name.

    Raises:
        AccuracyError: a file counts too differently; nothing is left.
        ConfigError: an option makes no sense here.
        OutputError: the folder is there, or cannot be written.
        SourceError: an image cannot be read.
        EdgeCountError: whatever the steps raise.
    """
    out = out.expanduser().resolve()
    inputs = (Path(model), options.calibration, options.verify)
    check_target(out, overwrite=options.overwrite, inputs=[path for path in inputs if path])
    # A checkpoint takes PyTorch, an .onnx does not.
    check_packages("export" if Path(model).suffix == ".pt" else "engine")
    warnings = _Warnings(warn)
    told = report or (lambda *_: None)
    source = load_source(model, described=described, stated=stated, version=options.opset)
    if options.size:
        source = with_static_size(source, options.size)
    if begin:
        begin(source.manifest)
    plans, no_engine = plan_engines(source.manifest.input, options)
    check_network(source.model, plans)
    choice = choose_pictures(options, warnings.add, told)
    with staged(out, overwrite=options.overwrite) as folder:
        maker = _Maker(source, options, choice, folder, out, told, warnings)
        made = dataclasses.replace(maker.make(plans), no_engine=no_engine)
        if finish:
            finish(made, folder)
    return made


def check_packages(extra: str) -> None:
    """Say what is missing before the long work.

    Args:
        extra: of edgecount, that brings the packages.

    Raises:
        MissingExtraError: a package is not installed.
    """
    for name in ("onnx", "onnxslim", "onnxruntime", "jinja2"):
        _check_package(name, extra)


def _check_package(name: str, extra: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError as error:
        raise missing(name, extra, "to export models") from error


class _Warnings:
    """Told at once, and kept."""

    def __init__(self, warn: Callable[[str], None] | None) -> None:
        self.all: list[str] = []
        self._warn = warn

    def add(self, text: str) -> None:
        self.all.append(text)
        if self._warn:
            self._warn(text)


class _Maker:
    """One export on its way."""

    def __init__(
        self,
        source: Source,
        options: ExportOptions,
        choice: Choice,
        folder: Path,
        out: Path,
        report: Report,
        warnings: _Warnings,
    ) -> None:
        self.source, self.options, self.folder, self.report = source, options, folder, report
        self.choice, self.warnings = choice, warnings
        # Beside the folder, so that an export that is refused leaves it for the next.
        self.cache = out.with_name(f"{out.name}.calibration.npz")
        self.files: list[FileRecord] = []
        own = choice.calibration.spread(SCANNED) if choice.calibration else ()
        some = [*choice.proof[:SCANNED], *own]
        tensors = calibration_tensors(some, source.manifest.input)
        self.bench = Bench(
            source, folder, choice.proof, list(tensors), options.threads, report, warnings.add
        )

    def make(self, plans: Sequence[EngineOptions]) -> Export:
        """All files, in turn."""
        data = self.source.model.SerializeToString()
        write_whole(self.folder / "model.onnx", data)
        self._check_graph()
        proof = self._against_torch() if self.source.checkpoint else None
        made = Converted("model.onnx", "fp32", self.source.model, proof=proof)
        self._record(made, data, refused=proof is not None and not proof.passed)
        originals = self.bench.count_originals(len(self.bench.pictures))
        mean = float(np.mean([result.count for result in originals]))
        if mean < NOBODY and (self.options.fp16 or self.options.int8):
            self.warnings.add(
                f"the pictures show {mean:.1f} people on average: equal counts of nobody prove "
                "little; give --verify images with people"
            )
        if self.options.fp16:
            self._add(convert.make_fp16(self.bench, self.options.fp16_gate))
        if self.options.int8:
            self._make_int8()
        for plan in plans:
            self._make_engine(plan)
        return Export(
            self.source,
            self.files,
            self.choice.origin,
            self.choice.real,
            self.warnings.all,
            self.options,
            report=self.report,
        )

    def _check_graph(self) -> None:
        """The simplified graph beside the one that was read."""
        names = [output.name for output in self.source.manifest.outputs]
        sessions = [
            open_session(model, self.options.threads)
            for model in (self.source.original, self.source.model)
        ]
        for feed in self.bench.feeds()[:WITH_TORCH]:
            for name, ours, theirs in zip(
                names, *(session.run(names, feed) for session in sessions), strict=True
            ):
                if not np.isfinite(ours).all():
                    continue  # counting will say so, and on which picture
                apart = float(np.abs(ours - theirs).max(initial=0))
                if not apart <= SAME * max(float(np.abs(ours).max(initial=0)), SAME):
                    raise AccuracyError(
                        f"simplified, the model's {name} differs by {apart:.2g} from the one that "
                        f"was read: this is a fault of the export; report it with the model"
                    )

    def _against_torch(self) -> Proof:
        """The ONNX file beside the checkpoint's own network."""
        from edgecount.train.checkpoint import load_network
        from edgecount.train.evaluate.torch_backend import counter_for

        assert self.source.checkpoint is not None
        pictures = self.bench.pictures[:WITH_TORCH]
        self.report("comparing with PyTorch", 0, len(pictures))
        network, _ = load_network(self.source.checkpoint)
        with (
            counter_for(network, self.source.manifest) as ours,
            self.bench.counter(self.folder / "model.onnx") as theirs,
        ):
            proof = prove(pictures, count_pictures(ours, pictures), theirs, SAME)
        if not proof.passed:
            share, _ = percentages(proof.relative, proof.gate)
            why = (
                f"model.onnx counts differently from the checkpoint by {share} of the mean count, "
                f"worst on {proof.worst[0].name}"
            )
            if not self.options.force:
                raise AccuracyError(f"{why}: nothing was written")
            self.warnings.add(f"{why}: kept by --force")
        return proof

    def _make_int8(self) -> None:
        assert self.choice.calibration is not None
        seen = convert.calibrated(self.bench, self.choice.calibration, self.cache)
        gate, method = self.options.int8_gate, self.options.method
        made = convert.make_int8(self.bench, seen, method, gate, "tensorrt")
        self._add(made)
        self._add(convert.make_mixed(self.bench, made, gate))
        self._add(convert.make_int8(self.bench, seen, method, gate, "cpu"))

    def _add(self, made: Converted) -> None:
        data = made.model.SerializeToString()
        refused = self._judge(made.name, made.precision, made.proof)
        write_whole(self.folder / made.name, data)
        self._record(made, data, refused=refused)

    def _judge(self, name: str, precision: str, proof: Proof | None) -> bool:
        """Whether a file is refused and kept by force.

        Raises:
            AccuracyError: it is refused, and not kept.
        """
        why = refusal(name, precision, proof)
        if not why:
            return False
        if not self.options.force:
            raise AccuracyError(f"{why}: nothing was written; {advice(precision)}")
        self.warnings.add(f"{why}: kept by --force")
        return True

    def _record(self, made: Converted, data: bytes, *, refused: bool) -> None:
        digest = hashlib.sha256(data).hexdigest()
        self.files.append(
            FileRecord(
                Path(made.name),
                len(data),
                digest,
                converted=made,
                refused=refused,
                overridden=refused,
            )
        )

    def _make_engine(self, plan: EngineOptions) -> None:
        record = self._engine_source(plan)
        name = "model.engine" if plan.precision == "fp32" else f"model.{plan.precision}.engine"
        path = self.folder / name
        built = build_engine(self.folder / record.path, path, plan, progress=self.report)
        sidecar = make_sidecar(built, self.source.manifest, overridden=record.overridden)
        write_sidecar(path, sidecar)
        run = self._run_engine(path, plan)
        refused = self._judge(name, plan.precision, run.proof)
        if refused:
            write_sidecar(path, dataclasses.replace(sidecar, overridden=True))
        if run.left_out:
            self.warnings.add(
                f"{name} was not compared on {run.left_out} of the pictures, which it takes at "
                "another size only: give an --input that fits them"
            )
        self.files.append(
            FileRecord(
                Path(name),
                built.plan_bytes,
                built.plan_sha256,
                engine=built,
                run=run,
                refused=refused,
                overridden=refused or record.overridden,
            )
        )

    def _run_engine(self, path: Path, plan: EngineOptions) -> EngineRun:
        pictures, done = self.bench.pictures, 0

        def step() -> None:
            nonlocal done
            done += 1
            self.report(f"counting with {path.name}", done, len(pictures))

        gate = self.options.int8_gate if plan.precision == "int8" else self.options.fp16_gate
        return run_engine(path, pictures, self.bench.count_originals(len(pictures)), gate, step)

    def _engine_source(self, plan: EngineOptions) -> FileRecord:
        """The ONNX file to build from.

        TensorRT 8 reads types from it as constraints: what FP16 must not compute is float32 there.
        It knows no bytes with float16 scales.
        """
        typed = probe_features(load_tensorrt(plan.target)).typed_graphs
        by_name = {str(record.path): record for record in self.files}
        if plan.precision == "int8":
            return by_name["model.int8-fp16.onnx" if typed else "model.int8.onnx"]
        return by_name["model.fp16.onnx" if plan.precision == "fp16" else "model.onnx"]
