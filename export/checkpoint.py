"""A checkpoint of ``edgecount train`` as a deployable model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from edgecount.errors import MissingExtraError
from edgecount.export.onnx import export_onnx
from edgecount.manifest import FusionSpec, InputSpec, Manifest, OutputSpec, PostprocessSpec


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
        checkpoint: a ``last.pt``.
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
        from edgecount.train.checkpoint import load_checkpoint, load_network
    except ImportError as error:
        raise MissingExtraError(str(error.name), "export", "to read checkpoints") from error
    network, config = load_network(checkpoint)
    manifest = Manifest(
        name=name or config.model,
        version=version,
        description="Counts people by a density map and a head heatmap from one pass.",
        input=InputSpec(),
        outputs=(
            OutputSpec("density", "density", 8),
            OutputSpec("heatmap", "heatmap", 4),
            OutputSpec("offset", "offset", 4),
        ),
        postprocess=_postprocess(load_checkpoint(checkpoint)),
        training={
            "data": sorted({entry.path or entry.reader for entry in config.data}),
            "steps": config.steps,
            "parameters": sum(p.numel() for p in network.parameters()),
            "metrics": metrics or {},
        },
        licence=licence,
    )
    export_onnx(network, manifest, out)
    return manifest


def _postprocess(state: dict[str, Any]) -> PostprocessSpec:
    """What was fitted at the end of the training; the defaults for an unfinished run."""
    values = state.get("postprocess")
    if values is None:
        return dataclasses.replace(PostprocessSpec(), fusion=FusionSpec())
    return PostprocessSpec(values["window"], values["threshold"], FusionSpec(**values["fusion"]))
