"""Engines as `edgecount export` leaves them on the disk, of whatever bytes."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from edgecount.runtime.cuda.driver import Device, Driver
from edgecount.runtime.models.engines import Engine, file_sha256
from edgecount.runtime.models.open import open_model
from edgecount.runtime.models.sidecar import EngineSidecar, InputShapes, sidecar_path

GPU = Driver("13.0", [Device("RTX 4090", "8.9", 24 << 30, 128)])
SHAPES = InputShapes((1, 3, 64, 64), (1, 3, 64, 96), (4, 3, 128, 160))


def write_engine(
    path: Path, plan: bytes, onnx: Path, *, version: str = "1.7.1", **changes: Any
) -> Engine:
    """A plan with a sidecar that says it was built from an ONNX for the GPU above."""
    sidecar = EngineSidecar(
        manifest=open_model(onnx).manifest,
        onnx_sha256=file_sha256(onnx),
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        precision="fp16",
        shapes=SHAPES,
        backend="tensorrt-rtx",
        version=version,
        compute_capabilities=("8.9",),
        created_by="0",
    )
    sidecar = dataclasses.replace(sidecar, **changes)
    path.write_bytes(plan)
    sidecar_path(path).write_text(sidecar.to_json())
    return Engine(path, sidecar)
