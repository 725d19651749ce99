"""Options of an export and of its engines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from edgecount._options import check_threads
from edgecount.errors import ConfigError
from edgecount.export.defaults import (
    CALIBRATED,
    FP16_GATE,
    INT8_GATE,
    MAX_BATCH,
    METHOD,
    METHODS,
    OPSET,
    Method,
)
from edgecount.runtime.models.sidecar import PRECISIONS, TARGETS, InputShapes, Precision, Target

ExportTarget = Literal["auto", "onnx", "tensorrt", "tensorrt-rtx", "openvino"]
Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class ExportOptions:
    """The files that an export makes, and how it makes them.

    Attributes:
        fp16: make half-precision files.
        int8: make INT8 files; needs ``calibration``.
        target: kind of engine to build besides the ONNX files; ``auto``: TensorRT where it is
            installed and finds a GPU, else none; ``openvino``: none, but every file is run by
            OpenVINO too, and INT8 is written in the encoding for CPUs alone.
        calibration: folder of images whose values give INT8's ranges.
        method: how ranges are chosen.
        number: number of calibration images, at most.
        verify: folder of images to compare counts on; None: calibration images that were not used,
            or rendered scenes.
        size: (height, width) in pixels for a model of one size; None: any.
        profile: min, opt and max (height, width) of an engine in pixels; None: see
            `edgecount.export.tensorrt.choose.default_profile`.
        batch: largest number of frames in one call, 1 to `MAX_BATCH`; None: 1 for an engine, 8 for
            an ONNX file that a server runs.
        opset: version of ONNX's operators in the files.
        engine: further options of the engines.
        dla_core: deep learning accelerator to build for, from 0; None: the GPU.
        fp16_gate: largest relative difference of the counts for FP16 files and for engines that
            are not INT8, as a share of the mean count.
        int8_gate: largest relative difference of the counts for INT8 files and engines.
        force: keep what a gate refuses, and say so in the report.
        overwrite: replace an earlier export.
        threads: threads of the engines on the CPU; None: one per core.

    Raises:
        ConfigError: a value makes no sense; the message begins with the option's name.
    """

    fp16: bool = False
    int8: bool = False
    target: ExportTarget = "onnx"
    calibration: Path | None = None
    method: Method = METHOD
    number: int = CALIBRATED
    verify: Path | None = None
    size: Size | None = None
    profile: tuple[Size, Size, Size] | None = None
    batch: int | None = None
    opset: int = OPSET
    engine: EngineOptions | None = None
    dla_core: int | None = None
    fp16_gate: float = FP16_GATE
    int8_gate: float = INT8_GATE
    force: bool = False
    overwrite: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("target", get_args(ExportTarget)), ("method", METHODS)):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name}: expected one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )
        check_threads(self.threads)
        if self.batch is not None and not 1 <= self.batch <= MAX_BATCH:
            raise ConfigError(f"batch: expected 1 to {MAX_BATCH} frames, got {self.batch}")
        for name in ("fp16_gate", "int8_gate"):
            gate = getattr(self, name)
            if not 0 <= gate < math.inf:
                raise ConfigError(f"{name}: expected a number, 0 or more, got {gate}")
        if self.int8 and self.calibration is None:
            raise ConfigError(
                "int8: expected `calibration` with images of the scenes that the model will see: "
                "INT8 needs the ranges of real values"
            )


_MAX_WORKSPACE = 2**20  # MiB: a TiB, more than any GPU has


@dataclass(frozen=True)
class EngineOptions:
    """How an engine is built.

    Attributes:
        target: "tensorrt", for the GPU of this machine, or "tensorrt-rtx", for RTX GPUs anywhere.
        precision: "fp32", "fp16" or "int8". Where graphs are typed (TensorRT 10 and newer, and
            RTX) the ONNX must have it already and this is what is checked; on TensorRT 8 it is
            what the builder may use, and the fp32 ONNX will do for fp16.
        shapes: min, opt and max shape of the image tensor; None: the ONNX file's own, if it is not
            dynamic.
        compute_capabilities: GPUs to build for ahead of time, such as "8.9" or "89"; RTX only.
            Empty: one engine for 8.0, 8.6, 8.9, 12.0 and later ones. 7.5 (Turing) makes engines of
            a static shape some 30 times as large, so build those apart.
        workspace: most scratch memory a layer may take, in MiB; None: all that the GPU has. A cap
            keeps builds on small boards from running out of memory.
        dla_core: deep learning accelerator to build for, from 0; None: the GPU.
        hardware_compatible: run on every GPU from 8.0 on, somewhat slower; neither on nor for a
            Jetson, and not RTX.
        same_capability: run on every GPU of the compute capability of this one, somewhat slower;
            from Turing on, neither on nor for a Jetson, and not RTX.
        version_compatible: run on newer versions of TensorRT of the same major number too, and from
            8 on 10 and from 10 on 11, somewhat slower; not RTX.
        fp16_input: the image tensor is float16, where all that reads it computes so: half the bytes
            between preprocessing and engine, and the same counts. Programs of others, which feed
            the engine themselves, have to give that type. With fp16 and int8 where graphs are
            typed.
        timing_cache: file with the times that earlier builds measured, read and written; it makes
            the next build much faster. RTX measures nothing and leaves it alone.

    Raises:
        ConfigError: a value makes no sense; the message begins with the option's name.
    """

    target: Target
    precision: Precision = "fp32"
    shapes: InputShapes | None = None
    compute_capabilities: tuple[str, ...] = ()
    workspace: int | None = None
    dla_core: int | None = None
    hardware_compatible: bool = False
    same_capability: bool = False
    version_compatible: bool = False
    fp16_input: bool = False
    timing_cache: Path | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("target", TARGETS), ("precision", PRECISIONS)):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name}: expected one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )
        for name, lowest in (("workspace", 1), ("dla_core", 0)):
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise ConfigError(f"{name}: expected {lowest} or more, got {value}")
        if self.workspace is not None and self.workspace > _MAX_WORKSPACE:
            raise ConfigError(
                f"workspace: expected at most {_MAX_WORKSPACE} MiB, a TiB, got {self.workspace}"
            )
        if self.hardware_compatible and self.same_capability:
            raise ConfigError(
                "same_capability: expected without `hardware_compatible`, whose engines run on "
                "these GPUs, too"
            )
        if self.dla_core is None:
            return
        if self.precision == "fp32":
            raise ConfigError(
                "dla_core: expected with `fp16` or `int8`, which is all that accelerators compute "
                "in"
            )
        if self.shapes is not None and not self.shapes.is_static:
            raise ConfigError(
                "dla_core: expected with one `size`, got several: accelerators take no dynamic "
                "shapes"
            )
