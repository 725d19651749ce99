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
        for line in metric_lines(row["metrics"]):
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


def metric_lines(metrics: Any) -> list[str]:
    """Return the validation numbers of a manifest, a line for each data set."""
    if not isinstance(metrics, Mapping):
        return []
    return [f"{name}: {', '.join(_flatten(value))}" for name, value in metrics.items()]


def _flatten(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flatten(inner, f"{path} {name}".strip())
    else:
        number = f"{value:.4g}" if isinstance(value, float) else str(value)
        yield f"{path} {number}".strip()
