"""From one model to a folder of proven files: what `edgecount export` does."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgecount.errors import AccuracyError, ConfigError, OutputError
from edgecount.export import convert
from edgecount.export.calibrate import Method
from edgecount.export.convert import Bench, Converted
from edgecount.export.engine import EngineOptions, EngineRecord, build_engine
from edgecount.export.engine_record import make_sidecar, write_sidecar
from edgecount.export.onnx import write_whole
from edgecount.export.pictures import Pictures, Scenes, calibration_tensors, warnings_about
from edgecount.export.proof import Picture, Proof, count_pictures, prove
from edgecount.export.source import (
    OPSET,
    Description,
    Source,
    load_source,
    with_static_size,
)
from edgecount.export.trt_module import probe_driver
from edgecount.manifest import InputSpec
from edgecount.runtime.sidecar import InputShapes, Precision, Target

log = logging.getLogger(__name__)

Choice = Literal["auto", "onnx", "tensorrt", "tensorrt-rtx"]
Size = tuple[int, int]  # height, width

FP16_GATE = 0.005
INT8_GATE = 0.03
SAME = 1e-3  # of the mean count: PyTorch and ONNX Runtime compute the same network
VERIFIED = 40  # pictures
WITH_TORCH = 3
CALIBRATED = 128
SCANNED = 6


@dataclass(frozen=True)
class ExportOptions:
    """What to make.

    Attributes:
        fp16: half-precision files.
        int8: byte files; needs ``calibration``.
        target: engines to build besides the ONNX files; ``auto``: TensorRT where it is installed
            and finds a GPU, else none.
        calibration: folder of images whose values give the ranges.
        method: how ranges are chosen.
        number: calibration images, at most.
        verify: folder of images to prove on; None: calibration images that were not used, or
            rendered scenes.
        size: (height, width) for a model of one size; None: any.
        profile: least, usual and largest (height, width) of an engine; None: the usual ones.
        batch: largest number of frames in one call of an engine.
        opset: of the ONNX files.
        engine: what else engines shall be.
        dla_core: accelerator to build for; None: the GPU.
        fp16_gate: largest relative difference of the counts, FP16.
        int8_gate: the same, INT8.
        force: keep what a gate refuses, and say so in the report.
        overwrite: replace an earlier export.
        threads: of ONNX Runtime.
    """

    fp16: bool = False
    int8: bool = False
    target: Choice = "onnx"
    calibration: Path | None = None
    method: Method = "percentile"
    number: int = CALIBRATED
    verify: Path | None = None
    size: Size | None = None
    profile: tuple[Size, Size, Size] | None = None
    batch: int = 1
    opset: int = OPSET
    engine: EngineOptions | None = None
    dla_core: int | None = None
    fp16_gate: float = FP16_GATE
    int8_gate: float = INT8_GATE
    force: bool = False
    overwrite: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.int8 and self.calibration is None:
            raise ConfigError(
                "--int8: expected --calibration DIR with images of the scenes that the model will "
                "see: bytes need the ranges of real values"
            )


@dataclass(frozen=True)
class FileRecord:
    """A file of the export.

    Attributes:
        converted: an ONNX file, or None.
        engine: an engine, or None.
        path: where it lies in the folder.
        size: bytes.
        sha256: of its content.
        overridden: refused by its gate, and kept by force.
    """

    path: Path
    size: int
    sha256: str
    converted: Converted | None = None
    engine: EngineRecord | None = None
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
    """

    source: Source
    files: Sequence[FileRecord]
    pictures: str
    real: bool
    warnings: Sequence[str]
    options: ExportOptions


def export_model(
    model: str,
    out: Path,
    options: ExportOptions,
    *,
    described: Description | None = None,
    name: str | None = None,
    report: convert.Report | None = None,
    finish: Callable[[Export, Path], None] | None = None,
) -> Export:
    """Make and prove all files, then give the folder its name.

    Args:
        model: see :func:`edgecount.export.source.load_source`.
        out: the folder to make.
        options: what to make.
        described: of an ONNX without a manifest.
        name: in place of the model's own.
        report: told (what is done, steps done, steps in all).
        finish: writes what else belongs into the folder, before it gets its name.

    Raises:
        AccuracyError: a file counts too differently; nothing is left.
        ConfigError: an option makes no sense here.
        OutputError: the folder is there, or cannot be written.
        EdgeCountError: whatever the steps raise.
    """
    if out.exists() and not options.overwrite:
        raise OutputError(f"{out} exists: choose another --out, or add --overwrite")
    source = load_source(model, described=described, name=name, version=options.opset)
    if options.size:
        source = with_static_size(source, options.size)
    with _staged(out) as folder:
        made = _Maker(source, options, folder, out, report or (lambda *_: None)).make()
        if finish:
            finish(made, folder)
    return made


