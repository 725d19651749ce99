"""An export as plain JSON types."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

from edgecount.export.graph import WEIGHTY, node_precisions

if TYPE_CHECKING:
    from edgecount.export.engine import EngineRecord
    from edgecount.export.package import Export, FileRecord

FORMAT = 1


def facts_of(export: Export, latencies: dict[str, dict[str, float]]) -> dict[str, Any]:
    """What ``report.json`` holds.

    Args:
        export: what was made.
        latencies: file to its milliseconds on this CPU, ``p50`` and others.
    """
    from edgecount import __version__

    return {
        "format": FORMAT,
        "made_by": f"edgecount {__version__}",
        "source": export.source.origin,
        "model": export.source.manifest.name,
        "version": export.source.manifest.version,
        "proven_on": export.pictures,
        "real_images": export.real,
        "warnings": list(export.warnings),
        "no_engine": export.no_engine,
        "files": [_file(record, latencies) for record in export.files],
    }


def _file(record: FileRecord, latencies: dict[str, dict[str, float]]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "file": str(record.path),
        "bytes": record.size,
        "sha256": record.sha256,
        "overridden": record.overridden,
        "kept": {},
        "nodes": [],
        "latency_ms": None,
        "engine": None,
    }
    if record.converted:
        made = record.converted
        layers = node_precisions(made.model)
        weighty = Counter(layer.precision for layer in layers if layer.operator in WEIGHTY)
        facts |= {
            "precision": made.precision,
            "layers": dict(weighty),
            "kept": dict(made.kept),
            "nodes": [layer._asdict() for layer in layers],
            "proof": made.proof.to_dict() if made.proof else None,
            "verdict": _verdict(record),
            "latency_ms": latencies.get(str(record.path)),
        }
    if record.engine:
        facts |= _engine(record.engine)
        if record.overridden:
            facts["verdict"] += ", from a refused file"
    return facts


def _verdict(record: FileRecord) -> str:
    proof = record.converted.proof if record.converted else None
    if proof is None:
        return "the reference"
    if record.overridden:
        return "refused, kept by force"
    return "passed"


def _engine(engine: EngineRecord) -> dict[str, Any]:
    ran = engine.engine_layers is not None
    return {
        "precision": engine.options.precision,
        "layers": engine.layers,
        "proof": None,
        "verdict": "built, loaded, not run" if ran else "built, not run",
        "engine": {
            "backend": engine.options.target,
            "version": engine.version,
            "compute_capabilities": list(engine.compute_capabilities),
            "device": engine.device,
            "shapes": dataclasses.asdict(engine.shapes),
            "seconds": engine.seconds,
            "onnx_sha256": engine.onnx_sha256,
            "engine_layers": engine.engine_layers,
        },
    }
