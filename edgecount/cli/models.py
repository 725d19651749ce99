"""`edgecount models`: the bundled models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from edgecount._numbers import is_finite
from edgecount.cli._shell.output import to_json
from edgecount.cli._types.options import json_option


@click.command()
@json_option
def models(as_json: bool) -> None:
    """List the bundled models with their size, validation numbers and licence.

    The numbers of held-out pictures are of the model itself. Those right of the line are of more
    pictures of a set, counted by a short training that had none of them. "inside" is how often the
    truth lay in the likely range, which was fitted to other pictures. With --json, coverage_of says
    which of the two a coverage is of: held_out or left_out.
    """
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
        "metrics": told_apart(manifest.training.get("metrics", {})),
        "licence": manifest.licence,
    }


def told_apart(metrics: Any) -> Any:
    """Return what was measured with ``coverage_of``: the pictures that a ``coverage`` is of.

    Where a training left a set out, its coverage is of that training (``left_out``), as
    ``left_out_mae`` is, and else of the same pictures as ``mae`` (``held_out``).
    """
    if not isinstance(metrics, Mapping):
        return metrics
    return {
        name: {**one, "coverage_of": _pictures_of(one)}
        if isinstance(one, Mapping) and "coverage" in one
        else one
        for name, one in metrics.items()
    }


def _pictures_of(measured: Mapping[str, Any]) -> str:
    return "left_out" if "left_out_mae" in measured else "held_out"


def measured_lines(metrics: Any) -> list[str]:
    """Return a model's validation numbers, first those of cameras that it never saw.

    Args:
        metrics: what a manifest says was measured, set by set: ``images``, ``people`` (in the mean
            picture), ``mae``, ``bias``, ``f1``, ``coverage``; ``left_out_mae`` and
            ``left_out_people``, of a training without the set on more of its pictures, as
            ``coverage`` is then, too; ``title``, the set's name for people; and ``seen``, whether
            other pictures of the same places were trained on.
    """
    if not isinstance(metrics, Mapping):
        return []
    sets = {name: one for name, one in metrics.items() if isinstance(one, Mapping)}
    if len(sets) < len(metrics) or not all(map(_fits_the_table, sets.values())):
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


def _fits_the_table(measured: Mapping[str, Any]) -> bool:
    """Return whether a set has an error, and numbers alone: anybody may have written them."""
    columns = (*_HELD_OUT, *_LEFT_OUT, _INSIDE)
    shown = {key: measured[key] for _, key, _ in columns if key in measured}
    return "mae" in shown and is_finite(*shown.values())


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


_Column = tuple[str, str, str]  # heading, key, form

_HELD_OUT: tuple[_Column, ...] = (
    ("pictures", "images", "{:.0f}"),
    ("people", "people", "{:.0f}"),
    ("MAE", "mae", "{:.1f}"),
    ("bias", "bias", "{:+.1f}"),
    ("F1", "f1", "{:.3f}"),  # with the digits that the manifest has: rounded once
)
_LEFT_OUT: tuple[_Column, ...] = (
    ("left out: people", "left_out_people", "{:.0f}"),
    ("MAE", "left_out_mae", "{:.1f}"),
)
_INSIDE: _Column = ("inside", "coverage", "{:.0%}")


def _table(sets: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each set, those never seen first.

    Numbers of trainings that left a set out stand behind a line: they are of other pictures.
    """
    order = sorted(sets, key=lambda name: sets[name].get("seen") is not False)
    held_out, left_out = [*_HELD_OUT], [*_LEFT_OUT]
    has_left_out = any("left_out_mae" in one for one in sets.values())
    (left_out if has_left_out else held_out).append(_INSIDE)

    def row(title: str, one: Mapping[str, Any] | None) -> list[str]:
        cells = [title, *_cells(one, held_out, sets)]
        if not has_left_out:
            return cells
        of_training = one if one is None or "left_out_mae" in one else {}
        return [*cells, "|", *_cells(of_training, left_out, sets)]

    rows = [row("held-out pictures", None)]
    rows += [row(set_title(name, sets[name]), sets[name]) for name in order]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for title, *cells in rows:
        aligned = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([f"{title:{widths[0]}}", *aligned])


def _cells(
    measured: Mapping[str, Any] | None,
    columns: Sequence[_Column],
    sets: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Return a set's numbers in the columns that any set has a number for; of None the headings."""
    shown = [column for column in columns if any(column[1] in one for one in sets.values())]
    if measured is None:
        return [heading for heading, _, _ in shown]
    # Where nobody is, no point can be right.
    known = measured.keys() - ({"f1"} if measured.get("people") == 0 else set())
    return [form.format(measured[key]) if key in known else "-" for _, key, form in shown]


def metric_lines(metrics: Any) -> list[str]:
    """Return the validation numbers of a manifest, a line for each data set."""
    if not isinstance(metrics, Mapping):
        return []
    return [
        f"{_name(name, value)}: {', '.join(_flatten(value))}"
        for name, value in told_apart(metrics).items()
    ]


def _name(name: str, value: Any) -> str:
    if not isinstance(value, Mapping):
        return name
    new = " (never seen)" if value.get("seen") is False else ""
    return f"{value.get('title', name)}{new}"


def _flatten(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        of = {"coverage": "left_out_coverage"} if value.get("coverage_of") == "left_out" else {}
        for name, inner in value.items():
            if name not in ("title", "seen", "coverage_of"):
                yield from _flatten(inner, f"{path} {of.get(name, name)}".strip())
    else:
        number = f"{value:.4g}" if isinstance(value, float) else str(value)
        yield f"{path} {number}".strip()
