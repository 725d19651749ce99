"""One model on one set, in tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgecount.cli._eval.table import nae_text

_ROWS = (("count", "count"), ("density_count", "from density"), ("peak_count", "from points"))


def lines_of(summary: Mapping[str, Any], asked: float | None) -> Iterator[str]:
    """Yield the lines of a table for people.

    Args:
        summary: the set's; see `Evaluation.summary`.
        asked: the coverage that the interval is fitted to; None: the model has none.
    """
    yield f"{summary['count']['images']:.0f} images"
    yield f"{'':16}{'MAE':>9}{'RMSE':>9}{'NAE':>8}{'bias':>9}"
    for key, label in _ROWS:
        if key in summary:
            m = summary[key]
            yield f"{label:16}{m['mae']:9.2f}{m['rmse']:9.2f}{nae_text(m):>8}{m['bias']:+9.2f}"
    if asked is not None and "interval" in summary:
        found = summary["interval"]
        yield (
            f"{'interval':18}{asked:.0%} asked for, {found['coverage']:.1%} of the images inside, "
            f"{found['width']:.2f} of the count wide"
        )
    yield from _points_table(summary)
    yield from _regions_table(summary)
    yield from _groups_table(summary)
    yield ""
    yield f"{'by density':16}{'images':>9}{'MAE':>9}{'NAE':>8}{'bias':>9}"
    for level in summary["levels"]:
        low, high = level["lowest"], level["highest"]
        people = f"{low:.0f} people" if low == high else f"{low:.0f} to {high:.0f} people"
        yield (
            f"{people:18}{level['images']:7.0f}{level['mae']:9.2f}{nae_text(level):>8}"
            f"{level['bias']:+9.2f}"
        )


def _groups_table(summary: Mapping[str, Any]) -> Iterator[str]:
    if "groups" not in summary:
        return
    wide = max(16, *(len(name) + 2 for name in summary["groups"]))
    yield ""
    yield f"{'by group':{wide}}{'images':>9}{'MAE':>9}{'RMSE':>9}{'NAE':>8}{'bias':>9}"
    rows = {**summary["groups"], "mean of groups": summary["mean_of_groups"]}
    for name, m in rows.items():
        images = f"{m['images']:9.0f}" if "images" in m else " " * 9
        errors = f"{m['mae']:9.2f}{m['rmse']:9.2f}{nae_text(m):>8}{m['bias']:+9.2f}"
        yield f"{name:{wide}}{images}{errors}"


def _points_table(summary: Mapping[str, Any]) -> Iterator[str]:
    if "points" not in summary:
        return
    yield ""
    yield f"{'points within':18}{'precision':>9}{'recall':>9}{'F1':>8}"
    rows = {"the head's box": summary["points"]}
    if "points_short_side" in summary:
        rows["half a short side"] = summary["points_short_side"]
    rows |= {f"{radius} px": values for radius, values in summary["points_at"].items()}
    for label, values in rows.items():
        yield f"{label:18}{values['precision']:9.3f}{values['recall']:9.3f}{values['f1']:8.3f}"
    if "localisation" in summary:
        found = summary["localisation"]
        text = f"{'mean of 1-100 px':18}{found['precision']:9.3f}{found['recall']:9.3f}"
        if "error" in found:
            text += f"   {found['error']:.2f} px off in the mean of those within 16 px"
        yield text
    yield from _precision_table(summary.get("average_precision", {}))


def _precision_table(ranked: Mapping[str, Any]) -> Iterator[str]:
    if not ranked:
        return
    yield ""
    points = ranked["points"]
    yield f"{'average precision':18}{'AP':>9}{'recall':>9}"
    if "boxes" in ranked:
        boxes = ranked["boxes"]
        yield (
            f"{'boxes, IoU .5:.95':18}{boxes['ap']:9.3f}{boxes['ar']:9.3f}   AP50 "
            f"{boxes['ap50']:.3f}   AP75 {boxes['ap75']:.3f}"
        )
    yield f"{'points, 4-16 px':18}{points['ap']:9.3f}{points['ar']:9.3f}"
    labels = {"box": "the head's box", "short_side": "half a short side"}
    for rule, values in points.items():
        if rule not in ("ap", "ar"):
            label = labels.get(rule, f"{rule} px")
            yield f"{label:18}{values['ap']:9.3f}{values['recall']:9.3f}"


def _regions_table(summary: Mapping[str, Any]) -> Iterator[str]:
    if "game" in summary:
        yield ""
        yield f"{'':16}" + "".join(f"{f'GAME({n})':>9}" for n in range(len(summary["game"])))
        first = "of density" if "density_count" in summary else "of points"
        rows = [(first, summary["game"]), ("of points", summary.get("game_of_points"))]
        for label, values in rows:
            if values:
                yield f"{label:16}" + "".join(f"{value:9.2f}" for value in values)
    words = [
        f"{label} {summary[key]:.{digits}f}{unit}"
        for key, label, digits, unit in (
            ("ssim", "SSIM", 3, ""),
            ("psnr", "PSNR", 2, " dB"),
            ("false_recognition", "false recognition", 4, ""),
            ("false_recognition_of_truth", "of a right map", 4, ""),
        )
        if key in summary
    ]
    if words:
        yield f"{'density map':16}" + "   ".join(words)
