"""The layers of an overlay that `--draw` names."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import click

from edgecount.cli._count.measures import Asked
from edgecount.drawing import LAYERS
from edgecount.errors import ConfigError
from edgecount.regions import Region

_ALL = "all"
_SHOWN = tuple(layer for layer in LAYERS if layer != "alarm")  # `count` raises none


def choose_layers(text: str | None, regions: Sequence[Region], asked: Asked) -> Collection[str]:
    """Return the layers that `--draw` names; without it, all.

    Raises:
        ConfigError: there is no such layer.
        UsageError: a layer has nothing to show without another option.
    """
    if text is None or text == _ALL:
        return _SHOWN
    drawn = text.split(",")
    wrong = next((layer for layer in drawn if layer not in _SHOWN), None)
    if wrong is not None:
        raise ConfigError(f"layers: expected names of {', '.join(_SHOWN)}, got {wrong!r}")
    for layer, what, flag, given in (
        ("regions", "the regions that are counted", "--region", regions),
        ("lines", "the lines that people cross", "--line", asked.lines),
        ("map", "the ground from above", "--ground", asked.ground),
    ):
        if layer in drawn and not given:
            raise click.UsageError(f"--draw {layer} shows {what}: pass {flag} too")
    return drawn
