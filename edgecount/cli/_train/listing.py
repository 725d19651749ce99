"""`edgecount train --list`: the configs that come with edgecount."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgecount.cli._shell.extras import needs_train
from edgecount.cli._shell.output import text_of, to_json

if TYPE_CHECKING:
    from edgecount.train.listing import ListedConfig, Need


def listing(as_json: bool) -> str:
    """Return the configs as a table, or as JSON."""
    with needs_train("to list configs"):
        from edgecount.train.listing import list_configs
    configs = list_configs()
    if as_json:
        return to_json([{**dataclasses.asdict(one), "ready": not one.missing} for one in configs])
    return text_of(_lines(configs))


def _lines(configs: list[ListedConfig]) -> Iterator[str]:
    columns = [
        ("config", *(one.name for one in configs)),
        ("network", *(one.network for one in configs)),
        ("sets", *(", ".join(one.readers) for one in configs)),
        ("paper", *(one.paper or "-" for one in configs)),
        ("not here", *(", ".join(need.path for need in one.missing) for one in configs)),
    ]
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        yield "  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
    missing = dict.fromkeys(need for one in configs for need in one.missing)
    root = os.environ.get("EDGECOUNT_DATA")
    where = root or "EDGECOUNT_DATA, which is not set"
    yield ""
    yield f"Sets and weights are searched in {where}. Not there:"
    yield from sorted({f"  {_origin(need)}" for need in missing if need.origin})


def _origin(need: Need) -> str:
    return f"{need.path}: {need.origin}"
