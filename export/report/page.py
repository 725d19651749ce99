"""The two files of a report: ``report.json``, and a page that needs no other file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecount._files import write_whole
from edgecount._report import data_url, open_template
from edgecount.export.extras import missing
from edgecount.export.report.facts import facts_of, worst_difference
from edgecount.export.verify.latency import TimedRun, measure_files

if TYPE_CHECKING:
    from edgecount import CountResult
    from edgecount.export.package import Export
    from edgecount.export.verify.compare import Comparison

ON_CPUS = ("model.onnx", "model.int8-cpu.onnx")
_SIZE = (480, 640)  # of the frame that is timed
_WIDE = 520  # px of an image on the page
_CHART, _EDGE = 320, 34  # px of the scatter and its margin


def write_report(export: Export, folder: Path) -> None:
    """Write ``report.json`` and ``report.html`` into the folder of an export.

    Raises:
        MissingExtraError: jinja2 is not installed.
        OutputError: they cannot be written.
    """
    timed = [
        TimedRun(name, "onnxruntime", "")
        for name in ON_CPUS
        if name in {str(record.path) for record in export.files}
    ]
    timed += [
        TimedRun(run.file, run.backend, run.precision)
        for record in export.files
        for run in record.runs
        if run.comparison is not None
    ]
    size = export.source.manifest.input.static_size or _SIZE
    latencies = measure_files(folder, timed, size, export.options.threads, export.progress)
    facts = facts_of(export, latencies)
    text = json.dumps(facts, indent=1, allow_nan=False) + "\n"
    write_whole(folder / "report.json", text.encode())
    write_whole(folder / "report.html", _page(export, facts).encode())


def _page(export: Export, facts: dict[str, Any]) -> str:
    try:
        render = open_template(Path(__file__).with_name("page.html"))
    except ImportError as error:
        raise missing("jinja2", "engine", "to write reports") from error
    return render(
        title=f"{facts['model']} {facts['version']}: export",
        facts=facts,
        first=facts["files"][0],
        worst_difference=worst_difference,
        charts={
            str(record.path): _details(record.comparison)
            for record in export.files
            if record.comparison is not None
        },
    )


def _details(comparison: Comparison) -> dict[str, Any]:
    image, ours, theirs = comparison.worst
    return {
        "scatter": _scatter(comparison),
        "worst": image.name,
        "images": [_overlay(image.pixels, ours), _overlay(image.pixels, theirs)],
        "counts": [ours.count, theirs.count],
    }


def _overlay(image: Any, result: CountResult) -> str:
    """Return the image with its result drawn on it, small, as a data URL."""
    from edgecount.drawing import draw_overlay
    from edgecount.runtime.frames.opencv import load_cv2

    cv2 = load_cv2()
    drawn = draw_overlay(image, result)
    factor = min(1.0, _WIDE / drawn.shape[1])
    small = cv2.resize(drawn, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert done
    return data_url("jpeg", data.tobytes())


def _scatter(comparison: Comparison) -> dict[str, Any]:
    """Lay out a square chart: counts of the original to the right, of the candidate upward."""
    pairs = [(one.reference, one.candidate) for one in comparison.images]
    most = max(1.0, *(max(pair) for pair in pairs if all(v < float("inf") for v in pair)), 1.0)
    inner = _CHART - 2 * _EDGE

    def place(value: float) -> float:
        return round(_EDGE + inner * min(max(value / most, 0.0), 1.0), 1)

    return {
        "side": _CHART,
        "edge": _EDGE,
        "far": _CHART - _EDGE,
        "most": most,
        "points": [
            (place(a), round(_CHART - place(b), 1), one.name, a, b)
            for one, (a, b) in zip(comparison.images, pairs, strict=True)
        ],
    }
