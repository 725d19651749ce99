"""What an export shall make."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgecount.errors import ConfigError
from edgecount.export.calibrate import Method
from edgecount.export.defaults import BATCHES, CALIBRATED, FP16_GATE, INT8_GATE, METHOD, OPSET
from edgecount.export.engine_options import EngineOptions

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
