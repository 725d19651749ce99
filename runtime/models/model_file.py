"""Model files: what a backend opens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgecount.manifest import Manifest
from edgecount.runtime.models.sidecar import EngineSidecar


@dataclass(frozen=True)
class ModelFile:
    """A model that a backend can open.

    Attributes:
        path: the .onnx or engine file; None for a manifest alone, which only a backend of one's own
            can run.
        manifest: how the model is fed, and what its maps mean.
        encoding: for whom an .onnx file's INT8 or FP16 is encoded; "tensorrt" or empty.
        sidecar: sidecar of an engine; None for an .onnx file.
        folder: the folder that was named, any of whose engines will do; None: a file was.
    """

    path: Path | None
    manifest: Manifest
    encoding: str = ""
    sidecar: EngineSidecar | None = None
    folder: Path | None = None
