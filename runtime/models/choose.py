"""The choice among the ONNX files of a folder that `edgecount export` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from edgecount.runtime.models.machine import Cpu, this_cpu

REPORT = "report.json"
FLOAT32, INT8, FP16 = "model.onnx", "model.int8-cpu.onnx", "model.fp16.onnx"
# The files of an export, exact ones first. The last two are for TensorRT, and slow elsewhere.
_KNOWN = (FLOAT32, FP16, INT8, "model.int8-fp16.onnx", "model.int8.onnx")
_MOST = 64 * 2**20  # bytes of a report; it names every node of every file
_WORTH = 0.95  # of float32's time: what is no faster than that is not worth its rounding


class Choice(NamedTuple):
    """A file, and why it was taken."""

    path: Path
    reason: str


def choose_onnx(folder: Path, device: str = "cpu", cpu: Cpu | None = None) -> Choice | None:
    """Return the ONNX file of a folder that is best on a device.

    On the CPU that the files were timed on at their export, the times decide. Elsewhere INT8 is
    taken where the CPU has instructions for it, about twice as fast then; it counts alike on every
    CPU. A file that its gate refused, and that was kept by force, comes last.

    Args:
        folder: the folder.
        device: "cpu" or "cuda:0"; INT8 for CPUs is slow on a GPU.
        cpu: the CPU; None: this one.

    Returns:
        None where there is none, or several that no export wrote.
    """
    files = {path.name: path for path in sorted(folder.glob("*.onnx")) if path.is_file()}
    if len(files) > 1:  # which of others is meant, nobody knows
        files = {name: path for name, path in files.items() if name in _KNOWN}
    if not files:
        return None
    report = read_report(folder)
    refused = {name for name, facts in report.items() if facts.get("overridden")}
    order = (FLOAT32, INT8, *_KNOWN) if device == "cpu" else _KNOWN
    names = [*dict.fromkeys(name for name in order if name in files)] or [*files]
    names.sort(key=lambda name: name in refused)
    first = files[names[0]]
    if len(names) == 1:
        return Choice(first, f"the only .onnx in {folder}")
    if device != "cpu" or not {FLOAT32, INT8} <= files.keys() - refused:
        others = ", ".join(names[1:])
        return Choice(first, f"the most exact that its gate passed, of it and {others}")
    return _by_speed(files, report, cpu or this_cpu())


def _by_speed(files: Mapping[str, Path], report: Mapping[str, Any], cpu: Cpu) -> Choice:
    """Choose between float32 and INT8 on a CPU."""
    exact, whole = (_milliseconds(report.get(name), cpu) for name in (FLOAT32, INT8))
    if exact and whole:
        times = f"INT8 took {whole:.1f} ms a frame on this CPU at the export, float32 {exact:.1f}"
        return Choice(files[INT8 if whole < _WORTH * exact else FLOAT32], times)
    if cpu.int8:
        return Choice(files[INT8], f"not timed on this CPU ({cpu.name}), which computes in INT8")
    lack = "has no" if cpu.int8 is False else "is not known to have"
    return Choice(
        files[FLOAT32], f"not timed on this CPU ({cpu.name}), which {lack} instructions for INT8"
    )


def _milliseconds(facts: Any, cpu: Cpu) -> float | None:
    """Return a file's median time on this kind of CPU; None: it was not timed on one."""
    try:
        if facts["latency_cpu"] != cpu._asdict():
            return None
        return float(facts["latency_ms"]["p50"])
    except (LookupError, TypeError, ValueError):
        return None


def read_report(folder: Path) -> dict[str, Any]:
    """Return the facts of each file by its name; none where there is no report of an export."""
    path = folder / REPORT
    try:
        if not path.is_file() or path.stat().st_size > _MOST:
            return {}
        files = json.loads(path.read_bytes())["files"]
        return {str(facts["file"]): dict(facts) for facts in files}
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}
