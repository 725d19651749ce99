"""A manifest's dataclasses from its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, cast

from edgecount._manifest_reader import Reader
from edgecount.errors import ModelError
from edgecount.manifest import (
    FORMAT,
    FusionSpec,
    InputSpec,
    IntervalSpec,
    Manifest,
    OutputSpec,
    PostprocessSpec,
    Role,
)

__all__ = ["read_manifest"]


def read_manifest(data: Mapping[str, Any]) -> Manifest:
    """Read a manifest from plain JSON types; see `Manifest.from_json`."""
    reader = Reader(data, "")
    number = reader.integer("format")
    if number != FORMAT:
        raise ModelError(
            f"the manifest has format {number} and this edgecount reads format {FORMAT}: "
            "the model was made by a newer edgecount, upgrade with  pip install -U edgecount"
        )
    manifest = Manifest(
        name=reader.text("name"),
        version=reader.text("version"),
        description=reader.text("description", ""),
        input=_read_input(reader.child("input")),
        outputs=tuple(_read_output(child) for child in reader.children("outputs")),
        postprocess=_read_postprocess(reader.child("postprocess", optional=True)),
        training=reader.mapping("training"),
        licence=reader.text("licence", ""),
    )
    reader.done()
    return manifest


def _read_input(reader: Reader) -> InputSpec:
    spec = InputSpec(
        name=reader.text("name"),
        channels=cast("Literal['RGB', 'BGR']", reader.text("channels")),
        mean=reader.triple("mean"),
        scale=reader.triple("scale"),
        multiple=reader.integer("multiple"),
        max_side=reader.integer("max_side"),
        min_side=reader.integer("min_side"),
        static_size=reader.size("static_size"),
    )
    reader.done()
    return spec


def _read_output(reader: Reader) -> OutputSpec:
    spec = OutputSpec(
        name=reader.text("name"),
        role=cast("Role", reader.text("role")),
        stride=reader.integer("stride"),
        unit=reader.number("unit", 1.0),
    )
    reader.done()
    return spec


def _read_postprocess(reader: Reader | None) -> PostprocessSpec:
    if reader is None:
        return PostprocessSpec()
    fusion = reader.child("fusion", optional=True)
    interval = reader.child("interval", optional=True)
    spec = PostprocessSpec(
        window=reader.integer("window"),
        threshold=reader.number("threshold"),
        fusion=None if fusion is None else _read_fusion(fusion),
        interval=None if interval is None else _read_interval(interval),
    )
    reader.done()
    return spec


def _read_fusion(reader: Reader) -> FusionSpec:
    spec = FusionSpec(
        cell=reader.integer("cell"), low=reader.number("low"), high=reader.number("high")
    )
    reader.done()
    return spec


def _read_interval(reader: Reader) -> IntervalSpec:
    spec = IntervalSpec(**{field.name: reader.number(field.name) for field in fields(IntervalSpec)})
    reader.done()
    return spec
