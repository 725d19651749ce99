"""An export as plain JSON types."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgecount.export.graph.queries import WEIGHTY, node_precisions
from edgecount.export.verify.engines import ProvenRun
from edgecount.export.verify.latency import TimedRun
from edgecount.runtime.models.machine import this_cpu

if TYPE_CHECKING:
    from edgecount.export.package import Export, FileRecord
    from edgecount.export.tensorrt.record import EngineRecord
    from edgecount.export.tensorrt.verify import EngineRun

FORMAT = 1

Latencies = Mapping[TimedRun, Mapping[str, float]]


def facts_of(export: Export, latencies: Latencies) -> dict[str, Any]:
    """Return the content of ``report.json``, given each run's milliseconds on this CPU."""
    from edgecount import __version__

    return {
        "format": FORMAT,
        "made_by": f"edgecount {__version__}",
        "source": export.source.origin,
        "model": export.source.manifest.name,
        "version": export.source.manifest.version,
        "proven_on": export.images,
        "real_images": export.real,
        "warnings": list(export.warnings),
        "no_engine": export.no_engine,
        "files": [_file(record, latencies) for record in export.files],
    }


def _file(record: FileRecord, latencies: Latencies) -> dict[str, Any]:
    latency = latencies.get(TimedRun(str(record.path), "onnxruntime", ""))
    facts: dict[str, Any] = {
        "file": str(record.path),
        "bytes": record.size,
        "sha256": record.sha256,
        "refused": record.refused,
        "overridden": record.overridden,
        "kept": {},
        "nodes": [],
        "latency_ms": None,
        "latency_on": None,
        "latency_cpu": None,
        "engine": None,
        "engines": [_run(run, latencies) for run in record.runs],
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
            "proof": made.comparison.to_dict() if made.comparison else None,
            "verdict": _verdict(record),
            "latency_ms": latency,
            "latency_on": "CPU" if latency else None,
            "latency_cpu": this_cpu()._asdict() if latency else None,
        }
    if record.engine and record.run:
        facts |= _engine(record.engine, record.run)
        facts["verdict"] = _engine_verdict(record, record.engine, record.run)
    return facts


def _run(run: ProvenRun, latencies: Latencies) -> dict[str, Any]:
    """Return what is known of a file's run by an engine of CPUs, on this CPU."""
    return {
        "backend": run.backend,
        "precision": run.precision,
        "version": run.version,
        "cpu": this_cpu()._asdict(),
        "latency_ms": latencies.get(TimedRun(run.file, run.backend, run.precision)),
        "comparison": run.comparison.to_dict() if run.comparison else None,
        "passed": not run.refusal,
        "verdict": "refused, and not used" if run.refusal else "passed",
        "reason": run.refusal or None,
    }


def worst_difference(proof: dict[str, Any]) -> float:
    """Return the largest difference of an image's counts, in people, with its sign."""
    apart = (one["candidate"] - one["reference"] for one in proof["images"])
    return float(max(apart, key=abs))


def _verdict(record: FileRecord) -> str:
    if record.comparison is None:
        return "the reference"
    return "refused, kept by force" if record.refused else "passed"


def _engine_verdict(record: FileRecord, engine: EngineRecord, run: EngineRun) -> str:
    if record.refused:  # for its counts, which the comparison holds, or for its points
        return "refused, kept by force"
    source = ", from a refused file" if record.overridden else ""
    if run.comparison is None:
        loaded = "loaded, " if engine.engine_layers is not None else ""
        ran = "run, not compared" if run.gpu else "not run"
        return f"built, {loaded}{ran}{source}"
    return f"passed{source}"


def _engine(engine: EngineRecord, run: EngineRun) -> dict[str, Any]:
    return {
        "precision": engine.options.precision,
        "layers": engine.layers,
        "proof": run.comparison.to_dict() if run.comparison else None,
        "latency_ms": run.latency or None,
        "latency_on": run.gpu,
        "engine": {
            "backend": engine.options.target,
            "version": engine.version,
            "compute_capabilities": list(engine.compute_capabilities),
            "device": engine.device,
            "shapes": dataclasses.asdict(engine.shapes),
            "seconds": engine.seconds,
            "onnx_sha256": engine.onnx_sha256,
            "engine_layers": engine.engine_layers,
            "left_out": run.left_out,
            "reason": run.reason or None,
        },
    }
