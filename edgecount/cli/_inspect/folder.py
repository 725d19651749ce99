"""The models of a folder as one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecount._numbers import is_finite

_HEAD = ("file", "model", "precision", "MB", "input", "measured", "ms", "runs here")
_RIGHT = {"MB", "ms"}


def folder_files(folder: Path) -> list[Path]:
    """Return the models in a folder, sorted by name.

    Raises:
        ModelError: there is none, or the folder cannot be read.
    """
    from edgecount.errors import ModelError
    from edgecount.runtime.models.engines import ENGINES

    try:
        found = sorted(path for path in folder.iterdir() if path.suffix in (".onnx", *ENGINES))
    except OSError as error:
        raise ModelError(f"cannot read the folder {folder}: {error.strerror}") from None
    if not found:
        raise ModelError(f"the folder {folder} holds no .onnx and no engine")
    return found


def taken_file(folder: Path) -> dict[str, str] | None:
    """Return the file that `EdgeCounter(folder)` takes here, and its backend; None: none runs."""
    from edgecount.errors import EdgeCountError
    from edgecount.runtime.backends.select import open_backend
    from edgecount.runtime.models.open import open_model

    try:
        opened = open_backend(open_model(folder))
    except EdgeCountError:
        return None
    with opened.backend as backend:
        return {"file": str(opened.model.path), "backend": backend.name}


def add_times(folder: Path, facts: Sequence[dict[str, Any]]) -> None:
    """Add each file's milliseconds of a frame, as its export measured them, to its facts.

    They are of the backend that runs it here, if the export timed that one.
    """
    from edgecount.runtime.models.choose import read_report

    report = read_report(folder)
    for one in facts:
        found = report.get(Path(one["file"]).name, {})
        one["latency_ms"] = _of_backend(found, one["backend"]) or found.get("latency_ms")
        one["latency_on"] = found.get("latency_on")


def _of_backend(found: Mapping[str, Any], backend: str | None) -> dict[str, float] | None:
    """Return the times of a file's fastest run by a backend that counted right; None: none."""
    try:
        times = [
            run["latency_ms"]
            for run in found.get("engines") or ()
            if run["backend"] == backend and run["passed"] is True
        ]
        return min(times, key=lambda one: float(one["p50"]), default=None)
    except (LookupError, TypeError, ValueError):  # a report of somebody else's
        return None


def table(facts: Sequence[Mapping[str, Any]], taken: Mapping[str, str] | None) -> list[str]:
    """Return the lines of a table with a row for each file, and below it why some do not run."""
    rows = [_HEAD, *(_row(one) for one in facts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(_cells(row, widths)).rstrip() for row in rows]
    whys = ((Path(one["file"]).name, one["why_not"]) for one in facts if one["why_not"])
    reasons = [f"{name}: {' '.join(why.split())}" for name, why in whys]
    lines += ["", *reasons] if reasons else []
    if taken is not None:
        lines += ["", f"counting with the folder takes {Path(taken['file']).name} here"]
    return lines


def _cells(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for title, cell, width in zip(_HEAD, row, widths, strict=True):
        yield cell.rjust(width) if title in _RIGHT else cell.ljust(width)


def _row(facts: Mapping[str, Any]) -> tuple[str, ...]:
    manifest, latency = facts["manifest"], facts["latency_ms"]
    return (
        Path(facts["file"]).name,
        f"{manifest['name']} {manifest['version']}" if manifest else "-",
        _precision(facts),
        f"{facts['bytes'] / 1e6:.2f}",
        _input(facts),
        _measured((manifest or {}).get("training", {}).get("metrics")),
        f"{latency['p50']:.1f}" if latency else "-",
        f"yes, on {facts['backend']}" if facts["runs"] else "no",
    )


def _precision(facts: Mapping[str, Any]) -> str:
    """Return the precisions of an engine, or those in which the graph's layers multiply."""
    if engine := facts.get("engine"):
        return str(engine["precision"])
    return "+".join(sorted(facts.get("layers") or {})) or "-"


def _input(facts: Mapping[str, Any]) -> str:
    """Return height x width of what a file takes, or of the smallest and the largest."""
    if engine := facts.get("engine"):
        ends = ["x".join(map(str, engine["shapes"][index][2:])) for index in (0, 2)]
        return " to ".join(dict.fromkeys(ends))
    if not facts["manifest"]:
        return "-"
    size = facts["manifest"]["input"]["static_size"]
    return "x".join(map(str, size)) if size else "any"


def _measured(metrics: Any) -> str:
    """Return the mean absolute errors of a model, or the difference of a file from its float32."""
    sets = metrics.values() if isinstance(metrics, Mapping) else ()
    found = [one for one in sets if isinstance(one, Mapping)]  # training is what anybody wrote
    errors = sorted(one["mae"] for one in found if is_finite(one.get("mae")))
    if errors:
        ends = dict.fromkeys(f"{error:.2f}" for error in (errors[0], errors[-1]))
        return f"MAE {' to '.join(ends)}"
    for one in found:
        if is_finite(one.get("difference"), one.get("people")):
            return f"{one['difference']:.2f} from float32's {one['people']:.1f}"
    return "-"
