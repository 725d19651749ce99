"""`edgecount count`: people in images, folders, videos and cameras."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecount.cli._shell.group import FAILED, INTERRUPTED, complain
from edgecount.cli._types.options import RegionType, SideType, json_option, model_option

if TYPE_CHECKING:
    from edgecount.cli._count.run import Job, Outcome
    from edgecount.counter import EdgeCounter
    from edgecount.regions import Region
    from edgecount.runtime.sources.base import Source


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@model_option
@click.option(
    "--backend",
    default="auto",
    show_default=True,
    help="Engine: auto, tensorrt, tensorrt-rtx, onnxruntime-cuda, onnxruntime. auto takes the best "
    "that works here.",
)
@click.option(
    "--rebuild",
    is_flag=True,
    help="Build a TensorRT engine that does not fit this machine again; takes minutes.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="SCORE",
    help="Score above which a head point counts.  [default: the model's]",
)
@click.option(
    "--max-side",
    type=SideType(),
    metavar="N|native",
    help="Shrink frames to this longer side; native keeps them.  [default: the model's]",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="CPU threads.  [default: all cores]",
)
@click.option(
    "--region",
    "regions",
    type=RegionType(),
    metavar="NAME:x,y;x,y;x,y",
    multiple=True,
    help="Count in a polygon of source pixels too; may be given several times.",
)
@click.option(
    "--save",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write overlays there: NAME.overlay.jpg or .png per image, .mp4 per video.",
)
@click.option("--overwrite", is_flag=True, help="Let --save replace overlays that exist.")
@json_option
@click.option("--points", is_flag=True, help="With --json: list the points [x, y, score].")
@click.option(
    "--every",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    help="Count one of so many frames of a video.",
)
@click.option(
    "--max-frames",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop a video after so many counted frames.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress bars and no total.")
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
    outcome, unopened = _count(sources, **options)
    if outcome is not None and outcome.stopped:
        click.echo("edgecount: stopped", err=True)
        ctx.exit(INTERRUPTED)
    if unopened or outcome is None or outcome.failed:
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
) -> tuple[Outcome | None, int]:
    """Count what can be opened; returns the outcome and the number of sources that cannot."""
    from edgecount.cli._count.report import JsonReport, TextReport
    from edgecount.cli._count.run import Pace, Run

    if points and not as_json:
        raise click.UsageError("--points lists points in JSON: pass --json too")
    if overwrite and folder is None:
        raise click.UsageError("--overwrite is about --save DIR: pass that too")
    sources, unopened = _open(specs)
    if not sources:
        return None, unopened
    jobs = _plan(sources, folder, overwrite)
    report = JsonReport(points) if as_json else TextReport(summary=not quiet)
    with _counter(regions=regions, quiet=quiet, **engine) as counter:
        run = Run(counter, report, Pace(every, max_frames), regions, bars=not quiet)
        outcome = run.all(jobs)
    report.end(outcome.failed + unopened)
    return outcome, unopened


def _open(specs: tuple[str, ...]) -> tuple[list[Source], int]:
    from edgecount.errors import SourceError
    from edgecount.runtime.sources.open import open_sources

    def attempt(spec: str) -> list[Source] | None:
        try:
            return list(open_sources(int(spec) if spec.isdecimal() else spec))
        except SourceError as error:
            complain(str(error))
            return None

    attempts = [attempt(spec) for spec in specs]
    opened = [sources for sources in attempts if sources is not None]
    return [source for sources in opened for source in sources], len(attempts) - len(opened)


def _plan(sources: list[Source], folder: Path | None, overwrite: bool) -> list[Job]:
    from edgecount.cli._count.names import plan_outputs
    from edgecount.cli._count.run import Job

    if folder is None:
        return [Job(source) for source in sources]
    outputs = plan_outputs(sources, folder, overwrite)
    return [Job(source, output) for source, output in zip(sources, outputs, strict=True)]


def _counter(
    *, max_side: int | str | None, rebuild: bool, quiet: bool, **options: Any
) -> EdgeCounter:
    from edgecount.counter import EdgeCounter

    if max_side is not None:
        options["max_side"] = None if max_side == "native" else max_side
    model = options.pop("model")
    if not rebuild:
        return EdgeCounter(model, **options)
    from edgecount._rebuild import rebuild_engine
    from edgecount.cli._shell.progress import Bars

    with Bars(shown=not quiet) as bars:
        build = functools.partial(rebuild_engine, progress=bars.report)
        return EdgeCounter(model, rebuild=build, **options)
