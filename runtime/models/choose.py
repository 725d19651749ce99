"""The choice among the ONNX files of a folder that `edgecount export` wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgecount.runtime.models.machine import X86, Cpu, this_cpu

REPORT = "report.json"
FLOAT32, INT8, FP16 = "model.onnx", "model.int8-cpu.onnx", "model.fp16.onnx"
# The files of an export, exact ones first. The last two are for TensorRT, and slow elsewhere.
_KNOWN = (FLOAT32, FP16, INT8, "model.int8-fp16.onnx", "model.int8.onnx")
_MOST = 64 * 2**20  # bytes of a report; it names every node of every file
_WORTH = 0.95  # of a more exact run's time: what is no faster than that is not worth its rounding
# What runs compute in, exact ones first.
_EXACTNESS = ("float32", "float16", "bfloat16", "int8", "int8+float16", "int8+bfloat16")


class Choice(NamedTuple):
    """A file and how to run it, and why that was taken.

    Attributes:
        path: the file.
        reason: a sentence for the log.
        backend: the engine to run it with, one of those that were offered.
        precision: the kind of numbers to compute in, as `Backend.precision` names it.
    """

    path: Path
    reason: str
    backend: str = "onnxruntime"
    precision: str = "float32"


class _Run(NamedTuple):
    """A way to run a file: how many milliseconds a frame took on this CPU; inf: not known."""

    file: str
    backend: str
    precision: str
    milliseconds: float = math.inf

    def __str__(self) -> str:
        return f"{self.precision} with {self.backend} took {self.milliseconds:.1f} ms"


def choose_onnx(
    folder: Path,
    device: str = "cpu",
    cpu: Cpu | None = None,
    engines: Sequence[str] = ("onnxruntime",),
) -> Choice | None:
    """Return the ONNX file of a folder that is best on a device, and the engine to run it with.

    On the CPU that the files were timed on at their export, with all of the engines, the times
    decide. Elsewhere INT8 is taken where an engine is known to compute it faster than float32. What
    the export found to count wrongly is not taken: a file that its gate refused, and that was kept
    by force, comes last.

    Args:
        folder: the folder.
        device: "cpu", or another such as "cuda:0"; INT8 for CPUs is slow on a GPU.
        cpu: the CPU; None: this one.
        engines: names of the backends that can run here, at least one. On a device other than the
            CPU the first is taken.

    Returns:
        None where there is no file, or several that no export wrote.
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
    first = names[0]
    if device != "cpu":
        run = _Run(first, engines[0], _as_made(first, engines[0]))
        return Choice(files[first], _only(folder, names), *run[1:3])
    found = cpu or this_cpu()
    if {FLOAT32, INT8} <= files.keys() - refused:
        run, reason = _best((FLOAT32, INT8), report, found, engines)
        return Choice(files[run.file], reason, run.backend, run.precision)
    run, _ = _best((first,), report, found, engines)
    return Choice(files[first], _only(folder, names), run.backend, run.precision)


def _only(folder: Path, names: Sequence[str]) -> str:
    """Say why the first of these files is taken, which is no question of its speed."""
    if len(names) == 1:
        return f"the only .onnx in {folder}"
    return f"the most exact that its gate passed, of it and {', '.join(names[1:])}"


def _best(
    names: Sequence[str], report: Mapping[str, Any], cpu: Cpu, engines: Sequence[str]
) -> tuple[_Run, str]:
    """Choose among all ways to run some files on a CPU; return one and the reason."""
    runs = [run for name in names for run in _runs(name, report.get(name), cpu, engines)]
    # A file alone in its folder is what there is, however it counts.
    runs = runs or [_Run(names[0], engines[0], _as_made(names[0], engines[0]))]
    if all(run.milliseconds < math.inf for run in runs):
        best = _fastest(runs)
        others = [str(run) for run in runs if run is not best]
        times = "; ".join([f"{best} a frame on this CPU at the export", *others])
        return best, times
    return _by_rule(runs, cpu)


