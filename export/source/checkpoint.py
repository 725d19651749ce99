"""From a training checkpoint to the file that users run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecount.export.extras import missing
from edgecount.export.source.from_torch import export_onnx

if TYPE_CHECKING:
    from edgecount.manifest import Manifest


def export_checkpoint(
    checkpoint: Path,
    out: Path,
    *,
    name: str | None = None,
    version: str = "0.1.0",
    metrics: dict[str, Any] | None = None,
    licence: str = "",
) -> Manifest:
    """Write the averaged weights of ``checkpoint`` as the ONNX file ``out``; returns its manifest.

    Args:
        checkpoint: ``best.pt`` or ``last.pt`` of a run, of any network.
        out: the file to write.
        name: the model's name; the network's when not given.
        version: the model's version.
        metrics: validation numbers for the manifest.
        licence: terms of the weights, in words.

    Raises:
        ModelError: the checkpoint cannot be read.
        MissingExtraError: torch or onnx is not installed.
        OutputError: ``out`` cannot be written.
    """
    try:
        from edgecount.train.checkpoint import load_network
        from edgecount.train.manifest import manifest_of
    except ImportError as error:
        raise missing(str(error.name), "export", "to read checkpoints") from error
    network, state = load_network(checkpoint)
    manifest = manifest_of(
        network, state, name=name, version=version, metrics=metrics, licence=licence
    )
    export_onnx(network, manifest, out)
    return manifest
