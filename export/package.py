"""Export a model: a folder of files for deployment, each compared with the float32 one."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgecount._files import write_whole
from edgecount.errors import AccuracyError
from edgecount.export.extras import check_packages
from edgecount.export.graph.session import open_session
from edgecount.export.options import EngineOptions, ExportOptions
from edgecount.export.output_folder import check_target, published
from edgecount.export.precision.convert import (
    Converted,
    calibrated,
    make_fp16,
    make_int8,
    make_mixed,
)
from edgecount.export.precision.identity import converted_manifest
from edgecount.export.precision.trial import Trial
from edgecount.export.progress import Progress, Steps, silent
from edgecount.export.source.load import SourceModel, load_source, with_manifest, with_static_size
from edgecount.export.tensorrt.build import build_engine, check_network
from edgecount.export.tensorrt.choose import choose_engines
from edgecount.export.tensorrt.record import EngineRecord, make_sidecar, write_sidecar
from edgecount.export.tensorrt.verify import EngineRun, run_engine
from edgecount.export.verify.compare import Comparison, compare, count_images
from edgecount.export.verify.engines import OPENVINO, ProvenRun, prove_openvino
from edgecount.export.verify.gate import advice, percentages, refusal
from edgecount.export.verify.images import ExportImages, calibration_tensors, choose_images
from edgecount.manifest import Manifest
from edgecount.runtime.backends.onnxruntime.calls import run_session
from edgecount.runtime.backends.tensorrt.library import load_tensorrt, probe_features

__all__ = ["Export", "ExportOptions", "FileRecord", "export_model"]

SAME = 1e-3  # of the mean count, or of a map's largest value: the same network in another form
WITH_TORCH = 3  # images
SCANNED = 8  # compared images, and as many of the calibration: for the range of float16
NOBODY = 1.0  # people: a smaller mean count says nothing about a file


@dataclass(frozen=True)
class FileRecord:
    """A file of an export.

    Attributes:
        path: its path in the folder.
        size: its size in bytes.
        sha256: hash of its content.
        converted: the graph of an ONNX file; None: it is an engine.
        engine: the record of an engine's build; None: it is an ONNX file.
        run: results of running an engine; None: it is an ONNX file.
        refused: whether its own gate refused it, and it was kept by force.
        overridden: whether it is refused, or an engine built from a refused file.
        manifest: its own manifest; None: that of the float32 model.
        runs: an ONNX file's runs by engines of CPUs other than ONNX Runtime, one a precision.
    """

    path: Path
    size: int
    sha256: str
    converted: Converted | None = None
    engine: EngineRecord | None = None
    run: EngineRun | None = None
    refused: bool = False
    overridden: bool = False
    manifest: Manifest | None = None
    runs: Sequence[ProvenRun] = ()

    @property
    def comparison(self) -> Comparison | None:
        """Its counts beside those of the float32 model; None: it was not compared."""
        made = self.converted or self.run
        return made.comparison if made else None


@dataclass(frozen=True)
class Export:
    """A finished export.

    Attributes:
        source: the float32 model.
        files: the files in the order in which they were made.
        images: where the compared images come from, in words.
        real: whether those are real images, not rendered scenes.
        warnings: what the user should know.
        options: the options that it was made with.
        no_engine: why no engine was built; None where one was, or none was asked for.
        progress: reported to by further work on it.
    """

    source: SourceModel
    files: Sequence[FileRecord]
    images: str
    real: bool
    warnings: Sequence[str]
    options: ExportOptions
    no_engine: str | None = None
    progress: Progress = field(default=silent, repr=False, compare=False)


def export_model(
    model: str,
    out: Path,
    options: ExportOptions,
    *,
    manifest: Manifest | None = None,
    stated: Mapping[str, str] | None = None,
    progress: Progress = silent,
    warn: Callable[[str], None] | None = None,
    begin: Callable[[Manifest], None] | None = None,
    finish: Callable[[Export, Path], None] | None = None,
) -> Export:
    """Make all files and compare them, then give the folder its name.

    Args:
        model: a bundled name, a checkpoint or an .onnx file, see
            :func:`edgecount.export.source.load.load_source`.
        out: the folder to make.
        options: what to make, and how.
        manifest: the manifest of an ONNX file that carries none.
        stated: ``name``, ``version`` and ``licence`` in place of the model's own.
        progress: reported to during the long work.
        warn: called with each of the export's warnings, as soon as it is known.
        begin: called with the model's manifest before the long work; it may raise to end it.
        finish: called with the export and its folder, to write what else belongs there, before the
            folder gets its name.

    Raises:
        AccuracyError: a file counts too differently; nothing is left.
        ConfigError: an option makes no sense here.
        OutputError: the folder exists, or cannot be written.
        SourceError: an image cannot be read.
        EdgeCountError: any error of the steps.
    """
    out = out.expanduser().resolve()
    inputs = (Path(model), options.calibration, options.verify)
    check_target(out, overwrite=options.overwrite, inputs=[path for path in inputs if path])
    # A checkpoint takes PyTorch, an .onnx does not.
    extra = "export" if Path(model).suffix == ".pt" else "engine"
    check_packages(extra, openvino=options.target == OPENVINO)
    warnings: list[str] = []

    def keep(warning: str) -> None:
        warnings.append(warning)
        if warn:
            warn(warning)

    source = load_source(model, manifest=manifest, stated=stated, version=options.opset)
    if options.size:
        source = with_static_size(source, options.size)
    if begin:
        begin(source.manifest)
    engines, no_engine = choose_engines(source.manifest.input, options, keep)
    check_network(source.model, engines)
    images = choose_images(options, keep, progress)

    with published(out, overwrite=options.overwrite) as folder:
        # Beside the folder, so that an export that is refused leaves it for the next.
        cache = out.with_name(f"{out.name}.calibration.npz")
        exporter = _Exporter(source, options, images, folder, progress, keep)
        exporter.write_float32()
        if options.fp16:
            exporter.add(make_fp16(exporter.trial, options.fp16_gate))
        if options.int8:
            exporter.convert_int8(cache)
        if options.target == OPENVINO:
            exporter.prove_openvino()
        for engine in engines:
            exporter.build(engine)
        made, origin, real = exporter.files, images.origin, images.real
        export = Export(source, made, origin, real, warnings, options, no_engine, progress)
        if finish:
            finish(export, folder)
    return export


class _Exporter:
    """Make the files of an export in a folder, and keep their records in that order."""

    def __init__(
        self,
        source: SourceModel,
        options: ExportOptions,
        images: ExportImages,
        folder: Path,
        progress: Progress,
        warn: Callable[[str], None],
    ) -> None:
        self.files: list[FileRecord] = []
        self._source, self._options, self._images = source, options, images
        self._folder, self._progress, self._warn = folder, progress, warn
        some = [*images.compared[:SCANNED]]
        some += images.calibration.spread(SCANNED) if images.calibration else ()
        tensors = list(calibration_tensors(some, source.manifest.input))
        self.trial = Trial(
            source, folder, images.compared, tensors, options.threads, progress, warn
        )

    def write_float32(self) -> None:
        """Write `model.onnx`, compared with what it was made from."""
        data = self._source.model.SerializeToString()
        write_whole(self._folder / "model.onnx", data)
        self._check_simplified()
        comparison = self._compare_with_torch() if self._source.checkpoint else None
        made = Converted("model.onnx", "fp32", self._source.model, comparison=comparison)
        self._record(made, data, refused=comparison is not None and not comparison.passed)
        originals = self.trial.originals(len(self._images.compared))
        mean = float(np.mean([result.count for result in originals]))
        converts = self._options.fp16 or self._options.int8 or self._options.target == OPENVINO
        if mean < NOBODY and converts:
            self._warn(
                f"the images show {mean:.1f} people on average: equal counts of nobody say little; "
                "give images with people (`verify`)"
            )

    def convert_int8(self, cache: Path) -> None:
        """Write the INT8 files; `cache` keeps the values of the calibration images."""
        assert self._images.calibration is not None
        calibration = calibrated(self.trial, self._images.calibration, cache)
        gate, method = self._options.int8_gate, self._options.method
        if self._options.target != OPENVINO:  # whose encoding is that of ONNX Runtime's CPU
            int8 = make_int8(self.trial, calibration, method, gate, "tensorrt")
            self.add(int8)
            self.add(make_mixed(self.trial, int8, gate))
        self.add(make_int8(self.trial, calibration, method, gate, "cpu"))

    def prove_openvino(self) -> None:
        """Count with each file in OpenVINO; gates judge as with ONNX Runtime.

        Raises:
            AccuracyError: a file counts too differently there, as it was made. A faster precision
                that does is only noted.
        """
        images = self._images.compared
        originals = self.trial.originals(len(images))
        nobody = float(np.mean([result.count for result in originals])) < NOBODY
        for index, record in enumerate(self.files):
            precision = record.converted.precision if record.converted else ""
            options = self._options
            int8 = "int8" in precision
            gate = options.int8_gate if int8 else options.fp16_gate
            proven = prove_openvino(
                self._folder / record.path,
                images,
                originals,
                gate,
                int8=int8,
                threads=options.threads,
                progress=self._progress,
            )
            runs = [self._judged(run, precision, nobody=nobody) for run in proven]
            self.files[index] = dataclasses.replace(record, runs=runs)

    def _judged(self, run: ProvenRun, precision: str, *, nobody: bool) -> ProvenRun:
        """Return a run as it was judged.

        Raises:
            AccuracyError: a file counts too differently, as it was made.
        """
        if run.faster and nobody and not run.refusal:
            refusal = f"{run.file} in {run.precision} was tried on pictures of nobody alone"
            run = dataclasses.replace(run, refusal=refusal)
        if run.refusal and run.faster:
            self._warn(f"{run.refusal}: it is not used")
        elif run.refusal:
            self._refuse(run.refusal, precision)
        return run

    def build(self, options: EngineOptions) -> None:
        """Build an engine from the file of its precision, and run it where that is possible."""
        record = self._engine_source(options)
        kind = "" if options.precision == "fp32" else f".{options.precision}"
        path = self._folder / f"model{kind}.engine"
        built = build_engine(self._folder / record.path, path, options, progress=self._progress)
        manifest = record.manifest or self._source.manifest
        sidecar = make_sidecar(built, manifest, overridden=record.overridden)
        write_sidecar(path, sidecar)
        images = self._images.compared
        step = Steps(self._progress, f"counting with {path.name}", len(images))
        originals = self.trial.originals(len(images))
        int8 = options.precision == "int8"
        gate = self._options.int8_gate if int8 else self._options.fp16_gate
        run = run_engine(path, images, originals, gate, step)
        refused = self._is_refused(path.name, options.precision, run.comparison)
        if refused:
            sidecar = make_sidecar(built, manifest, overridden=True)
            write_sidecar(path, sidecar)
        if run.left_out:
            self._warn(
                f"{path.name} was not compared on {run.left_out} of the images, which it takes at "
                "another size only: give a `size` or `profile` that fits them"
            )
        name, overridden = Path(path.name), refused or record.overridden
        made = FileRecord(
            name, built.size, built.sha256, None, built, run, refused, overridden, manifest
        )
        self.files.append(made)

    def _check_simplified(self) -> None:
        """Compare the maps of the simplified graph with those of the graph that was read."""
        names = [output.name for output in self._source.manifest.outputs]
        graphs = (self._source.original, self._source.model)
        sessions = [open_session(graph, self._options.threads) for graph in graphs]
        for feed in self.trial.feeds[:WITH_TORCH]:
            maps = (run_session(session, names, feed) for session in sessions)
            for name, ours, theirs in zip(names, *maps, strict=True):
                if not np.isfinite(ours).all():
                    continue  # counting will refuse the model, and name the image
                apart = float(np.abs(ours - theirs).max(initial=0))
                if not apart <= SAME * max(float(np.abs(ours).max(initial=0)), SAME):
                    raise AccuracyError(
                        f"simplified, the model's {name} differs by {apart:.2g} from the one that "
                        f"was read: this is a fault of the export; report it with the model"
                    )

    def _compare_with_torch(self) -> Comparison:
        """Compare the counts of the ONNX file with those of the checkpoint's own network."""
        from edgecount.train.checkpoint import load_network
        from edgecount.train.evaluate.torch_backend import counter_for

        assert self._source.checkpoint is not None
        images = self._images.compared[:WITH_TORCH]
        self._progress("comparing with PyTorch", 0, len(images))
        network, _ = load_network(self._source.checkpoint)
        with (
            counter_for(network, self._source.manifest) as ours,
            self.trial.counter(self._folder / "model.onnx") as theirs,
        ):
            comparison = compare(images, count_images(ours, images), theirs, SAME)
        if not comparison.passed:
            share, _ = percentages(comparison.relative, comparison.gate)
            why = (
                f"model.onnx counts differently from the checkpoint by {share} of the mean count, "
                f"worst on {comparison.worst[0].name}"
            )
            if not self._options.force:
                raise AccuracyError(f"{why}: nothing was written")
            self._warn(f"{why}: kept by `force`")
        return comparison

    def add(self, made: Converted) -> None:
        """Write a converted file, unless its gate refuses it."""
        refused = self._is_refused(made.name, made.precision, made.comparison)
        own = self._source.manifest
        if made.comparison is not None:
            own = converted_manifest(own, made.precision, made.comparison)
            made = dataclasses.replace(made, model=with_manifest(made.model, own))
        data = made.model.SerializeToString()
        write_whole(self._folder / made.name, data)
        self._record(made, data, refused=refused, manifest=own)

    def _is_refused(self, name: str, precision: str, comparison: Comparison | None) -> bool:
        """Return whether a gate refuses a file that is kept by force.

        Raises:
            AccuracyError: it is refused, and not kept.
        """
        why = refusal(name, precision, comparison)
        if why:
            self._refuse(why, precision)
        return bool(why)

    def _refuse(self, why: str, precision: str) -> None:
        """Refuse a file, unless it is kept by force.

        Raises:
            AccuracyError: it is not.
        """
        if not self._options.force:
            raise AccuracyError(f"{why}: nothing was written; {advice(precision)}")
        self._warn(f"{why}: kept by `force`")

    def _record(
        self, made: Converted, data: bytes, *, refused: bool, manifest: Manifest | None = None
    ) -> None:
        digest, path = hashlib.sha256(data).hexdigest(), Path(made.name)
        record = FileRecord(
            path, len(data), digest, made, None, None, refused, refused, manifest=manifest
        )
        self.files.append(record)

    def _engine_source(self, options: EngineOptions) -> FileRecord:
        """Return the ONNX file to build from.

        TensorRT 8 reads types from it as constraints: what FP16 must not compute is float32 there.
        It does not know INT8 with float16 scales.
        """
        typed = probe_features(load_tensorrt(options.target)).typed_graphs
        int8 = "model.int8-fp16.onnx" if typed else "model.int8.onnx"
        names = {"fp32": "model.onnx", "fp16": "model.fp16.onnx", "int8": int8}
        return next(file for file in self.files if str(file.path) == names[options.precision])
