"""A model's errors on held-out images, measured through the counter that its users call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount import EdgeCounter
from edgecount.train.data.headers import read_header
from edgecount.train.data.splits import evenly
from edgecount.train.evaluate.evaluation import evaluate_counter
from edgecount.train.open_checkpoint import open_checkpoint
from edgecount.train.relay.distortions import DISTORTIONS, measure_distorted

if TYPE_CHECKING:
    from edgecount.train.data.sample import Sample
    from edgecount.train.evaluate.evaluation import Evaluation

Report = dict[str, Any]


def open_counter(model: str | Path, threads: int | None = None) -> EdgeCounter:
    """Open a counter over a checkpoint (.pt), or over whatever else EdgeCounter takes."""
    if str(model).endswith(".pt"):
        return open_checkpoint(Path(model))
    return EdgeCounter(model, backend="onnxruntime", threads=threads)


def validate(
    counter: EdgeCounter,
    sets: Mapping[str, Sequence[Sample]],
    *,
    distorted: int = 20,
    progress: Callable[[], None] | None = None,
) -> Report:
    """Measure a model on held-out images, as they are and distorted.

    Args:
        counter: the model under test.
        sets: held-out images by set.
        distorted: number of images of each set with people that are also measured under each of
            :data:`DISTORTIONS`, spread evenly over the set; 0: none.
        progress: called after each image of the sets.

    Returns:
        - ``sets``: name to ``images``, ``people`` (mean), ``mae``, ``bias`` and, where the model
          gives them, ``density_mae``, ``density_bias``, ``coverage`` and ``width`` of the interval;
          of a set without people ``per_megapixel``, people counted in a million pixels;
        - ``error``: the mean over the sets with people of MAE / people;
        - ``distorted``: name to distortion to people counted / people annotated.
    """
    rows = {
        name: _row(evaluate_counter(counter, samples, progress=progress), samples)
        for name, samples in sets.items()
    }
    errors = [row["mae"] / row["people"] for row in rows.values() if row["people"]]
    return {
        "sets": rows,
        "error": float(np.mean(errors)) if errors else 0.0,
        "distorted": {
            name: measure_distorted(counter, spread(samples, distorted))
            for name, samples in sets.items()
            if distorted and rows[name]["people"]
        },
    }


def spread(samples: Sequence[Sample], number: int) -> list[Sample]:
    """Choose at most ``number`` of the samples with people, evenly over their order."""
    return evenly([sample for sample in samples if len(sample.points)], number)


def _row(evaluation: Evaluation, samples: Sequence[Sample]) -> dict[str, float]:
    summary = evaluation.summary()
    row = {
        "images": len(samples),
        "people": float(np.mean([image.true for image in evaluation.images])),
        "mae": summary["count"]["mae"],
        "bias": summary["count"]["bias"],
    }
    if "density_count" in summary:
        row["density_mae"] = summary["density_count"]["mae"]
        row["density_bias"] = summary["density_count"]["bias"]
    if "interval" in summary:
        row["coverage"] = summary["interval"]["coverage"]
        row["width"] = summary["interval"]["width"]
    if not row["people"]:
        counted = [image.count for image in evaluation.images]
        row["per_megapixel"] = sum(counted) / sum(_megapixels(sample) for sample in samples)
    return row


def _megapixels(sample: Sample) -> float:
    header = read_header(sample.path)
    return header.width * header.height * sample.shrink**2 / 1e6


def tables(reports: Mapping[str, Report]) -> str:
    """Lay out the reports of some models side by side, in Markdown.

    Args:
        reports: model to the report of :func:`validate`, all on the same sets.
    """
    names = list(reports)
    first = reports[names[0]]
    lines = ["| set: images, people | " + " | ".join(f"{name}: MAE (bias)" for name in names)]
    lines[0] += " | " + " | ".join(f"{name}: interval" for name in names) + " |"
    lines.append("|---|" + "---|" * (2 * len(names)))
    for set_name, row in first["sets"].items():
        rows = [reports[name]["sets"][set_name] for name in names]
        cells = [_error(row) for row in rows] + [_interval(row) for row in rows]
        label = f"{set_name}: {row['images']}, {row['people']:.1f}"
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    shares = [f"{reports[name]['error']:.1%}" for name in names]
    lines.append("| mean of MAE / people | " + " | ".join(shares) + " |" + " |" * len(names))
    for name in names:
        if reports[name]["distorted"]:
            lines += ["", *_distorted_lines(name, reports[name]["distorted"])]
    return "\n".join(lines)


def _error(row: Mapping[str, float]) -> str:
    if "per_megapixel" in row:
        return f"{row['per_megapixel']:.2f} a megapixel"
    text = f"{row['mae']:.2f} ({row['bias']:+.2f})"
    if "density_mae" in row:
        text += f", density {row['density_mae']:.2f} ({row['density_bias']:+.2f})"
    return text


def _interval(row: Mapping[str, float]) -> str:
    if "coverage" not in row:
        return "-"
    width = f", width {row['width']:.0%}" if row["people"] else ""
    return f"{row['coverage']:.0%}{width}"


def _distorted_lines(name: str, distorted: Mapping[str, Mapping[str, float]]) -> list[str]:
    lines = [
        f"| {name}: counted / true | " + " | ".join(DISTORTIONS) + " |",
        "|---|" + "---|" * len(DISTORTIONS),
    ]
    for set_name, found in distorted.items():
        cells = " | ".join(f"{found[kind]:.2f}" for kind in DISTORTIONS)
        lines.append(f"| {set_name} | {cells} |")
    return lines
