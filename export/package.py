"""From one model to a folder of proven files: what `edgecount export` does."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecount.errors import AccuracyError, MissingExtraError
from edgecount.export import convert
from edgecount.export.convert import Bench, Converted
from edgecount.export.engine import EngineOptions, EngineRecord, build_engine
from edgecount.export.engine_proof import EngineRun, run_engine
from edgecount.export.engine_record import make_sidecar, write_sidecar
from edgecount.export.onnx import write_whole
from edgecount.export.options import ExportOptions
from edgecount.export.pictures import (
    Pictures,
    Scenes,
    calibration_tensors,
    divide,
    warnings_about,
)
from edgecount.export.plans import plan_engines
from edgecount.export.proof import Proof, count_pictures, prove
from edgecount.export.session import open_session
from edgecount.export.source import Description, Source, load_source, with_static_size
from edgecount.export.staging import check_target, staged
from edgecount.runtime.trt_module import load_tensorrt, probe_features

__all__ = ["Export", "ExportOptions", "FileRecord", "export_model"]

SAME = 1e-3  # of the mean count, or of a map's largest value: the same network in another form
WITH_TORCH = 3
SCANNED = 6
NOBODY = 1.0  # people: a mean count below proves nothing
MATCHED = {"fp16": 0.95, "int8": 0.8}  # least share of the points that must stay
FEW_POINTS = 20  # too few to judge by


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
    """

    source: Source
    files: Sequence[FileRecord]
    pictures: str
    real: bool
    warnings: Sequence[str]
    options: ExportOptions
    no_engine: str | None = None


def export_model(
    model: str,
    out: Path,
    options: ExportOptions,
    *,
    described: Description | None = None,
    stated: Mapping[str, str] | None = None,
    report: convert.Report | None = None,
    finish: Callable[[Export, Path], None] | None = None,
) -> Export:
    """Make and prove all files, then give the folder its name.

    Args:
        model: see :func:`edgecount.export.source.load_source`.
        out: the folder to make.
        options: what to make.
        described: of an ONNX without a manifest.
        stated: ``name``, ``version`` and ``licence`` in place of the model's own.
        report: told (what is done, steps done, steps in all).
        finish: writes what else belongs into the folder, before it gets its name.

    Raises:
        AccuracyError: a file counts too differently; nothing is left.
        ConfigError: an option makes no sense here.
        OutputError: the folder is there, or cannot be written.
        EdgeCountError: whatever the steps raise.
    """
    out = out.expanduser().resolve()
    inputs = (Path(model), options.calibration, options.verify)
    check_target(out, overwrite=options.overwrite, inputs=[path for path in inputs if path])
    # A checkpoint takes PyTorch, an .onnx does not.
    check_packages("export" if Path(model).suffix == ".pt" else "engine")
    source = load_source(model, described=described, stated=stated, version=options.opset)
    if options.size:
        source = with_static_size(source, options.size)
    plans, no_engine = plan_engines(source.manifest.input, options)
    with staged(out, overwrite=options.overwrite) as folder:
        maker = _Maker(source, options, folder, out, report or (lambda *_: None))
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
        raise MissingExtraError(name, extra, "to export models") from error


class _Maker:
    """One export on its way."""

    def __init__(
        self, source: Source, options: ExportOptions, folder: Path, out: Path, report: Any
    ) -> None:
        self.source, self.options, self.folder, self.report = source, options, folder, report
        # Beside the folder, so that an export that is refused leaves it for the next.
        self.cache = out.with_name(f"{out.name}.calibration.npz")
        self.files: list[FileRecord] = []
        self.warnings: list[str] = []
        self.calibration, pictures, self.origin = self._choose_pictures()
        self.real = isinstance(pictures, Pictures)
        seen = list(pictures)
        tensors = calibration_tensors(seen[:SCANNED], source.manifest.input)
        self.bench = Bench(source, folder, seen, list(tensors), options.threads, report)

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
            self.warnings.append(
                f"the pictures show {mean:.1f} people on average: equal counts of nobody prove "
                "little; give --verify images with people"
            )
        if self.options.fp16:
            self._add(convert.make_fp16(self.bench, self.options.fp16_gate))
        if self.options.int8:
            self._make_int8()
        for plan in plans:
            self._make_engine(plan)
        return Export(self.source, self.files, self.origin, self.real, self.warnings, self.options)

    def _choose_pictures(self) -> tuple[Pictures | None, Pictures | Scenes, str]:
        """To calibrate on, to prove on, and in words where those come from."""
        options = self.options
        proof = Pictures.of(options.verify, "--verify") if options.verify else None
        if options.calibration:
            found = Pictures.of(options.calibration, "--calibration")
            own, apart = divide(found, options.number, reserve=proof is None)
            if proof is None:
                kind = "images beside the calibration's" if apart else "calibration images"
                proof = apart or own
                if not apart:
                    self.warnings.append(
                        "proven on the calibration's own images: give others (--verify DIR), or "
                        "more of them"
                    )
                return own, proof, f"{len(proof)} {kind} of {options.calibration}"
            return own, proof.some(), f"{len(proof.some())} images of {options.verify}"
        if proof is not None:
            return None, proof.some(), f"{len(proof.some())} images of {options.verify}"
        self.warnings.append(
            "proven on rendered scenes: give images of your own (--verify DIR) to know how the "
            "files count on them"
        )
        scenes = Scenes()
        return None, scenes, f"{len(scenes)} rendered scenes"

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
                apart = float(np.abs(ours - theirs).max(initial=0))
                if not apart <= SAME * max(float(np.abs(ours).max(initial=0)), SAME):
                    raise AccuracyError(
                        f"simplified, the model's {name} differs by {apart:.2g} from the one that "
                        f"was read: this is a fault of the export; report it with the model"
                    )

    def _against_torch(self) -> Proof:
        """The ONNX file beside the checkpoint's own network."""
        from edgecount.train.checkpoint import load_network
        from edgecount.train.torch_backend import counter_for

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
            refusal = (
                f"model.onnx counts differently from the checkpoint by {proof.relative:.2%} of "
                f"the mean count, worst on {proof.worst[0].name}"
            )
            if not self.options.force:
                raise AccuracyError(f"{refusal}: nothing was written")
            self.warnings.append(f"{refusal}: kept by --force")
        return proof

    def _make_int8(self) -> None:
        assert self.calibration is not None
        self.warnings += warnings_about(self.calibration)
        seen = convert.calibrated(self.bench, self.calibration, self.cache)
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
        refusal = _refusal(name, precision, proof)
        if not refusal:
            return False
        if not self.options.force:
            better = "give more or other --calibration images, another --method, or "
            raise AccuracyError(
                f"{refusal}: nothing was written; {better if self.options.int8 else ''}keep it all "
                "the same with --force"
            )
        self.warnings.append(f"{refusal}: kept by --force")
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
            self.warnings.append(
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


def _refusal(name: str, precision: str, proof: Proof | None) -> str:
    """Why a file must not be used; empty if it may."""
    if proof is None:
        return ""
    if not proof.passed:
        return (
            f"{name} counts differently from the float32 model by {proof.relative:.2%} of the "
            f"mean count ({proof.mean_count:.1f} people), expected at most {proof.gate:.2%}; worst "
            f"on {proof.worst[0].name}"
        )
    points = sum(one.points[0] for one in proof.images if one.points)
    least = MATCHED["int8" if "int8" in precision else "fp16"]
    if proof.matched is not None and points >= FEW_POINTS and proof.matched < least:
        return (
            f"{name} finds {proof.matched:.1%} of the head points of the float32 model, "
            f"expected at least {least:.0%}"
        )
    return ""