def _fastest(runs: Sequence[_Run]) -> _Run:
    """Return the fastest of some runs; each step to coarser numbers must be worth it."""
    kinds = sorted({run.precision for run in runs}, key=_EXACTNESS.index)
    of_each = [
        min((run for run in runs if run.precision == kind), key=lambda run: run.milliseconds)
        for kind in kinds
    ]
    best = of_each[0]
    for run in of_each[1:]:
        if run.milliseconds < _WORTH * best.milliseconds:
            best = run
    return best


def _by_rule(runs: Sequence[_Run], cpu: Cpu) -> tuple[_Run, str]:
    """Choose among runs that were not all timed on this CPU."""
    where = f"not timed on this CPU ({cpu.name})"
    whole = {run.backend: run for run in runs if run.precision == "int8"}
    # On x86 OpenVINO computes INT8 faster than float32 even without instructions for it.
    if "openvino" in whole and (cpu.int8 or cpu.machine in X86):
        return whole["openvino"], f"{where}, on which openvino computes INT8 faster than float32"
    exact = {run.backend: run for run in runs if run.precision != "int8"}
    if cpu.int8 or not exact:
        run = next(iter((whole or exact).values()))
        return run, f"{where}, which computes in INT8" if whole else where
    lack = "has no" if cpu.int8 is False else "is not known to have"
    reason = f"{where}, which {lack} instructions for INT8" if whole else where
    # Of the engines, ONNX Runtime is the faster one in float32 with more than one thread.
    return exact.get("onnxruntime") or next(iter(exact.values())), reason


def _runs(name: str, facts: Any, cpu: Cpu, engines: Sequence[str]) -> Iterator[_Run]:
    """Yield the ways to run a file with some engines, without those that counted wrongly."""
    entries = [entry for entry in _entries(facts) if entry[0] in engines]
    refused = {(backend, precision) for backend, precision, passed, _ in entries if not passed}
    times = {entry[:2]: _milliseconds(entry[3], "cpu", cpu) for entry in entries if entry[2]}
    if "onnxruntime" in engines:
        own = ("onnxruntime", _as_made(name, "onnxruntime"))
        times[own] = _milliseconds(facts, "latency_cpu", cpu)
    for backend in engines:
        plain = _as_made(name, backend)
        # Exact numbers need no proof.
        if (backend, plain) not in refused or plain == "float32":
            yield _Run(name, backend, plain, times.get((backend, plain), math.inf))
        for (other, precision), milliseconds in times.items():
            # Whether another CPU has instructions for these, the engine knows.
            if other == backend and precision != plain and milliseconds < math.inf:
                yield _Run(name, backend, precision, milliseconds)


def _as_made(name: str, backend: str) -> str:
    """Return what a backend computes a file in if it is told nothing, by the file's name."""
    if ".int8" in name:
        return "int8"
    # OpenVINO computes in float32 with weights of float16.
    return "float16" if name == FP16 and backend == "onnxruntime" else "float32"


def _entries(facts: Any) -> Iterator[tuple[str, str, bool, Any]]:
    """Yield backend, precision, whether counts passed, and the whole of a file's proven runs."""
    found = facts.get("engines") if isinstance(facts, dict) else None
    for entry in found if isinstance(found, list) else ():
        if not isinstance(entry, dict):
            continue
        backend, precision = entry.get("backend"), entry.get("precision")
        if isinstance(backend, str) and precision in _EXACTNESS:
            yield backend, str(precision), entry.get("passed") is True, entry


def _milliseconds(facts: Any, key: str, cpu: Cpu) -> float:
    """Return a median time on this kind of CPU, which ``key`` names; inf: there is none."""
    try:
        found = float(facts["latency_ms"]["p50"]) if facts[key] == cpu._asdict() else math.inf
    except (LookupError, TypeError, ValueError):
        return math.inf
    return found if found > 0 else math.inf


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