class _Maker:
    """One export on its way."""

    def __init__(
        self, source: Source, options: ExportOptions, folder: Path, out: Path, report: Any
    ) -> None:
        self.source, self.options, self.folder, self.report = source, options, folder, report
        self.cache = out / "calibration.npz"
        self.files: list[FileRecord] = []
        self.warnings: list[str] = []
        spec = source.manifest.input
        self.calibration = (
            Pictures(options.calibration, options.number, "--calibration")
            if options.calibration
            else None
        )
        self.pictures, self.origin = self._choose_pictures()
        self.bench = Bench(
            source,
            folder,
            list(self.pictures),
            list(calibration_tensors(list(_first(self.pictures, SCANNED)), spec)),
            options.threads,
            report,
        )

    def make(self) -> Export:
        """All files, in turn."""
        write_whole(self.folder / "model.onnx", self.source.model.SerializeToString())
        proof = self._against_torch() if self.source.checkpoint else None
        self._add(Converted("model.onnx", "fp32", self.source.model, proof=proof))
        if self.options.fp16:
            self._add(convert.make_fp16(self.bench, self.options.fp16_gate))
        if self.options.int8:
            self._make_int8()
        target = self._target()
        if target:
            self._make_engine(target)
        real = isinstance(self.pictures, Pictures)
        return Export(self.source, self.files, self.origin, real, self.warnings, self.options)

    def _choose_pictures(self) -> tuple[Pictures | Scenes, str]:
        if self.options.verify:
            found = Pictures(self.options.verify, VERIFIED, "--verify")
            return found, f"{len(found)} images of {self.options.verify}"
        if self.calibration and self.options.calibration:
            found = Pictures(
                self.options.calibration, VERIFIED, "--calibration", self.calibration.paths
            )
            own = set(found.paths) & set(self.calibration.paths)
            kind = "calibration images" if own else "images beside the calibration's"
            return found, f"{len(found)} {kind} of {self.options.calibration}"
        self.warnings.append(
            "proven on rendered scenes: give images of your own (--verify DIR) to know how the "
            "files count on them"
        )
        scenes = Scenes()
        return scenes, f"{len(scenes)} rendered scenes"

    def _against_torch(self) -> Proof:
        """The ONNX file beside the checkpoint's own network."""
        from edgecount.train.torch_backend import open_checkpoint

        assert self.source.checkpoint is not None
        pictures = self.bench.pictures[:WITH_TORCH]
        self.report("comparing with PyTorch", 0, len(pictures))
        with (
            open_checkpoint(self.source.checkpoint) as ours,
            self.bench.counter(self.folder / "model.onnx") as theirs,
        ):
            return prove(pictures, count_pictures(ours, pictures), theirs, SAME)

    def _make_int8(self) -> None:
        assert self.calibration is not None
        self.warnings += warnings_about(self.calibration)
        tensors = list(calibration_tensors(self.calibration, self.source.manifest.input))
        stored = self.folder / self.cache.name
        if self.cache.is_file():
            shutil.copy(self.cache, stored)
        seen = convert.calibrated(self.bench, tensors, stored)
        gate, method = self.options.int8_gate, self.options.method
        for encoding in ("tensorrt", "cpu"):
            made = convert.make_int8(self.bench, seen, method, gate, encoding)
            self._add(made)
            if encoding == "tensorrt":
                self._add(convert.make_mixed(self.bench, made, gate))

    def _add(self, made: Converted) -> None:
        overridden = made.proof is not None and not made.proof.passed
        if overridden:
            self._refuse(made)
        path = self.folder / made.name
        data = made.model.SerializeToString()
        write_whole(path, data)
        self.files.append(
            FileRecord(
                Path(made.name),
                len(data),
                hashlib.sha256(data).hexdigest(),
                converted=made,
                overridden=overridden,
            )
        )

    def _refuse(self, made: Converted) -> None:
        assert made.proof is not None
        text = (
            f"{made.name} counts differently from the float32 model by {made.proof.relative:.2%} "
            f"of the mean count ({made.proof.mean_count:.1f} people), expected at most "
            f"{made.proof.gate:.2%}; worst on {made.proof.worst[0].name}"
        )
        if not self.options.force:
            raise AccuracyError(
                f"{text}: nothing was written; give more or other --calibration images, another "
                "--method, or keep it all the same with --force"
            )
        self.warnings.append(f"{text}: kept by --force")

    def _target(self) -> Target | None:
        if self.options.target in ("tensorrt", "tensorrt-rtx"):
            return self.options.target
        if self.options.target == "auto":
            if importlib.util.find_spec("tensorrt") is None:
                log.info("no engine: the package tensorrt is not installed")
            elif isinstance(driver := probe_driver(), str):
                log.info("no engine: %s", driver)
            else:
                return "tensorrt"
        return None

    def _make_engine(self, target: Target) -> None:
        record, precision = self._engine_source(target)
        base = self.options.engine or EngineOptions(target)
        options = dataclasses.replace(
            base,
            target=target,
            precision=precision,
            shapes=self._shapes(),
            dla_core=self.options.dla_core,
        )
        name = f"model.{precision}.engine" if precision != "fp32" else "model.engine"
        plan = self.folder / name
        built = build_engine(self.folder / record.path, plan, options, progress=self.report)
        sidecar = make_sidecar(built, self.source.manifest, overridden=record.overridden)
        write_sidecar(plan, sidecar)
        self.files.append(
            FileRecord(
                Path(name),
                built.plan_bytes,
                built.plan_sha256,
                engine=built,
                overridden=record.overridden,
            )
        )

    def _engine_source(self, target: Target) -> tuple[FileRecord, Precision]:
        """The ONNX file to build from: the lowest precision that was asked for."""
        from edgecount.export.trt_module import load_tensorrt, probe_features

        typed = probe_features(load_tensorrt(target)).typed_graphs
        by_name = {str(record.path): record for record in self.files}
        if self.options.int8:
            return by_name["model.int8-fp16.onnx" if typed else "model.int8.onnx"], "int8"
        if self.options.fp16:
            return by_name["model.fp16.onnx" if typed else "model.onnx"], "fp16"
        return by_name["model.onnx"], "fp32"

    def _shapes(self) -> InputShapes:
        batch = self.options.batch
        if self.options.size:
            height, width = self.options.size
            return InputShapes.static((batch, 3, height, width))
        spec = self.source.manifest.input
        profile = self.options.profile or usual_sizes(spec)
        for size in profile:
            if any(side % spec.multiple for side in size):
                raise ConfigError(
                    f"--input: expected sides that are multiples of {spec.multiple}, got "
                    f"{size[0]}x{size[1]}"
                )
        least, usual, most = profile
        return InputShapes((1, 3, *least), (1, 3, *usual), (batch, 3, *most))


def usual_sizes(spec: InputSpec) -> tuple[Size, Size, Size]:
    """What an engine takes by default: from the least frame to a wide one of the longest side.

    A frame that stands upright and is as long does not fit: memory goes by the largest size.
    """

    def fit(side: int) -> int:
        return -(-min(side, spec.max_side) // spec.multiple) * spec.multiple

    least = -(-spec.min_side // spec.multiple) * spec.multiple
    return (
        (least, least),
        (max(fit(480), least), max(fit(640), least)),
        (max(fit(1152), least), max(fit(2048), least)),
    )


def _first(pictures: Pictures | Scenes, number: int) -> Iterator[Picture]:
    for index, picture in enumerate(pictures):
        if index == number:
            return
        yield picture


@contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """A folder that gets its name when the block ends well, and is gone when it does not."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
    try:
        yield folder
        folder.chmod(0o755)
        if out.exists():
            old = folder.with_name(f"{folder.name}.old")
            out.rename(old)
            folder.rename(out)
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        else:
            folder.rename(out)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
