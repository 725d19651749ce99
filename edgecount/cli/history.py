"""`edgecount history`: the history of `edgecount watch` as CSV."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import click

from edgecount.cli._types.paths import UserPath

_DAY = 86_400
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"])


@click.command()
@click.argument("file", type=UserPath(exists=True, dir_okay=False))
@click.option("--camera", metavar="ID", help="Print only this camera.")
@click.option(
    "--what",
    metavar="SERIES",
    help="Print only this series: count, smooth, region:NAME or line:NAME.",
)
@click.option(
    "--from",
    "start",
    type=_MOMENT,
    metavar="TIME",
    help='Start in local time, 2026-11-01 or "2026-11-01 12:30".  [default: a day before --to]',
)
@click.option(
    "--to", "end", type=_MOMENT, metavar="TIME", help="End in local time.  [default: now]"
)
@click.option(
    "--by",
    type=click.Choice(["minutes", "hours", "days"]),
    help="Period of a row.  [default: the shortest one that is kept back to --from]",
)
def history(
    file: Path,
    camera: str | None,
    what: str | None,
    start: datetime | None,
    end: datetime | None,
    by: str | None,
) -> None:
    """Print the history of counts in FILE as CSV.

    FILE is the history.path in the config of `edgecount watch`, which may be running. Times
    include their UTC offset; periods without counts have no row.

    \b
    Examples:
      edgecount history edgecount.sqlite > day.csv
      edgecount history edgecount.sqlite --camera door --what count --from 2026-11-01 --by hours
    """  # noqa: D301 (click looks for the character, not for backslash and b)
    from edgecount.watch.history import History, HistorySettings

    until = time.time() if end is None else end.timestamp()
    since = until - _DAY if start is None else start.timestamp()
    if since >= until:
        raise click.UsageError("--from must be before --to")
    for text in History(HistorySettings(file)).export(
        since, until, camera=camera, what=what, resolution=by
    ):
        click.echo(text, nl=False)
