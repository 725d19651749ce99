"""`edgecount watch`: count cameras for months."""

from __future__ import annotations

import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecount.cli._shell.flags import with_flags
from edgecount.cli._shell.group import INTERRUPTED, USAGE
from edgecount.cli._shell.output import complain, printable
from edgecount.cli._types.options import (
    FiniteRange,
    LineType,
    RegionType,
    backend_option,
    device_option,
    max_side_option,
    model_option,
    precision_option,
    threads_option,
)
from edgecount.cli._types.paths import UserPath

if TYPE_CHECKING:
    from edgecount.cli._watch.setup import PageOptions
    from edgecount.watch.config import WatchConfig

DEFAULT_ADDRESS = "127.0.0.1:8080"
# Options that belong in the config if there is one.
_OF_CONFIG = (
    *("model", "backend", "device", "precision", "threads", "max_side"),
    *("rate", "regions", "lines", "history", "jsonl", "csv"),
)
_ONLY_ALONE = "--new-token only writes a token: it cannot be combined with other options"


class _AddressType(click.ParamType):  # type: ignore[type-arg] # older releases cannot subscript it
    """HOST:PORT; refuses a camera's address that --serve has taken for its value."""

    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text; the config checks it."""
        text = str(value)
        if "://" in text or text.startswith("/") or ":" not in text:
            from edgecount.runtime.sources.urls import shown_url

            self.fail(
                f"expected HOST:PORT such as {DEFAULT_ADDRESS}, got {shown_url(text)!r}; to serve "
                "at the default address, put --serve after the cameras",
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
    help="Read cameras and all other settings from this YAML file; SIGHUP reloads it.",
)
@click.option(
    "--serve",
    "address",
    type=_AddressType(),
    is_flag=False,
    flag_value=DEFAULT_ADDRESS,
    metavar="[HOST:PORT]",
    help=f"Serve the web page at this address.  [without a value: {DEFAULT_ADDRESS}]",
)
@click.option(
    "--token-file",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Require the token in this file to open the page; needed if other machines can reach it.",
)
@click.option(
    "--viewer-token-file",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Let viewers open the page with the token in this file, without changing anything.",
)
@click.option("--read-only", is_flag=True, help="Allow no changes from the page.")
@model_option
@backend_option
@device_option
@precision_option
@threads_option
@max_side_option
@click.option(
    "--rate",
    type=FiniteRange(0.01, 240),
    metavar="N",
    help="Count at most N pictures per second of each camera.  [default: 5]",
)
@click.option(
    "--region",
    "regions",
    type=RegionType(),
    metavar="NAME:x,y;x,y;x,y",
    multiple=True,
    help="Also count the people in this polygon, in percent of the picture "
    "(0%,0%;50%,0%;50%,100%); may be repeated. For a single camera.",
)
@click.option(
    "--line",
    "lines",
    type=LineType(),
    metavar="NAME:x,y;x,y",
    multiple=True,
    help="Count people who cross this line, in percent of the picture. Walk from its start to its "
    "end: who goes from your left to your right goes in. May be repeated. For a single camera.",
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
    help="Write counts (one per second and camera) and events to this file as JSON lines.",
)
@click.option(
    "--csv",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Write counts (one per minute and camera) and events to this CSV file.",
)
@click.option(
    "--print-every",
    type=FiniteRange(0, 86_400),
    metavar="SECONDS",
    help="Seconds between lines of counts on stdout; 0: none.  [default: 10 if the counts go "
    "nowhere else, otherwise 0]",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Format of the log on stderr: plain text or one JSON object per line.",
)
@click.option(
    "--check", "is_check", is_flag=True, help="Check the config and all it refers to, and exit."
)
@click.option(
    "--write-config",
    "new_config",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Write the given options to a new config file that only you can read, and exit.",
)
@click.option(
    "--new-token",
    "token",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Write a new token for --token-file that only you can read, and exit.",
)
@click.pass_context
def watch(
    ctx: click.Context, /, sources: tuple[str, ...], token: Path | None, **options: Any
) -> None:
    """Run a service that counts cameras until it is stopped.

    SOURCE is a camera: a URL (rtsp://, http:// ...), a camera number, a device, or a GStreamer
    pipeline. --serve adds a web page. Without a page and without output files, one line per camera
    is printed every ten seconds. The log goes to stderr.

    Lost cameras are reconnected for as long as it takes; their state is in the log and on the
    page. Several cameras with regions, lines and alarms, MQTT, webhooks and all other settings
    need --config: see docs/watch.md.

    SIGTERM stops the service with exit code 0, Ctrl-C with 130. SIGHUP reloads --config; an
    invalid one changes nothing.

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
    """Print one line per problem, and exit with 2 if there are any."""
    from edgecount.cli._watch.check import check_config

    page = _page(options)
    config = _config(sources, path, page, options)
    findings = list(check_config(config))
    name = "the command line" if path is None else str(path)
    for finding in findings:
        if finding.is_error:
            # Who gave options is told of those, and who wrote a config of its keys.
            text = with_flags(finding.text) if path is None else finding.text
            complain(f"{name}: {text}")
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
        raise click.UsageError("--write-config and --config cannot be combined")
    write_config(_config(sources, None, _page(options), options), new_config)
    shown = printable(str(new_config))
    click.echo(f"{shown} is written. Next:  edgecount watch --config {shown}")


def _page(options: dict[str, Any]) -> PageOptions:
    """Remove the page's options from the given ones, and return them."""
    from edgecount.cli._watch.setup import PageOptions

    names = ("address", "token_file", "viewer_token_file", "read_only")
    return PageOptions(**{name: options.pop(name) for name in names})


def _config(
    sources: tuple[str, ...], path: Path | None, page: PageOptions, options: dict[str, Any]
) -> WatchConfig:
    from edgecount.cli._watch.setup import make_config, read_config

    return make_config(sources, page, **options) if path is None else read_config(path, page)


def _refuse_mixture(ctx: click.Context, sources: tuple[str, ...]) -> None:
    """Refuse a config together with options that belong in it, and a call without cameras."""
    if ctx.params["path"] is None:
        if not sources:
            raise click.UsageError("expected cameras (SOURCE...) or --config FILE")
        return
    if sources:
        raise click.UsageError("expected cameras as SOURCE... or in --config FILE, not both")
    given = (name for name in _OF_CONFIG if _is_given(ctx, name))
    name = next(given, None)
    if name is not None:
        flag = next(one.opts[0] for one in ctx.command.params if one.name == name)
        raise click.UsageError(f"{flag} cannot be combined with --config: set it in the config")


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
        f"{shown}: a new token, which only you can read. Use it by --token-file {shown}, or by "
        f"token_file: {shown} below serve: in the config. To log in, enter what  cat {shown}  "
        "prints."
    )
