"""Options of `count` for tables of archives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgecount.archive import FORMATS
from edgecount.cli._shell.flags import given_flags
from edgecount.cli._types.options import ParsedType, folder_option

if TYPE_CHECKING:
    from edgecount.archive.shards import Shard

_Function = TypeVar("_Function", bound=Callable[..., Any])
_NAMES = ("out", "shard", "format_name", "retry_errors")
# What else of `count` has a meaning for a table of an archive.
COMMON = {
    *("model", "backend", "device", "precision", "threads", "workers", "rebuild"),
    *("threshold", "max_side", "regions", "accept_damaged", "max_pixels", "as_json", "quiet"),
}


class ShardType(ParsedType):
    """A part of an archive: I/N, counted from 1."""

    name, argument = "I/N", "shard"

    def parse(self, text: str) -> Shard:
        """Return the shard; see `ParsedType`."""
        from edgecount.archive.shards import Shard

        return Shard.parse(text)


@dataclass(frozen=True)
class Given:
    """The options of a table.

    Attributes:
        out: folder of the table.
        shard: the shard to count; None: all is one.
        format_name: "parquet" or "jsonl"; None: the folder's, or the best that is installed.
        retry_errors: whether images that failed before are counted again.
    """

    out: Path
    shard: Shard | None
    format_name: str | None
    retry_errors: bool


def archive_options(function: _Function) -> _Function:
    """Add the options to a command."""
    for option in (
        click.option(
            "--retry-errors",
            is_flag=True,
            help="With --out: count the images again that could not be counted before.",
        ),
        click.option(
            "--format",
            "format_name",
            type=click.Choice(FORMATS),
            help="With --out: Parquet or JSON lines.  [default: parquet where pyarrow is "
            "installed]",
        ),
        click.option(
            "--shard",
            type=ShardType(),
            metavar="I/N",
            help="With --out: count the I-th of N parts of the images, from 1/N to N/N, each in a "
            "process of its own on any machine.",
        ),
        folder_option(
            "--out",
            help="Write a table of the images of a folder, with those in its subfolders, or of a "
            "list (a .txt of paths or URLs; - for stdin) to this folder. Run it again to go on.",
        ),
    ):
        function = option(function)
    return function


def take_options(ctx: click.Context, options: dict[str, Any]) -> Given | None:
    """Take the options of a table out of those of the command; None: no table is asked for.

    Raises:
        UsageError: an option needs --out, or has no use beside it.
    """
    values = {name: options.pop(name) for name in _NAMES}
    given = given_flags(ctx)
    if values["out"] is None:
        alone = next((given[name] for name in _NAMES if name in given), None)
        if alone is not None:
            raise click.UsageError(f"{alone} is about tables of archives: pass --out DIR too")
        return None
    useless = [flag for name, flag in given.items() if name not in {"sources", *_NAMES, *COMMON}]
    if useless:
        raise click.UsageError(f"--out writes a table of images, and has no use for {useless[0]}")
    return Given(**values)
