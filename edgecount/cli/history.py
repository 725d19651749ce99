"""`edgecount history`: the history of `edgecount watch` as CSV."""

from __future__ import annotations

import time
from datetime import datetime
from itertools import islice
from pathlib import Path

import click

from edgecount.cli._types.paths import UserPath

_DAY = 86_400
_LAST_YEAR = 9000
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"])


@click.command()
@click.argument("file", type=UserPath())
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
    from edgecount.errors import SourceError
    from edgecount.watch.history import History, HistorySettings

    until = time.time() if end is None else _seconds(end, "--to")
    since = max(until - _DAY, 0.0) if start is None else _seconds(start, "--from")
    if since >= until:
        raise click.UsageError("--from must be before --to")
    if not file.is_file():
        problem = "expected a file, got a folder" if file.is_dir() else "no such file"
        raise SourceError(f"{problem}: {file}")
    kept = History(HistorySettings(file))
    _check_series(kept.known(), camera, what)
    lines = 0
    for text in kept.export(since, until, camera=camera, what=what, resolution=by):
        click.echo(text, nl=False)
        lines += text.count("\n")
    if lines <= 1:  # that of the columns
        minutes = kept.export(since, until, camera=camera, what=what, resolution="minutes")
        has_minutes = by in ("hours", "days") and len(list(islice(minutes, 2))) > 1
        hint = (
            f"{by} that begin before --from are left out, and new ones are made of minutes every "
            "ten minutes: try --by minutes"
            if has_minutes
            else "choose another time by --from and --to"
        )
        missing = by if has_minutes else "counts"
        click.echo(f"no {missing} from {_shown(since)} to {_shown(until)}: {hint}", err=True)


def _seconds(moment: datetime, flag: str) -> float:
    """Return a local time in UNIX seconds.

    Raises:
        click.UsageError: it is before 1970 or after 9000, which some systems cannot convert.
    """
    if not 1970 < moment.year <= _LAST_YEAR:
        raise click.UsageError(f"{flag}: expected a year from 1971 to {_LAST_YEAR}, got {moment}")
    return moment.timestamp()


def _shown(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _check_series(known: list[tuple[str, str]], camera: str | None, what: str | None) -> None:
    """Refuse a camera or a series that the file does not have; the message lists those it has."""
    cameras = sorted({one for one, _ in known})
    if camera is not None and camera not in cameras:
        raise click.UsageError(
            f"--camera: expected one of {', '.join(cameras) or 'none yet'}, got {camera}"
        )
    series = sorted({name for one, name in known if camera in (None, one)})
    if what is not None and what not in series:
        raise click.UsageError(
            f"--what: expected one of {', '.join(series) or 'none yet'}, got {what}"
        )
