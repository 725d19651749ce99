"""`edgecount train --list`: the configs that come with edgecount."""

from __future__ import annotations

import dataclasses
import os
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgecount.cli._shell.extras import needs_train
from edgecount.cli._shell.output import text_of, to_json

if TYPE_CHECKING:
    from edgecount.train.listing import ListedConfig

WIDTH = 100
"""Columns that the list takes at most; longer words, such as addresses, stay whole."""


def listing(as_json: bool) -> str:
    """Return the configs as a text, or as JSON."""
    with needs_train("to list configs"):
        from edgecount.train.listing import list_configs

        configs = list_configs()
    if as_json:
        return to_json([{**dataclasses.asdict(one), "ready": not one.missing} for one in configs])
    return text_of(_lines(configs))


def _lines(configs: list[ListedConfig]) -> Iterator[str]:
    """Yield a few lines for each config, and where what is not here comes from."""
    name = max(len(one.name) for one in configs)
    network = max(len("network"), *(len(one.network) for one in configs))
    yield f"{'config':{name}}  {'network':{network}}  sets"
    for one in configs:
        yield from _wrapped(f"{one.name:{name}}  {one.network:{network}}  ", ", ".join(one.readers))
        if one.paper:
            yield from _wrapped("    ", one.paper)
        if one.missing:
            yield from _wrapped("    not here: ", ", ".join(need.path for need in one.missing))
    missing = dict.fromkeys(need for one in configs for need in one.missing)
    by_origin: dict[str, dict[str, None]] = {}
    for need in sorted(missing, key=lambda need: (need.origin, need.path)):
        if need.origin:
            by_origin.setdefault(need.origin, {})[need.path] = None
    root = os.environ.get("EDGECOUNT_DATA")
    where = root or "EDGECOUNT_DATA, which is not set"
    yield ""
    yield f"Sets and weights are searched in {where}. Not there:"
    for origin, paths in by_origin.items():
        yield from _wrapped("  ", f"{origin}:")
        yield from _wrapped("    ", ", ".join(paths))


def _wrapped(head: str, text: str) -> list[str]:
    """Return a text behind a head, in lines that begin below its first word."""
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [head.rstrip()]
