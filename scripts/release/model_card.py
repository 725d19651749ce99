"""The generated parts of a model card: the text between its markers.

    <!-- measured: begin -->
    <!-- measured: end -->

Whatever stands outside is written by hand and stays as it is.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hard_scenes import SceneCount, shown
from set_names import people_each

from edgecount.errors import ConfigError
from edgecount.manifest import InputSpec, Manifest
from edgecount.runtime.models.onnx_facts import OnnxFacts

SECTIONS = ("facts", "measured", "failures")
INTERVAL = "truth inside the interval: fitted / cross-fitted / as a new set (width)"
LEFT_OUT = (
    "Sets left out: each was counted by a short training that never saw a picture of it, with the "
    "threshold and blend that suit the sets that it did see, and the interval that is fitted to "
    "all other sets, left out and known. Expect that on a camera of your own before `edgecount "
    "adapt`, or a little better: these trainings are shorter than that of the released model, "
    "whose error on other pictures of the same places is the last but one column."
)
_COVERAGES = ("coverage", "cross_coverage", "new_set_coverage")
INTERVAL_ALONE = "truth inside the interval (width)"
_NONE = "-"

Summary = Mapping[str, Any]


def find_section(text: str, name: str) -> tuple[int, int] | None:
    """Find where a section's content starts and ends; None if the card has no such markers.

    Raises:
        ConfigError: one of the two markers is missing, doubled or in the wrong place.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if begin not in text and end not in text:
        return None
    start, stop = text.find(begin) + len(begin), text.find(end)
    if text.count(begin) != 1 or text.count(end) != 1 or stop < start:
        raise ConfigError(f"the card: expected one {begin} and after it one {end}")
    return start, stop


def fill(text: str, sections: Mapping[str, str]) -> str:
    """Return the card with new sections; those that it has no markers for are left out."""
    for name, content in sections.items():
        if place := find_section(text, name):
            text = f"{text[: place[0]]}\n{content}\n{text[place[1] :]}"
    return text


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def facts_section(manifest: Manifest, onnx: OnnxFacts) -> str:
    """Write version, size, input, outputs and blend of the released file."""
    post = manifest.postprocess
    size = f"{onnx.parameters / 1e6:.2f} M; {onnx.size / 1e6:.1f} MB in float32"
    outputs = [f"{out.role} (a cell per {out.stride} px)" for out in manifest.outputs]
    rows = [("version", manifest.version), ("parameters", f"{size}, ONNX opset {onnx.opset}")]
    rows += [("input", _input(manifest.input)), ("outputs", ", ".join(outputs))]
    if manifest.output("heatmap"):
        peaks = f"peaks above {post.threshold:g} in windows of {post.window} cells"
        rows.append(("points", peaks))
    if post.fusion:
        text = "points alone up to {low:g}, density alone from {high:g} people per {cell} px square"
        if post.fusion.grid:
            text += ", on a grid of {grid} x {grid}"
        rows.append(("blend", text.format(**vars(post.fusion))))
    if post.interval:
        ends = [
            "{} people: {:.0f} to {:.0f}".format(count, *post.interval.around(count))
            for count in (10, 100, 1000)
        ]
        rows.append((f"{post.interval.coverage:.0%} interval", "; ".join(ends)))
    rows.append(("steps of the last stage", f"{manifest.training['steps']:,}"))
    rows.append(("licence", manifest.licence or "not stated"))
    return table(["", ""], rows)


def _input(spec: InputSpec) -> str:
    means, divisors = (
        ", ".join(dict.fromkeys(f"{value:.4g}" for value in values))
        for values in (spec.mean, [1 / scale for scale in spec.scale])
    )
    size = (
        f"{spec.static_size[1]}x{spec.static_size[0]} px only"
        if spec.static_size
        else f"sides padded to multiples of {spec.multiple}; frames over {spec.max_side} px on "
        "the longer side are shrunk to it"
    )
    return f"float32 NCHW, {spec.channels}, `(x - {means}) / {divisors}`, {size}"


