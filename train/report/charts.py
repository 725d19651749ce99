"""Charts of a report, each a PNG file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgecount.train.evaluate.metrics import level_metrics
from edgecount.train.report.style import (
    COLOURS,
    INK,
    LINES,
    drawable,
    logarithmic,
    new_figure,
    png,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from edgecount.train.evaluate.evaluation import Evaluation

Series = dict[str, dict[int, float]]

_WIDE = 30.0  # from the least to the largest count, from which axes are logarithmic
_LINE = 64  # letters of a legend, side by side
_NOT_LOSSES = ("step", "seconds_per_step")


def curves(log: Sequence[Mapping[str, Any]]) -> bytes | None:
    """Draw the terms of the loss and the MAE of each held-out set over the steps of a run.

    Args:
        log: records of the run's ``log.jsonl``.

    Returns:
        None if there is nothing to draw.
    """
    losses, errors = _series(log)
    panels = [
        (series, title, y)
        for series, title, y in (
            (losses, "Training: terms of the loss", "loss"),
            (errors, "Held-out images: mean absolute error", "MAE, people"),
        )
        if series
    ]
    if not panels:
        return None
    figure = new_figure(5.0 * len(panels), 3.5)
    for place, (series, title, y) in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), place)
        tidy(axes, title, "step", y)
        _draw_series(axes, series)
    return png(figure)


def _series(log: Sequence[Mapping[str, Any]]) -> tuple[Series, Series]:
    """Return losses by term and MAE by set: values by step; of a step run again, the last."""
    losses: Series = {}
    errors: Series = {}
    for record in log:
        if "validation" in record:
            found, into = {str(record["validation"]): record.get("mae")}, errors
        else:
            found = {name: value for name, value in record.items() if name not in _NOT_LOSSES}
            into = losses
        for name, value in found.items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                into.setdefault(name, {})[int(record["step"])] = float(value)
    return losses, errors


def _draw_series(axes: Axes, series: Series) -> None:
    values = [value for line in series.values() for value in line.values()]
    if min(values) > 0 and max(values) > 10 * min(values):
        logarithmic(axes.yaxis)
    elif min(values) >= 0:
        axes.set_ylim(0, 1.08 * max(values) or 1.0)
    for index, line in enumerate(series.values()):
        steps = sorted(line)
        axes.plot(
            steps,
            [line[step] for step in steps],
            color=COLOURS[index % len(COLOURS)],
            linestyle=LINES[index // len(COLOURS) % len(LINES)],
            marker="o" if len(steps) < 25 else "",
            markersize=3.5,
            linewidth=1.5,
        )
    names = [drawable(name) for name in series]
    room = _LINE // (max(map(len, names)) + 6)  # with the sample of the line before each
    # Given by hand: names that begin with "_" would be left out.
    legend = axes.legend(
        axes.lines,
        names,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.17),
        ncols=min(len(series), 4, max(room, 1)),
        frameon=False,
        fontsize=8,
        labelcolor=INK,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # "$" is a part of a name


def scatter(evaluation: Evaluation) -> bytes:
    """Draw estimated against true counts, an image a dot; a perfect model is on the line."""
    true = [float(image.true) for image in evaluation.images]
    estimated = [image.count for image in evaluation.images]
    figure = new_figure(4.2, 4.0)
    axes = figure.add_subplot()
    tidy(axes, "Counts: an image a dot", "true count", "estimated count")
    low, high = min(true + estimated), max(*true, *estimated, 1.0)
    wide = low > 0 and high / low > _WIDE
    ends = (low / 1.2, high * 1.2) if wide else (-0.03 * high, 1.05 * high)
    if wide:
        logarithmic(axes.xaxis)
        logarithmic(axes.yaxis)
    axes.plot(ends, ends, color=INK, linewidth=0.8)
    axes.scatter(true, estimated, s=16, color=COLOURS[0], alpha=0.6, linewidths=0)
    axes.set_xlim(ends)
    axes.set_ylim(ends)
    axes.set_aspect("equal")
    return png(figure)


def errors_by_level(evaluation: Evaluation) -> bytes:
    """Draw the mean absolute error at each density level, and how much of it is bias."""
    levels = level_metrics(
        [image.count for image in evaluation.images],
        [float(image.true) for image in evaluation.images],
    )
    figure = new_figure(5.2, 4.0)
    axes = figure.add_subplot()
    tidy(axes, "Error by density level", "people in the image", "people")
    bars = (("mae", "mean absolute error", 0), ("bias", "bias (above 0: counts too many)", 1))
    for place, (key, label, colour) in enumerate(bars):
        drawn = axes.bar(
            [index + (place - 0.5) * 0.36 for index in range(len(levels))],
            [level[key] for level in levels],
            0.32,
            color=COLOURS[colour],
            label=label,
        )
        axes.bar_label(drawn, fmt="%.1f", fontsize=7, color=INK, padding=2)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    axes.set_xticks(range(len(levels)), [level_name(level) for level in levels])
    axes.set_xlim(-0.8, len(levels) - 0.2)
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.12)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8, labelcolor=INK)
    return png(figure)


def level_name(level: Mapping[str, float]) -> str:
    """Return the range of a level's true counts, such as "12 to 40"."""
    low, high = level["lowest"], level["highest"]
    return f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"
