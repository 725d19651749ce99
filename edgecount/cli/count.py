"""`edgecount count`: people in images, folders, videos and cameras."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecount.cli._archive.options import COMMON, Given, archive_options, take_options
from edgecount.cli._shell.group import FAILED, INTERRUPTED
from edgecount.cli._types.options import (
    FiniteRange,
    GroundType,
    LineType,
    RegionType,
    SecondsType,
    backend_option,
    damaged_option,
    device_option,
    folder_option,
    json_option,
    max_side_option,
    model_option,
    number_option,
    pixels_option,
    precision_option,
    threads_option,
    workers_option,
    zoom_option,
)
from edgecount.cli._types.paths import UserPath

if TYPE_CHECKING:
    from edgecount.analytics import GroundRectangle, Line
    from edgecount.cli._count.measures import Asked
    from edgecount.cli._count.printing import Printer
    from edgecount.cli._count.run import Pace, Task
    from edgecount.counter import EdgeCounter
    from edgecount.regions import Region
    from edgecount.runtime.sources.base import Source


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@model_option
@backend_option
@device_option
@precision_option
@click.option(
    "--rebuild",
    is_flag=True,
    help="Build a TensorRT engine again if it does not fit this machine; takes minutes.",
)
@click.option(
    "--threshold",
    type=FiniteRange(0, 1, max_open=True),
    metavar="SCORE",
    help="Count head points whose score is above this, from 0 to 1; counts have no likely range "
    "then.  [default: the model's]",
)
@max_side_option
@zoom_option
@threads_option
@workers_option
@click.option(
    "--region",
    "regions",
    type=RegionType(),
    metavar="NAME:x,y;x,y;x,y",
    multiple=True,
    help="Also count the people in this polygon, whose corners are pixels of the source, or all "
    "in percent (0%,0%;50%,0%;50%,100%); repeat the option for more regions.",
)
@click.option(
    "--line",
    "lines",
    type=LineType(),
    metavar="NAME:x,y;x,y",
    multiple=True,
    help="Count the people of a video who cross this line. Walk from its start to its end: who "
    "goes from your left to your right goes in. Pixels or percent; repeat it for more lines.",
)
@click.option(
    "--ground",
    type=GroundType(),
    metavar="x,y;x,y;x,y;x,y=WIDTHxDEPTH",
    help="Corners of a rectangle on the ground, in order around it, and its sides in metres, from "
    "the first corner to the second and on to the third: gives people per square metre of it and "
    "of the regions. Pixels or percent.",
)
@click.option(
    "--smooth",
    type=SecondsType(),
    metavar="SECONDS",
    help="Also give a count that does not bounce, of a median and a mean over so many seconds.",
)
@folder_option(
    "--save",
    "folder",
    help="Write annotated copies to this folder: NAME.overlay.jpg or .png for an image, "
    "NAME.overlay.mp4 for a video.",
)
@click.option(
    "--draw",
    "layers",
    metavar="LAYER,...",
    help="With --save: what is drawn, of heat, points, regions, lines, count, legend and map "
    "(of --ground).  [default: all]",
)
@click.option(
    "--csv",
    "table",
    type=UserPath(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write a table with a row for each counted frame (FILE.partial until the run ends); - "
    "prints it.",
)
@click.option("--overwrite", is_flag=True, help="Let --save and --csv replace existing files.")
@json_option
@click.option(
    "--points",
    is_flag=True,
    help="With --json: print every head point as [x, y, score] in pixels, and its box as [left, "
    "top, right, bottom] where the model gives boxes.",
)
@click.option(
    "--reconnect/--no-reconnect",
    default=None,
    help="Open a camera or stream again when it fails, for ever; else that is an error.",
)
@click.option(
    "--newest/--every-frame",
    default=None,
    help="Of a camera or stream: count the newest picture and drop those that are late, or make "
    "them wait and count them all.  [default: newest]",
)
@number_option("--every", "Count every N-th frame of a video.", default=1)
@number_option("--max-frames", "Stop each video after N counted frames.  [default: at its end]")
@damaged_option
@pixels_option
@archive_options
@click.option("-q", "--quiet", is_flag=True, help="Print no progress bars and no summary.")
@click.pass_context
def count(ctx: click.Context, /, sources: tuple[str, ...], **options: Any) -> None:
    """Count people in images, folders, videos and cameras.

    SOURCE is an image, a folder, a glob in quotes, a video, a camera's number, a stream's URL, or
    a GStreamer pipeline; csi://0 is a Jetson's camera. nvdec: before a video or a URL decodes it on
    an NVIDIA GPU, nvv4l2: before rtsp:// on a Jetson. One line is printed per image or video, and
    the mean and range of all images; with --json one object per frame. A camera or stream is
    counted until it ends or Ctrl-C is pressed; on a terminal a line shows how it is doing.

    A source that cannot be read is reported on stderr and the others are counted; the exit code
    is 1 then. Ctrl-C finishes the frames in hand, prints and closes what was done so far, and
    exits with 130.

    With --out a table of a whole archive is written in place of that, by one process or many: each
    image has a row, also one that cannot be read, and a run that was stopped or killed goes on when
    it is started again.

    \b
    Examples:
      edgecount count street.jpg
      edgecount count photos/ --save overlays/
      edgecount count clip.mp4 --every 5 --csv clip.csv
      edgecount count door.png --region "gate:0,0;640,0;640,240"
      edgecount count rtsp://camera/stream --reconnect --smooth 5 --line "door:50%,100%;50%,0%"
      edgecount count photos/ --shard 1/16 --out results/
    """  # noqa: D301 (click looks for the character, not for backslash and b)
    table = take_options(ctx, options)
    if table is not None:
        failed, stopped = 0, _count_archive(sources, table, options)
    else:
        failed, stopped = _count(sources, **options)
    if stopped:
        click.echo("edgecount: stopped", err=True)
        ctx.exit(INTERRUPTED)
    if failed:
        ctx.exit(FAILED)


def _count_archive(sources: tuple[str, ...], given: Given, options: dict[str, Any]) -> bool:
    """Count a shard of an archive; returns whether the user stopped."""
    from edgecount.cli._archive.command import count_archive

    common = {name: value for name, value in options.items() if name in COMMON}
    return count_archive(sources, given, _counter, **common)


def _count(
    specs: tuple[str, ...],
    *,
    folder: Path | None,
    layers: str | None,
    overwrite: bool,
    table: Path | None,
    as_json: bool,
    points: bool,
    every: int,
    max_frames: int | None,
    quiet: bool,
    regions: tuple[Region, ...],
    lines: tuple[Line, ...],
    ground: GroundRectangle | None,
    smooth: float | None,
    reconnect: bool | None,
    newest: bool | None,
    **engine: Any,
) -> tuple[int, bool]:
    """Count what can be opened; returns the number of failures, and whether the user stopped."""
    from edgecount.cli._count.layers import choose_layers
    from edgecount.cli._count.measures import Asked
    from edgecount.cli._count.names import refuse_same, refuse_sources
    from edgecount.cli._count.run import Pace, Run
    from edgecount.cli._count.saving import Look
    from edgecount.cli._count.table import STDOUT, CsvFile, CsvPrinter
    from edgecount.runtime.sources.live import LiveOptions

    if layers is not None and folder is None:
        raise click.UsageError("--draw is about the overlays: pass --save DIR too")
    if points and not as_json:
        raise click.UsageError("--points lists points in JSON: pass --json too")
    if overwrite and folder is None and table in (None, STDOUT):
        raise click.UsageError("--overwrite is about --save DIR and --csv FILE: pass one of them")
    if as_json and table == STDOUT:
        raise click.UsageError("--json and --csv - both print: name a file for the table")
    refuse_same(table, folder)
    asked = Asked(lines, ground, smooth)
    drawn = choose_layers(layers, regions, asked)
    _refuse_same_names(lines)
    pace = Pace(every, max_frames)
    reading = {name: engine[name] for name in ("accept_damaged", "max_pixels")}
    live = LiveOptions(newest=newest is not False, reconnect=bool(reconnect))
    sources, unopened = _open(specs, live=live, **reading)
    if not sources:
        return unopened, False
    is_live = _check_kinds(sources, asked, reconnect, newest, pace)
    tasks = _plan(sources, folder, overwrite)
    if table not in (None, STDOUT):
        refuse_sources(sources, [table], "--csv")
    names = [region.name for region in regions]
    printers = [_printer(sources, asked, as_json=as_json, points=points, summary=not quiet)]
    if table == STDOUT:
        printers = [CsvPrinter(names, asked, live=is_live)]
    with ExitStack() as stack:
        if table is not None and table != STDOUT:
            file = CsvFile(table, names, overwrite, asked, live=is_live)
            printers.append(stack.enter_context(file))
        counted = asked.with_ground(regions)
        counter = stack.enter_context(_counter(regions=counted, quiet=quiet, **engine))
        look = Look(regions, asked, drawn)
        prints_frames = as_json or table == STDOUT
        run = Run(counter, printers, pace, look, bars=not quiet, journal=not prints_frames)
        run.all(tasks)
    written = [path for printer in printers for path in printer.written]
    printers[0].end(run.failed + unopened, run.written + written)
    return run.failed + unopened, run.stopped


def _refuse_same_names(lines: Sequence[Line]) -> None:
    names = [line.name for line in lines]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise click.UsageError(f"--line: the name {twice!r} is given twice; names must differ")


def _check_kinds(
    sources: Sequence[Source],
    asked: Asked,
    reconnect: bool | None,
    newest: bool | None,
    pace: Pace,
) -> bool:
    """Refuse options that none of the sources has a use for; return whether one is live."""
    from edgecount.runtime.sources.live import LiveSource

    live = [source for source in sources if isinstance(source, LiveSource)]
    if not live and reconnect is not None:
        flag = "--reconnect" if reconnect else "--no-reconnect"
        raise click.UsageError(f"{flag} is about cameras and streams, and there is none")
    if not live and newest is not None:
        flag = "--newest" if newest else "--every-frame"
        raise click.UsageError(
            f"{flag} is about cameras and streams: every frame of a file is counted, or one of N "
            "with --every N"
        )
    if not any(source.is_video for source in sources):
        for flag, given in (
            ("--line", asked.lines),
            ("--smooth", asked.smooth),
            ("--every", pace.every > 1),
            ("--max-frames", pace.at_most),
        ):
            if given:
                raise click.UsageError(f"{flag} is about videos and cameras, and there is none")
    endless = [source for source in live if not source.name.lower().startswith("http")]
    if len(endless) > 1 and pace.at_most is None:
        raise click.UsageError(
            "cameras are counted one after the other, and the first has no end: run one command "
            "for each, or give --max-frames"
        )
    return bool(live)


def _printer(
    sources: Sequence[Source], asked: Asked, *, as_json: bool, points: bool, summary: bool
) -> Printer:
    from edgecount.cli._count.printing import JsonPrinter, TextPrinter

    return JsonPrinter(points, asked) if as_json else TextPrinter(sources, summary)


def _open(specs: tuple[str, ...], **reading: Any) -> tuple[list[Source], int]:
    """Open the sources; returns them and the number of texts that name none."""
    from edgecount.cli._shell.failures import report_failure
    from edgecount.errors import SourceError
    from edgecount.runtime.sources.open import open_sources
    from edgecount.runtime.sources.urls import shown_url

    def attempt(spec: str) -> list[Source] | None:
        if _is_list(spec):
            needs = "a list of images is counted into a table: pass --out DIR too"
            report_failure(spec, SourceError(needs))
            return None
        try:
            # A folder may be called 2024.
            is_camera = spec.isdecimal() and not Path(spec).exists()
            return list(open_sources(int(spec) if is_camera else spec, **reading))
        except Exception as error:  # noqa: BLE001 (the system raises anything of an odd name)
            report_failure(shown_url(spec), error)
            return None

    attempts = [attempt(spec) for spec in specs]
    sources = [source for opened in attempts for source in opened or ()]
    return sources, attempts.count(None)


def _is_list(spec: str) -> bool:
    """Return whether a text names a list for `--out`, and nothing that is counted without it."""
    is_text = Path(spec).suffix.lower() in (".txt", ".lst", ".list") and Path(spec).is_file()
    return is_text or ((spec == "-" or spec.startswith("@")) and not Path(spec).exists())


def _plan(sources: list[Source], folder: Path | None, overwrite: bool) -> list[Task]:
    from edgecount.cli._count.names import plan_outputs
    from edgecount.cli._count.run import Task

    if folder is None:
        return [Task(source) for source in sources]
    outputs = plan_outputs(sources, folder, overwrite)
    return [Task(source, output) for source, output in zip(sources, outputs, strict=True)]


def _counter(*, model: str, rebuild: bool, quiet: bool, **options: Any) -> EdgeCounter:
    from edgecount.counter import EdgeCounter

    if not rebuild:
        return EdgeCounter(model, **options)
    from edgecount._rebuild import rebuild_engine
    from edgecount.cli._shell.progress import Bars

    with Bars(shown=not quiet) as bars:
        build = functools.partial(rebuild_engine, progress=bars.report)
        return EdgeCounter(model, rebuild=build, **options)
