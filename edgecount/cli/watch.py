"""`edgecount watch`: count cameras for months."""

from __future__ import annotations

import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecount.cli._shell.group import INTERRUPTED, USAGE
from edgecount.cli._shell.output import complain, printable
from edgecount.cli._types.options import (
    LineType,
    RegionType,
    backend_option,
    max_side_option,
    model_option,
    threads_option,
)
from edgecount.cli._types.paths import UserPath

if TYPE_CHECKING:
    from edgecount.cli._watch.setup import PageOptions
    from edgecount.watch.config import WatchConfig

DEFAULT_ADDRESS = "127.0.0.1:8080"
# What belongs into the config where there is one.
_OF_CONFIG = (
    *("model", "backend", "threads", "max_side"),
    *("rate", "regions", "lines", "history", "jsonl", "csv"),
)
_ONLY_ALONE = "--new-token writes a token and does nothing else: give it alone"


class _AddressType(click.ParamType):  # type: ignore[type-arg] # older releases cannot subscript it
    """HOST:PORT; a camera that was taken for it is told."""

    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text; the config checks it."""
        text = str(value)
        if "://" in text or text.startswith("/") or ":" not in text:
            from edgecount.runtime.sources.urls import shown_url

            self.fail(
                f"expected HOST:PORT such as {DEFAULT_ADDRESS}, got {shown_url(text)!r}; to serve "
                "at the usual address, put --serve behind the cameras",
                param,
                ctx,
            )
        return text


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option(
    "--config",
    "path",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Cameras and all else from this YAML file, which is read again at SIGHUP.",
)
@click.option(
    "--serve",
    "address",
    type=_AddressType(),
    is_flag=False,
    flag_value=DEFAULT_ADDRESS,
    metavar="[HOST:PORT]",
    help=f"Serve the page there.  [without a value: {DEFAULT_ADDRESS}]",
)
@click.option(
    "--token-file",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Ask who opens the page for the token in this file; other machines' access needs one.",
)
@click.option(
    "--viewer-token-file",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Let those with the token in this file look, and change nothing.",
)
@click.option("--read-only", is_flag=True, help="Let nobody change anything on the page.")
@model_option
@backend_option
@threads_option
@max_side_option
@click.option(
    "--rate",
    type=click.FloatRange(0.01, 240),
    metavar="N",
    help="Count at most N pictures a second of each camera.  [default: 5]",
)
@click.option(
    "--region",
    "regions",
    type=RegionType(),
    metavar="NAME:x,y;x,y;x,y",
    multiple=True,
    help="Also count the people in this polygon, in percent of the picture "
    "(0%,0%;50%,0%;50%,100%); repeat it for more. For one camera.",
)
@click.option(
    "--line",
    "lines",
    type=LineType(),
    metavar="NAME:x,y;x,y",
    multiple=True,
    help="Count who crosses this line: from the left to the right of somebody who walks along it "
    "is in. Percent; repeat it for more. For one camera.",
)
@click.option(
    "--history",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Keep the history of counts in this SQLite file, for the page's charts.",
)
@click.option(
    "--jsonl",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Write counts, one a second and camera, and events to this file, as lines of JSON.",
)
@click.option(
    "--csv",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Write counts, one a minute and camera, to this table.",
)
@click.option(
    "--print-every",
    type=click.FloatRange(0, 86_400),
    metavar="SECONDS",
    help="Print a line for each camera so often; 0: never.  [default: 10 if the counts go nowhere "
    "else, else 0]",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Log to stderr in lines for people or of JSON.",
)
@click.option(
    "--check", "is_check", is_flag=True, help="Check the config and what it names, and exit."
)
@click.option(
    "--write-config",
    "new_config",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Write what the command line says to a new config, readable by you alone, and exit.",
)
@click.option(
    "--new-token",
    "token",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Write a new token for --token-file, readable by you alone, and exit.",
)
@click.pass_context
def watch(
    ctx: click.Context, /, sources: tuple[str, ...], token: Path | None, **options: Any
) -> None:
    """Count cameras until it is stopped, for months.

    SOURCE is a camera: an address (rtsp://, http:// ...), a camera's number, a device, or a
    pipeline of GStreamer. With --serve there is a page to look at; without it, and without a file
    for the counts, a line for each camera is printed every ten seconds. The log goes to stderr.

    A camera that is away is tried again for ever; its state is in the log and on the page.
    Regions, lines, alarms, brokers and all else that has no option here are in --config:
    docs/watch.md.

    SIGTERM ends it with exit code 0, Ctrl-C with 130; SIGHUP reads --config again, and a wrong one
    changes nothing.

    \b
    Examples:
      edgecount watch rtsp://user:password@192.168.1.20/stream
      edgecount watch rtsp://door/stream rtsp://hall/stream --history counts.sqlite --serve
      edgecount watch rtsp://door/stream --serve --write-config cameras.yaml
      edgecount watch --config cameras.yaml --check
      edgecount watch --new-token page.token
      edgecount watch --config cameras.yaml --serve 0.0.0.0:8080 --token-file page.token
    """  # noqa: D301 (click looks for the character, not for backslash and b)
    if token is not None:
        _new_token(ctx, token, sources)
        return
    _refuse_mixture(ctx, sources)
    is_check, new_config = options.pop("is_check"), options.pop("new_config")
    if is_check:
        _check(ctx, sources, **options)
    if new_config is not None:
        _write(new_config, sources, **options)
    if is_check or new_config is not None:
        return
    stopped_by = _watch(sources, **options)
    if stopped_by != signal.SIGTERM:
        ctx.exit(INTERRUPTED if stopped_by == signal.SIGINT else 128 + stopped_by)


def _watch(
    sources: tuple[str, ...],
    *,
    path: Path | None,
    log_format: Any,
    print_every: float | None,
    **options: Any,
) -> signal.Signals:
    from edgecount.cli._watch.orders import Orders, reloads_by_signal

    page = _page(options)

    def load() -> WatchConfig:
        return _config(sources, path, page, options)

    orders, reloads = Orders(), path is not None
    # A reload may be ordered while it starts, which takes a while.
    with reloads_by_signal(orders) if reloads else nullcontext():
        from edgecount.cli._watch.run import Run
        from edgecount.watch.logs import log_to

        with log_to(sys.stderr, log_format) as formatter:
            run = Run(load, formatter, orders, reloads=reloads, print_every=print_every)
            return run.until_stopped()


def _check(
    ctx: click.Context,
    sources: tuple[str, ...],
    *,
    path: Path | None,
    log_format: Any,  # noqa: ARG001
    print_every: float | None,  # noqa: ARG001
    **options: Any,
) -> None:
    """Print what is wrong, a line each, and exit with 2 if something is."""
    from edgecount.cli._watch.check import check_config

    page = _page(options)
    config = _config(sources, path, page, options)
    findings = list(check_config(config))
    name = "the command line" if path is None else str(path)
    for finding in findings:
        if finding.is_error:
            complain(f"{name}: {finding.text}")
        else:
            click.echo(printable(f"edgecount: note: {finding.text}"), err=True)
    if any(finding.is_error for finding in findings):
        ctx.exit(USAGE)
    number = len(config.cameras)
    click.echo(printable(f"{name}: {number} camera{'' if number == 1 else 's'}, fine"))


def _write(
    new_config: Path,
    sources: tuple[str, ...],
    *,
    path: Path | None,
    log_format: Any,  # noqa: ARG001
    print_every: float | None,  # noqa: ARG001
    **options: Any,
) -> None:
    """Write a config of the command line."""
    from edgecount.cli._watch.write import write_config

    if path is not None:
        raise click.UsageError("--write-config is for cameras without --config")
    write_config(_config(sources, None, _page(options), options), new_config)
    shown = printable(str(new_config))
    click.echo(f"{shown}: go on by  edgecount watch --config {shown}")


def _page(options: dict[str, Any]) -> PageOptions:
    """Take the options that are about the page off the others."""
    from edgecount.cli._watch.setup import PageOptions

    names = ("address", "token_file", "viewer_token_file", "read_only")
    return PageOptions(**{name: options.pop(name) for name in names})


def _config(
    sources: tuple[str, ...], path: Path | None, page: PageOptions, options: dict[str, Any]
) -> WatchConfig:
    from edgecount.cli._watch.setup import make_config, read_config

    return make_config(sources, page, **options) if path is None else read_config(path, page)


def _refuse_mixture(ctx: click.Context, sources: tuple[str, ...]) -> None:
    """Refuse a config together with what it is there to say, and neither of them."""
    if ctx.params["path"] is None:
        if not sources:
            raise click.UsageError("expected cameras (SOURCE...) or --config FILE")
        return
    if sources:
        raise click.UsageError("cameras are in --config FILE or given as SOURCE..., not both")
    given = (name for name in _OF_CONFIG if _is_given(ctx, name))
    name = next(given, None)
    if name is not None:
        flag = next(one.opts[0] for one in ctx.command.params if one.name == name)
        raise click.UsageError(f"{flag} is for cameras without --config: write it into the config")


def _is_given(ctx: click.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def _new_token(ctx: click.Context, token: Path, sources: tuple[str, ...]) -> None:
    """Write a token and say what to do with it."""
    from edgecount.cli._watch.token import write_token

    others = (one.name for one in ctx.command.params if one.name not in ("token", "sources"))
    if sources or any(_is_given(ctx, str(name)) for name in others):
        raise click.UsageError(_ONLY_ALONE)
    write_token(token)
    shown = printable(str(token))
    click.echo(
        f"{shown}: a new token, which only you can read. Give --token-file {shown}, or token_file: "
        f"{shown} below serve: in the config; the page asks for what  cat {shown}  shows."
    )
