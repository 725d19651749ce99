"""`edgecount bench`: how long models take on this machine, and what they count."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecount.cli._shell.output import printable, text_of, to_json
from edgecount.cli._types.options import (
    BackendType,
    device_option,
    json_option,
    number_option,
    threads_option,
)
from edgecount.cli._types.paths import UserPath
from edgecount.cli._types.sizes import FrameSizeType

if TYPE_CHECKING:
    from edgecount._latency import Latency


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option(
    "--size",
    type=FrameSizeType(),
    help="Height and width of the frame in pixels.  [default: 480x640, or the image's own]",
)
@click.option(
    "--image",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Picture to count in.  [default: a rendered scene]",
)
@number_option(
    "--batch", "Frames in one call of the engine; above 1 only the engine is timed.", default=1
)
@threads_option
@number_option(
    "--workers",
    "Frames counted at once where frames per second of several are measured.  "
    "[default: as many as suit the engine]",
)
@number_option("--runs", "Timed calls of each model.", default=50, least=2)
@click.option(
    "--backend",
    type=BackendType(),
    multiple=True,
    default=("auto",),
    show_default=True,
    metavar="NAME",
    help="Inference engine, as of edgecount count; repeat to compare several.",
)
@device_option
@click.option(
    "--precision",
    multiple=True,
    default=("auto",),
    show_default=True,
    metavar="NAME",
    help="Kind of numbers to compute in: float32, bfloat16, float16, or auto for the fastest whose "
    "counts were proven; repeat to compare several.",
)
@json_option
def bench(
    models: tuple[str, ...],
    *,
    size: tuple[int, int] | None,
    image: Path | None,
    batch: int,
    threads: int | None,
    workers: int | None,
    runs: int,
    backend: tuple[str, ...],
    device: int | tuple[int, ...] | None,
    precision: tuple[str, ...],
    as_json: bool,
) -> None:
    """Time MODELs on one frame, stage by stage, and compare what they count.

    MODEL is a bundled name, an .onnx file, a TensorRT engine, or a folder written by edgecount
    export. Every model runs with every --backend and --precision that works, by turns, so that
    whatever else the machine does slows all of them alike, and is compared with the first; what
    does not work is named with the reason. Times are in milliseconds.
    """
    if batch > 1 and workers is not None:
        raise click.UsageError(
            f"--batch {batch} times the engine alone, and has no use for --workers"
        )
    from edgecount._latency import measure_batches, measure_latency, measure_throughput
    from edgecount.cli._bench.combinations import combinations, open_all
    from edgecount.cli._bench.frame import bench_frame
    from edgecount.cli._bench.table import facts_of, refused_lines, text_lines

    frame = bench_frame(image, size)
    options = {"threads": threads, "workers": workers, "device": device}
    with ExitStack() as stack:
        asked = list(combinations(models, backend, precision))
        opened, refused = open_all(stack, asked, frame.pixels, options)
        counters = [one.counter for one in opened]
        at_once: list[float | None] = [None] * len(counters)
        if batch > 1:
            found = measure_batches(counters, frame.size, batch, runs=runs)
        else:
            found = measure_latency(counters, frame.size, runs=runs, frame=frame.pixels)
            at_once = [*measure_throughput(counters, frame.pixels, runs=runs)]
        rows = [
            facts_of(one, latency, found[0], several)
            for one, latency, several in zip(opened, found, at_once, strict=True)
        ]
    if as_json:
        about: dict[str, Any] = {"size": list(frame.size), "batch": batch, "runs": runs}
        about |= {**options, "frame": frame.shows}
        failed = [{**one.asked._asdict(), "reason": one.reason} for one in refused]
        click.echo(to_json({**about, "models": rows, "failed": failed}))
        return
    frames = "a frame" if batch == 1 else f"{batch} frames a call"
    click.echo(f"{_heading(frame.size, found)}, {frames}, {runs} runs each")
    if batch == 1:
        click.echo(printable(f"the frame is {frame.shows}"))
    click.echo(text_of(text_lines(rows)))
    if refused:
        click.echo(text_of(["", *refused_lines(refused)]))


def _heading(size: tuple[int, int], found: list[Latency]) -> str:
    """Return the frame's size and, where the models run at others, theirs."""
    asked = "x".join(map(str, size))
    ran = {"x".join(map(str, one.ran)): None for one in found if one.ran}
    return asked if list(ran) == [asked] else f"{asked}, run at {' and '.join(ran)}"
