"""What an export shall make."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgecount.errors import ConfigError
from edgecount.export.defaults import (
    BATCHES,
    CALIBRATED,
    FP16_GATE,
    INT8_GATE,
    METHOD,
    OPSET,
    Method,
)
from edgecount.runtime.models.sidecar import PRECISIONS, TARGETS, InputShapes, Precision, Target

Choice = Literal["auto", "onnx", "tensorrt", "tensorrt-rtx"]
Size = tuple[int, int]  # height, width


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
        batch: largest number of frames in one call, 1 to `BATCHES`; None: 1 of an engine, 8 of an
            ONNX file that a server runs.
        opset: of the ONNX files.
        engine: what else engines shall be.
        dla_core: accelerator to build for; None: the GPU.
        fp16_gate: largest relative difference of the counts, FP16, and engines that are not INT8.
        int8_gate: the same, INT8.
        force: keep what a gate refuses, and say so in the report.
        overwrite: replace an earlier export.
        threads: of ONNX Runtime.
    """

    fp16: bool = False
    int8: bool = False
    target: Choice = "onnx"
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
        if self.batch is not None and not 1 <= self.batch <= BATCHES:
            raise ConfigError(f"--batch: expected 1 to {BATCHES} frames, got {self.batch}")
        for name in ("fp16_gate", "int8_gate"):
            gate = getattr(self, name)
            if not 0 <= gate < math.inf:
                kind = name.removesuffix("_gate")
                raise ConfigError(f"--gate-{kind}: expected a number, 0 or more, got {gate}")
        if self.int8 and self.calibration is None:
            raise ConfigError(
                "--int8: expected --calibration DIR with images of the scenes that the model will "
                "see: bytes need the ranges of real values"
            )


_WORKSPACE = 2**20  # MiB: a TiB, more than any GPU has


@dataclass(frozen=True)
class EngineOptions:
    """How to build an engine.

    Attributes:
        target: "tensorrt", for the GPU that is here, or "tensorrt-rtx", for RTX GPUs anywhere.
        precision: "fp32", "fp16" or "int8". Where graphs are typed (TensorRT 10 and newer, and
            RTX) the ONNX must have it already and this is what is checked; on TensorRT 8 it is
            what the builder may use, and the fp32 ONNX will do for fp16.
        shapes: of the image tensor; None: the ONNX file's own, if it is not dynamic.
        compute_capabilities: GPUs to build for ahead of time, such as "8.9" or "89"; RTX only.
            Empty: one plan for 8.0 and all newer ones. 7.5 (Turing) makes plans of a static shape
            some 30 times as large, so build those apart.
        workspace: most scratch memory a layer may take, in MiB; None: all that the GPU has. A cap
            keeps builds on small boards from running out of memory.
        dla_core: deep learning accelerator to build for, from 0; None: the GPU.
        hardware_compatible: run on every GPU from 8.0 on, somewhat slower; not on Jetson, not RTX.
        version_compatible: run on newer versions of TensorRT too, somewhat slower; not RTX.
        timing_cache: file with the times that earlier builds measured, read and written; it makes
            the next build much faster. RTX measures nothing and leaves it alone.

    Raises:
        ConfigError: a value makes no sense; the message names the option, or its flag where it is
            typed otherwise.
    """

    target: Target
    precision: Precision = "fp32"
    shapes: InputShapes | None = None
    compute_capabilities: tuple[str, ...] = ()
    workspace: int | None = None
    dla_core: int | None = None
    hardware_compatible: bool = False
    version_compatible: bool = False
    timing_cache: Path | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("target", TARGETS), ("precision", PRECISIONS)):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name}: expected one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )
        for name, flag, least in (("workspace", "--workspace", 1), ("dla_core", "--dla", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{flag}: expected {least} or more, got {value}")
        if self.workspace is not None and self.workspace > _WORKSPACE:
            raise ConfigError(
                f"--workspace: expected at most {_WORKSPACE} MiB, a TiB, got {self.workspace}"
            )
        if self.dla_core is not None:
            self._check_dla()

    def _check_dla(self) -> None:
        if self.precision == "fp32":
            raise ConfigError(
                "--dla: expected with --fp16 or --int8, which is all that accelerators compute in"
            )
        if self.shapes is not None and not self.shapes.is_static:
            raise ConfigError(
                "--dla: expected with one size (--input HxW), got several: accelerators take no "
                "dynamic shapes"
            )
