"""``report.json`` and a page that needs nothing beside it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecount._files import write_whole
from edgecount.export.extras import missing
from edgecount.export.report.facts import facts_of, worst_difference
from edgecount.export.verify.latency import measure_files

if TYPE_CHECKING:
    from edgecount import CountResult
    from edgecount.export.package import Export
    from edgecount.export.verify.compare import Comparison

ON_CPUS = ("model.onnx", "model.int8-cpu.onnx")
_SIZE = (480, 640)  # of the frame that is timed
_WIDE = 520  # px of a picture on the page
_CHART, _EDGE = 320, 34  # px of the scatter and its margin


def write_report(export: Export, folder: Path) -> None:
    """Write both files into the folder of an export.

    Raises:
        MissingExtraError: jinja2 is not installed.
        OutputError: they cannot be written.
    """
    facts = facts_of(export, _latencies(export, folder))
    write_whole(
        folder / "report.json", (json.dumps(facts, indent=1, allow_nan=False) + "\n").encode()
    )
    write_whole(folder / "report.html", _page(export, facts).encode())


def _latencies(export: Export, folder: Path) -> dict[str, dict[str, float]]:
    """Milliseconds on this CPU of the files that are meant for one, by turns in one run."""
    names = [str(record.path) for record in export.files if str(record.path) in ON_CPUS]
    size = export.source.manifest.input.static_size or _SIZE
    return measure_files(folder, names, size, export.options.threads, export.progress)


def _page(export: Export, facts: dict[str, Any]) -> str:
    try:
        import jinja2
    except ImportError as error:
        raise missing("jinja2", "engine", "to write reports") from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    first = facts["files"][0]
    text: str = environment.get_template("page.html").render(
        title=f"{facts['model']} {facts['version']}: export",
        facts=facts,
        first=first,
        worst_difference=worst_difference,
        charts={
            str(record.path): _details(record.comparison)
            for record in export.files
            if record.comparison is not None
        },
    )
    return text


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
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


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
