"""`edgecount bench`: how long models take here."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from edgecount.cli._options import json_option
from edgecount.cli._sizes import FrameSizeType

if TYPE_CHECKING:
    from edgecount.counter import EdgeCounter
    from edgecount.runtime.bench import Latency

_ROWS = ("preprocess", "infer", "postprocess", "total")


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option(
    "--size",
    type=FrameSizeType(),
    default="480x640",
    show_default=True,
    help="Frame to count, height first.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Frames in one call of the engine; above 1 the engine alone is timed.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads on the CPU.  [default: one per core]",
)
@click.option("--runs", type=click.IntRange(min=2), default=50, show_default=True)
@click.option("--backend", default="auto", show_default=True, help="Engine to run the models on.")
@json_option
def bench(
    models: tuple[str, ...],
    *,
    size: tuple[int, int],
    batch: int,
    threads: int | None,
    runs: int,
    backend: str,
    as_json: bool,
) -> None:
    """Time one or more MODELs on a frame of noise.

    Several are run by turns, so that whatever else the machine does slows all of them alike, and
    are compared with the first. Times are milliseconds.
    """
    from edgecount.runtime.bench import measure_batches, measure_latency

    with ExitStack() as stack:
        opened = [_open(stack, model, backend, threads, size) for model in models]
        counters = [counter for counter, _ in opened]
        if batch > 1:
            found = measure_batches(counters, size, batch, runs=runs)
        else:
            found = measure_latency(counters, size, runs=runs)
        facts = [
            _facts(model, counter, memory, latency)
            for model, (counter, memory), latency in zip(models, opened, found, strict=True)
        ]
    about = {"size": list(size), "batch": batch, "runs": runs, "threads": threads}
    if as_json:
        click.echo(json.dumps({**about, "models": facts}))
        return
    frames = "a frame" if batch == 1 else f"{batch} frames a call"
    click.echo(f"{size[0]}x{size[1]}, {frames}, {runs} runs each")
    for entry in facts:
        click.echo("\n".join(["", *_lines(entry, facts[0])]))


def _open(
    stack: ExitStack, model: str, backend: str, threads: int | None, size: tuple[int, int]
) -> tuple[EdgeCounter, int | None]:
    """A counter, warm, and the memory that it took."""
    import numpy as np

    from edgecount.counter import EdgeCounter
    from edgecount.runtime.bench import resident_bytes

    before = resident_bytes()
    counter = stack.enter_context(EdgeCounter(model, backend=backend, threads=threads))
    counter.count(np.zeros((*size, 3), np.uint8))
    after = resident_bytes()
    return counter, None if before is None or after is None else max(after - before, 0)


def _facts(
    model: str, counter: EdgeCounter, memory: int | None, latency: Latency
) -> dict[str, Any]:
    return {
        "model": model,
        "backend": counter.backend.name,
        "device": counter.backend.device,
        "latency_ms": latency.quantiles(),
        "frames_per_second": latency.throughput,
        "memory_bytes": memory,
    }


def _lines(facts: dict[str, Any], first: dict[str, Any]) -> list[str]:
    memory = facts["memory_bytes"]
    taken = "" if memory is None else f", {memory / 2**20:.0f} MiB"
    lines = [
        (
            f"{facts['model']}  on {facts['backend']} ({facts['device']}), "
            f"{facts['frames_per_second']:.1f} frames/s{taken}"
        ),
        f"  {'':12}{'p50':>9}{'p95':>9}{'p99':>9}{'mean':>9}",
    ]
    for stage in _ROWS:
        times = facts["latency_ms"].get(stage)
        if times:
            numbers = "".join(f"{times[key]:9.2f}" for key in ("p50", "p95", "p99", "mean"))
            lines.append(f"  {stage:12}{numbers}")
    if facts is not first:
        ratio = first["latency_ms"]["total"]["p50"] / facts["latency_ms"]["total"]["p50"]
        lines.append(f"  {ratio:.2f} x as fast as {first['model']}")
    return lines
