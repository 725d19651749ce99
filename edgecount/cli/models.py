"""`edgecount models`: the bundled models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from edgecount.cli._shell.output import to_json
from edgecount.cli._types.options import json_option


@click.command()
@json_option
def models(as_json: bool) -> None:
    """List the bundled models with their size, validation numbers and licence."""
    from edgecount.models import list_models

    rows = [_describe(name) for name in list_models()]
    if as_json:
        click.echo(to_json(rows))
        return
    if not rows:
        click.echo("no model is bundled with this build of edgecount")
    for row in rows:
        click.echo(click.style(f"{row['name']} {row['version']}", bold=True))
        click.echo(f"  {row['description']}")
        click.echo(f"  {row['parameters'] / 1e6:.2f} M parameters, {row['bytes'] / 1e6:.1f} MB")
        for line in measured_lines(row["metrics"]):
            click.echo(f"  {line}")
        click.echo(f"  licence: {row['licence'] or 'not stated'}")


def _describe(name: str) -> dict[str, Any]:
    from edgecount.models import model_path
    from edgecount.runtime.models.onnx_facts import read_onnx_facts
    from edgecount.runtime.models.open import open_model

    model, path = open_model(name), model_path(name)
    facts = read_onnx_facts(path)
    manifest = model.manifest
    return {
        "name": name,
        "version": manifest.version,
        "description": manifest.description,
        "file": str(path),
        "bytes": facts.size,
        "parameters": facts.parameters,
        "metrics": manifest.training.get("metrics", {}),
        "licence": manifest.licence,
    }


def measured_lines(metrics: Any) -> list[str]:
    """Return a model's validation numbers, first those of cameras that it never saw.

    Args:
        metrics: what a manifest says was measured, set by set: ``images``, ``people`` (in the mean
            picture), ``mae``, ``bias``, ``f1``, ``coverage``; ``left_out_mae`` and
            ``left_out_people``, of a training without the set on all of its pictures; ``title``,
            the set's name for people; and ``seen``, whether other pictures of the same places were
            trained on.
    """
    if not isinstance(metrics, Mapping):
        return []
    sets = {name: one for name, one in metrics.items() if isinstance(one, Mapping)}
    if len(sets) < len(metrics) or not all("mae" in one for one in sets.values()):
        return metric_lines(metrics)
    new = {name: one for name, one in sets.items() if one.get("seen") is False}
    lines = [f"cameras it never saw: {_sentence(new)}"] if new else []
    if any("seen" in one for one in sets.values()) and not new:
        lines = ["cameras it never saw: not measured"]
    if shares := [
        one["left_out_mae"] / one["left_out_people"]
        for one in sets.values()
        if one.get("left_out_people") and "left_out_mae" in one
    ]:
        share = sum(shares) / len(shares)
        lines.append(f"sets left out of training: off by {share:.0%} (mean of {len(shares)} sets)")
    return [*lines, *_table(sets)]


def _sentence(sets: Mapping[str, Mapping[str, Any]]) -> str:
    """Return such as ``MAE 1.8 of 11 people (68 pictures, a cafe from above)``."""
    pictures = [float(one.get("images", 1)) for one in sets.values()]

    def mean(key: str) -> float:
        values = (float(one[key]) for one in sets.values())
        return sum(n * value for n, value in zip(pictures, values, strict=True)) / sum(pictures)

    of = f" of {mean('people'):.0f} people" if all("people" in one for one in sets.values()) else ""
    (name, only), *more = sets.items()
    where = f" of {len(sets)} sets" if more else f", {set_title(name, only)}"
    return f"MAE {mean('mae'):.1f}{of} ({sum(pictures):.0f} pictures{where})"


def set_title(name: str, measured: Mapping[str, Any]) -> str:
    """Return a set's name for people."""
    return str(measured.get("title") or name.replace("_", " "))


_COLUMNS = {
    "pictures": ("images", "{:.0f}"),
    "people": ("people", "{:.0f}"),
    "MAE": ("mae", "{:.1f}"),
    "left out": ("left_out_mae", "{:.1f}"),
    "bias": ("bias", "{:+.1f}"),
    "F1": ("f1", "{:.2f}"),
    "inside": ("coverage", "{:.0%}"),
}


def _table(sets: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each set, those never seen first."""
    order = sorted(sets, key=lambda name: sets[name].get("seen") is not False)
    titles = {name: set_title(name, sets[name]) for name in order}
    shown = {
        title: (key, form)
        for title, (key, form) in _COLUMNS.items()
        if any(key in one for one in sets.values())
    }
    width = max(map(len, titles.values()), default=0) + 2
    yield f"{'held-out pictures':{width}}" + "".join(f"{title:>10}" for title in shown)
    for name in order:
        one = sets[name]
        # where nobody is, no point can be right
        hidden = {"f1"} if one.get("people") == 0 else set()
        known = one.keys() - hidden
        cells = (form.format(one[key]) if key in known else "-" for key, form in shown.values())
        yield f"{titles[name]:{width}}" + "".join(f"{cell:>10}" for cell in cells)


def metric_lines(metrics: Any) -> list[str]:
    """Return the validation numbers of a manifest, a line for each data set."""
    if not isinstance(metrics, Mapping):
        return []
    return [
        f"{_name(name, value)}: {', '.join(_flatten(value))}" for name, value in metrics.items()
    ]


def _name(name: str, value: Any) -> str:
    if not isinstance(value, Mapping):
        return name
    new = " (never seen)" if value.get("seen") is False else ""
    return f"{value.get('title', name)}{new}"


def _flatten(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in ("title", "seen"):
                yield from _flatten(inner, f"{path} {name}".strip())
    else:
        number = f"{value:.4g}" if isinstance(value, float) else str(value)
        yield f"{path} {number}".strip()