def measured_section(
    summaries: Mapping[str, Summary],
    flat: float,
    how: str,
    left_out: Mapping[str, Mapping[str, float]] | None = None,
) -> str:
    """Write tables of the held-out sets, and of those that short trainings left out.

    Args:
        summaries: set to what ``release_model.summarise`` gives of it.
        flat: most people counted in a frame of one colour.
        how: date, versions and command behind the numbers.
        left_out: set to what ``left_out.describe_left_out`` gives of it, if any was.
    """
    parts = [how]
    if left_out:
        parts += [
            LEFT_OUT,
            _left_out(summaries, left_out),
            "Held-out images, counted by the released model:",
        ]
    parts.append(_sets(summaries))
    if _any(summaries, "interval") and not left_out:
        parts.append(
            "Interval: *fitted* is the share of these images inside the model's own interval, "
            "which was fitted to them; *cross-fitted* that inside intervals fitted without the "
            "fifth of each set that they are tried on, which is nearer to what other images of the "
            "same kind will see; *as a new set* that inside the interval fitted without the whole "
            "set, and its mean width over the mean count, which is nearest to what another camera "
            "will see (network, threshold and blend are still fitted to all)."
        )
    parts += ["By density, each set in groups of equal size:", _levels(summaries)]
    parts.append(f"Flat black, grey and white frames: at most {flat:.1f} people.")
    return "\n\n".join(parts)


def _left_out(summaries: Mapping[str, Summary], left_out: Mapping[str, Mapping[str, float]]) -> str:
    """Write the errors on sets that were left out, beside those of the released model."""
    rows = []
    for name, row in left_out.items():
        known = f"{summaries[name]['count']['mae']:.1f}" if name in summaries else _NONE
        share = f"{row['mae'] / row['people']:.0%}" if row["people"] else _NONE
        rows.append(
            [
                f"{name} ({row['images']:.0f})",
                f"{row['people']:.0f}",
                f"**{row['mae']:.1f}**",
                share,
                f"{row['bias']:+.1f}",
                known,
                f"{row['coverage']:.0%} ({row['width']:.0%})",
            ]
        )
    rows.append(["mean of the sets", "", "", f"{mean_share(left_out):.0%}", "", ""])
    rows[-1].append("{coverage:.0%} ({width:.0%})".format(**mean_left_out(left_out)))
    head = ["set left out", "people each", "MAE", "of the people", "bias", "MAE of this model"]
    return table([*head, "truth inside the interval (width)"], rows)


def mean_share(left_out: Mapping[str, Mapping[str, float]]) -> float:
    """Return the mean over the sets of MAE / people."""
    shares = [row["mae"] / row["people"] for row in left_out.values() if row["people"]]
    return float(np.mean(shares))


