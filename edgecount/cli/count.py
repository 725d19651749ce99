"""`edgecount count`: people in images, folders, videos and cameras."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecount.cli._shell.group import FAILED, INTERRUPTED, complain
from edgecount.cli._types.options import (
    RegionType,
    backend_option,
    damaged_option,
    folder_option,
    json_option,
    max_side_option,
    model_option,
    number_option,
    pixels_option,
    side_limit,
    threads_option,
)

if TYPE_CHECKING:
    from edgecount.cli._count.run import Task
    from edgecount.counter import EdgeCounter
    from edgecount.regions import Region
    from edgecount.runtime.sources.base import Source


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@model_option
@backend_option
@click.option(
    "--rebuild",
    is_flag=True,
    help="Build a TensorRT engine again if it does not fit this machine; takes minutes.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="SCORE",
    help="Count head points whose score is above this, from 0 to 1.  [default: the model's]",
)
@max_side_option
@threads_option
@click.option(
    "--region",
    "regions",
    type=RegionType(),
    metavar="NAME:x,y;x,y;x,y",
    multiple=True,
    help="Also count the people in this polygon, whose corners are pixels of the source; repeat "
    "the option for more regions.",
)
@folder_option(
    "--save",
    "folder",
    help="Write annotated copies to this folder: NAME.overlay.jpg or .png for an image, "
    "NAME.overlay.mp4 for a video.",
)
@click.option("--overwrite", is_flag=True, help="Let --save replace existing files.")
@json_option
@click.option(
    "--points", is_flag=True, help="With --json: print every head point as [x, y, score] in pixels."
)
@number_option("--every", "Count every N-th frame of a video.", default=1)
@number_option("--max-frames", "Stop each video after N counted frames.  [default: at its end]")
@damaged_option
@pixels_option
@click.option("-q", "--quiet", is_flag=True, help="Print no progress bars and no total.")
@click.pass_context
def count(ctx: click.Context, /, sources: tuple[str, ...], **options: Any) -> None:
    """Count people in images, folders, videos and cameras.

    SOURCE is an image, a folder, a glob in quotes, a video, a camera's number, or a stream's
    URL. One line is printed per image or video; with --json one object per frame.

    A source that cannot be read is reported on stderr and the others are counted; the exit code
    is 1 then. Ctrl-C finishes the frame in hand, prints and closes what was done so far, and
    exits with 130.

    \b
    Examples:
      edgecount count street.jpg
      edgecount count photos/ --save overlays/
      edgecount count clip.mp4 --every 5 --json
      edgecount count door.png --region "gate:0,0;640,0;640,240"
    """  # noqa: D301 (click looks for the character, not for backslash and b)
    failed, stopped = _count(sources, **options)
    if stopped:
        click.echo("edgecount: stopped", err=True)
        ctx.exit(INTERRUPTED)
    if failed:
        ctx.exit(FAILED)


def _count(
    specs: tuple[str, ...],
    *,
    folder: Path | None,
    overwrite: bool,
    as_json: bool,
    points: bool,
    every: int,
    max_frames: int | None,
    quiet: bool,
    regions: tuple[Region, ...],
    **engine: Any,
) -> tuple[int, bool]:
    """Count what can be opened; see `Run.all`, whose failures include what cannot be."""
    from edgecount.cli._count.printing import JsonPrinter, TextPrinter
    from edgecount.cli._count.run import Pace, Run

    if points and not as_json:
        raise click.UsageError("--points lists points in JSON: pass --json too")
    if overwrite and folder is None:
        raise click.UsageError("--overwrite is about --save DIR: pass that too")
    reading = {name: engine[name] for name in ("accept_damaged", "max_pixels")}
    sources, unopened = _open(specs, **reading)
    if not sources:
        return unopened, False
    tasks = _plan(sources, folder, overwrite)
    printer = JsonPrinter(points) if as_json else TextPrinter(summary=not quiet)
    with _counter(regions=regions, quiet=quiet, **engine) as counter:
        run = Run(counter, printer, Pace(every, max_frames), regions, bars=not quiet)
        failed, stopped = run.all(tasks)
    printer.end(failed + unopened)
    return failed + unopened, stopped


def _open(specs: tuple[str, ...], **reading: Any) -> tuple[list[Source], int]:
    """Open the sources; returns them and the number of texts that name none."""
    from edgecount.errors import SourceError
    from edgecount.runtime.sources.open import open_sources

    def attempt(spec: str) -> list[Source] | None:
        try:
            return list(open_sources(int(spec) if spec.isdecimal() else spec, **reading))
        except SourceError as error:
            complain(str(error))
            return None

    attempts = [attempt(spec) for spec in specs]
    sources = [source for opened in attempts for source in opened or ()]
    return sources, attempts.count(None)


def _plan(sources: list[Source], folder: Path | None, overwrite: bool) -> list[Task]:
    from edgecount.cli._count.names import plan_outputs
    from edgecount.cli._count.run import Task

    if folder is None:
        return [Task(source) for source in sources]
    outputs = plan_outputs(sources, folder, overwrite)
    return [Task(source, output) for source, output in zip(sources, outputs, strict=True)]


def _counter(
    *, model: str, max_side: int | str | None, rebuild: bool, quiet: bool, **options: Any
) -> EdgeCounter:
    from edgecount.counter import EdgeCounter

    options |= side_limit(max_side)
    if not rebuild:
        return EdgeCounter(model, **options)
    from edgecount._rebuild import rebuild_engine
    from edgecount.cli._shell.progress import Bars

    with Bars(shown=not quiet) as bars:
        build = functools.partial(rebuild_engine, progress=bars.report)
        return EdgeCounter(model, rebuild=build, **options)
