"""A model that a backend can open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgecount.manifest import Manifest
from edgecount.runtime.models.sidecar import EngineSidecar

__all__ = ["ModelFile"]


@dataclass(frozen=True)
class ModelFile:
    """A model that a backend can open.

    Attributes:
        path: the .onnx or engine file; None for a manifest alone, which only a backend of one's own
            can run.
        manifest: what it expects and gives.
        encoding: of an .onnx file's bytes and types; "tensorrt": meant for that.
        sidecar: of an engine; None for an .onnx file.
        folder: the folder that was named; any of its engines will do.
    """

    path: Path | None
    manifest: Manifest
    encoding: str = ""
    sidecar: EngineSidecar | None = None
    folder: Path | None = None
