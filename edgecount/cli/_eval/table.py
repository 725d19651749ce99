"""Several models, or several sets, in one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Summaries = Mapping[str, Mapping[str, Mapping[str, Any]]]
# Title and width of a column, and its number's place in a summary's average precisions.
_RANKED = (
    ("AP points", 11, "points", "ap"),
    ("AP boxes", 10, "boxes", "ap"),
    ("AP50 boxes", 12, "boxes", "ap50"),
)


def comparison(summaries: Summaries) -> Iterator[str]:
    """Yield the lines of a table with a row for each model and set.

    Where candidates were ranked, the average precisions of points and of boxes end the rows.

    Args:
        summaries: model to set to the set's summary.
    """
    sets = {name for by_set in summaries.values() for name in by_set}
    shown = len(sets) > 1
    width = max(len("model"), *map(len, summaries)) + 2
    second = max(len("set"), *map(len, sets)) + 2 if shown else 0
    head = f"{'model':{width}}" + (f"{'set':{second}}" if shown else "")
    head += f"{'images':>7}{'MAE':>9}{'RMSE':>9}{'NAE':>8}{'bias':>9}"
    ranked = any("average_precision" in one for by in summaries.values() for one in by.values())
    columns = "".join(f"{title:>{wide}}" for title, wide, *_ in _RANKED) if ranked else ""
    yield f"{head}{'F1':>8}{'inside':>9}{'width':>8}{columns}"
    for model, by_set in summaries.items():
        for name, summary in by_set.items():
            row = f"{model:{width}}{name if shown else '':{second}}" + _numbers(summary)
            yield row + (_precisions(summary) if ranked else "")


def nae_text(errors: Mapping[str, Any]) -> str:
    """Return the NAE of some errors, a dash where it is not defined: no image has people."""
    nae = errors["nae"]
    return "-" if nae is None else f"{nae:.3f}"


def _numbers(summary: Mapping[str, Any]) -> str:
    count = summary["count"]
    text = f"{count['images']:7.0f}{count['mae']:9.2f}{count['rmse']:9.2f}{nae_text(count):>8}"
    text += f"{count['bias']:+9.2f}"
    text += f"{summary['points']['f1']:8.3f}" if "points" in summary else f"{'-':>8}"
    if "interval" in summary:
        interval = summary["interval"]
        return f"{text}{interval['coverage']:9.1%}{interval['width']:8.2f}"
    return f"{text}{'-':>9}{'-':>8}"


def _precisions(summary: Mapping[str, Any]) -> str:
    ranked = summary.get("average_precision", {})
    values = (ranked.get(of, {}).get(key) for *_, of, key in _RANKED)
    texts = ("-" if value is None else f"{value:.3f}" for value in values)
    return "".join(f"{text:>{wide}}" for text, (_, wide, *_) in zip(texts, _RANKED, strict=True))
