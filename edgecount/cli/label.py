"""`edgecount label`: a local page for marking heads in one's own pictures."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecount.cli._shell.flags import given_flags
from edgecount.cli._shell.output import plural, printable, text_of
from edgecount.cli._shell.signals import stop_on_interrupt
from edgecount.cli._types.options import (
    backend_option,
    damaged_option,
    device_option,
    model_option,
    pixels_option,
    precision_option,
    threads_option,
)
from edgecount.cli._types.paths import UserPath

if TYPE_CHECKING:
    from edgecount import EdgeCounter
    from edgecount.label import LabelServer

PORT = 8087  # again as in label.server, which help must not import
_OF_MODEL = ("model", "backend", "device", "precision", "threads")  # options of no use without one
_PAUSE = 0.2  # s between two looks at whether Ctrl-C came


@click.command()
@click.argument("folder", type=UserPath())
@click.option(
    "--out",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="CSV file to continue or create.  [default: the folder's only one, or labels.csv]",
)
@model_option
@click.option(
    "--no-proposal", is_flag=True, help="Start each picture without marks proposed by a model."
)
@backend_option
@device_option
@precision_option
@threads_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    default=PORT,
    show_default=True,
    help="Port on 127.0.0.1; 0 picks a free one.",
)
@click.option(
    "--open/--no-open",
    "opens",
    default=None,
    help="Open the page in the browser.  [default: where there is a desktop]",
)
@damaged_option
@pixels_option
@click.pass_context
def label(
    ctx: click.Context,
    /,
    folder: Path,
    *,
    out: Path | None,
    model: str,
    no_proposal: bool,
    backend: str,
    device: int | tuple[int, ...] | None,
    precision: str,
    threads: int | None,
    port: int,
    opens: bool | None,
    accept_damaged: bool,
    max_pixels: int,
) -> None:
    """Mark the heads in the pictures of FOLDER on a local web page.

    The model proposes heads, which you correct. Every change is saved at once: finished pictures,
    including those without people, go to a CSV that edgecount adapt, eval and data check read;
    unfinished ones to a file beside it. Ctrl-C stops it, and the same command continues. New
    pictures in FOLDER, such as those that edgecount watch keeps, are picked up while it runs.

    From another machine:  ssh -L 8087:127.0.0.1:8087 HOST
    """
    if no_proposal:
        flags = given_flags(ctx)
        useless = next((flags[name] for name in _OF_MODEL if name in flags), None)
        if useless is not None:
            raise click.UsageError(f"--no-proposal opens no model, and has no use for {useless}")
    from edgecount.label import LabelServer

    def open_counter(threshold: float) -> EdgeCounter:
        from edgecount import EdgeCounter

        _check_proposes(model)
        return EdgeCounter(
            model,
            backend=backend,
            device=device,
            precision=precision,
            threads=threads,
            threshold=threshold,
        )

    with (
        stop_on_interrupt() as stop,
        LabelServer(
            folder,
            out=out,
            port=port,
            open_counter=None if no_proposal else open_counter,
            model=model,
            accept_damaged=accept_damaged,
            max_pixels=max_pixels,
        ) as server,
    ):
        click.echo(f"{server.address}\nOpen this address on this machine; Ctrl-C stops the page.")
        if opens or (opens is None and _has_desktop()):
            _open_browser(server)
        _wait(lambda: stop.requested)
        click.echo(text_of(summary(server.tally(), server.store.table)))


def _check_proposes(model: str) -> None:
    """Refuse a model that finds no heads.

    Raises:
        ConfigError: it has neither a heatmap nor boxes.
        ModelError: there is no such model.
    """
    from edgecount._options import finds_heads
    from edgecount.errors import ConfigError
    from edgecount.runtime.models.open import open_model

    manifest = open_model(model).manifest
    if not finds_heads(manifest):
        raise ConfigError(
            f"--model: expected a model with a heatmap or boxes, whose heads can be proposed, got "
            f"{manifest.name}, which only estimates density: name another one, or add --no-proposal"
        )


def summary(tally: Counter[str], table: Path) -> Iterator[str]:
    """Yield lines that summarise the progress and name the next step."""
    done, empty, begun = tally["done"], tally["empty"], tally["open"]
    if not done + empty:
        also = f"; {plural(begun, 'picture')} begun" if begun else ""
        yield f"no picture is done{also}"
        return
    also = f", and {begun} begun that {'is' if begun == 1 else 'are'} not in it" if begun else ""
    yield (
        f"{table}: {plural(done, 'picture')} with {plural(tally['heads'], 'head')}, {empty} "
        f"without people{also}"
    )
    yield f"next:  edgecount adapt edgecount-s {table}"


def _has_desktop() -> bool:
    """Return whether a graphical browser can be expected; browsers in a terminal do not count."""
    if sys.platform in {"darwin", "win32"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open_browser(server: LabelServer) -> None:
    import webbrowser

    try:
        found = webbrowser.open(server.address_once())
    except (webbrowser.Error, OSError):
        found = False
    if not found:
        text = "edgecount: warning: no browser was found: open the address yourself"
        click.echo(printable(text), err=True)


def _wait(is_over: Callable[[], bool]) -> None:
    import threading

    pause = threading.Event()
    while not is_over():
        pause.wait(_PAUSE)