def mean_left_out(left_out: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the interval's mean coverage and width over the sets, each weighing the same."""
    return {
        key: float(np.mean([row[key] for row in left_out.values()]))
        for key in ("coverage", "width")
    }


def mean_coverage(summaries: Mapping[str, Summary]) -> dict[str, float]:
    """Return the interval's three coverages and ``new_set_width``, every set weighing the same.

    So does the fit. What a set does not have counts nothing; what none has is absent.
    """
    found = {
        key: [s["interval"][key] for s in summaries.values() if key in s.get("interval", {})]
        for key in (*_COVERAGES, "new_set_width", "width")
    }
    return {key: float(np.mean(shares)) for key, shares in found.items() if shares}


def _any(summaries: Mapping[str, Summary], key: str) -> bool:
    return any(summary.get(key) for summary in summaries.values())


def _sets(summaries: Mapping[str, Summary]) -> str:
    columns: dict[str, Callable[[Summary], str]] = {
        "people each": lambda s: (
            f"{sum(v['images'] * v['true'] for v in s['levels']) / s['count']['images']:.0f}"
        ),
        "MAE": lambda s: f"**{s['count']['mae']:.1f}**",
        "RMSE": lambda s: f"{s['count']['rmse']:.1f}",
        "NAE": lambda s: _nae(s["count"]),
        "bias": lambda s: f"{s['count']['bias']:+.1f}",
        "MAE of density alone": lambda s: _mae(s, "density_count"),
        "MAE of points alone": lambda s: _mae(s, "peak_count"),
    }
    if _any(summaries, "blend"):
        columns["blend / better alone"] = lambda s: f"{s['blend']:.2f}" if "blend" in s else _NONE
    points = "{precision:.2f} / {recall:.2f} / {f1:.2f}"
    columns["points: precision / recall / F1"] = lambda s: (
        points.format(**s["points"]) if s.get("points") and people_each(s) else _NONE
    )
    intervals = _any(summaries, "interval")
    if intervals:
        fitted = any("cross_coverage" in s.get("interval", {}) for s in summaries.values())
        columns[INTERVAL if fitted else INTERVAL_ALONE] = lambda s: _shares(s.get("interval", {}))
    rows = [
        [f"{name} ({s['count']['images']:.0f})", *(cell(s) for cell in columns.values())]
        for name, s in summaries.items()
    ]
    if intervals and len(summaries) > 1:
        blank = [""] * (len(columns) - 1)
        rows.append(["mean of the sets", *blank, _shares(mean_coverage(summaries))])
    return table(["held-out images", *columns], rows)


def _mae(summary: Summary, key: str) -> str:
    return f"{summary[key]['mae']:.1f}" if key in summary else _NONE


def _nae(errors: Summary) -> str:
    return _NONE if errors["nae"] is None else f"{errors['nae']:.3f}"


def _shares(interval: Summary) -> str:
    shares = [interval.get(key) for key in _COVERAGES]
    if "cross_coverage" not in interval and "width" in interval:
        return f"{interval['coverage']:.0%} ({interval['width']:.0%})"
    text = " / ".join(_NONE if share is None else f"{share:.0%}" for share in shares)
    width = interval.get("new_set_width")
    return text if width is None else f"{text} ({width:.0%})"


def _levels(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name, summary in summaries.items():
        for place, level in enumerate(summary["levels"]):
            low, high = level["lowest"], level["highest"]
            people = f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"
            row = ["" if place else name, people, f"{level['images']:.0f}", f"{level['mae']:.1f}"]
            rows.append([*row, _nae(level), f"{level['bias']:+.1f}"])
    return table(["set", "people in the image", "images", "MAE", "NAE", "bias"], rows)


def failures_section(
    trials: Sequence[SceneCount], pictures: Sequence[Path], card: Path, root: Path
) -> str:
    """Write the hard scenes, worst first as given, and links to the pictures of those shown.

    Packages carry the card without the pictures, so it says where in the repository they are.
    """
    likely = any(trial.result.interval for trial in trials)
    head = ["rendered scene", "people", "counted", "error", *(["likely"] if likely else [])]
    rows = []
    for trial in trials:
        row = [trial.scene.title, str(trial.scene.people), f"{trial.result.count:.1f}"]
        row.append(f"{trial.error / trial.scene.people:+.0%}" if trial.scene.people else _NONE)
        if likely and trial.result.interval:
            row.append("{:.0f} to {:.0f}".format(*trial.result.interval))
        rows.append(row)
    blocks = [table(head, rows)]
    if pictures and pictures[0].resolve().is_relative_to(root):
        folder = pictures[0].resolve().parent.relative_to(root).as_posix()
        blocks.append(
            f"The pictures are in the repository's `{folder}/`; an installed package has none."
        )
    for trial, path in zip(shown(trials), pictures, strict=True):
        title = trial.scene.title[0].upper() + trial.scene.title[1:]
        caption = f"{title}: {trial.scene.people} people, counted {trial.result.count:.1f}"
        link = Path(os.path.relpath(path, card.parent)).as_posix()
        blocks.append(f"![{caption}]({link})\n\n*{caption}.*")
    return "\n\n".join(blocks)
