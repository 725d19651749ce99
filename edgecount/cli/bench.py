"""`edgecount bench`: how long models take on this machine."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from edgecount.cli._shell.output import text_of, to_json
from edgecount.cli._types.options import backend_option, json_option, number_option, threads_option
from edgecount.cli._types.sizes import FrameSizeType

if TYPE_CHECKING:
    from edgecount._latency import Latency
    from edgecount.counter import EdgeCounter

_ROWS = ("preprocess", "infer", "postprocess", "total")


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option(
    "--size",
    type=FrameSizeType(),
    default="480x640",
    show_default=True,
    help="Height and width of the frame in pixels.",
)
@number_option(
    "--batch", "Frames in one call of the engine; above 1 only the engine is timed.", default=1
)
@threads_option
@number_option("--runs", "Timed calls of each model.", default=50, least=2)
@backend_option
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
    """Time one or more MODELs on a frame of noise, stage by stage.

    MODEL is a bundled name, an .onnx file, a TensorRT engine, or a folder written by edgecount
    export. Several models run by turns, so that whatever else the machine does slows all of them
    alike, and are compared with the first. Times are in milliseconds.
    """
    from edgecount._latency import measure_batches, measure_latency

    with ExitStack() as stack:
        warmed: set[str] = set()
        opened = [_open(stack, model, backend, threads, size, warmed) for model in models]
        counters = [counter for counter, _ in opened]
        if batch > 1:
            found = measure_batches(counters, size, batch, runs=runs)
        else:
            found = measure_latency(counters, size, runs=runs)
        facts = [
            _facts(model, one, latency)
            for model, one, latency in zip(models, opened, found, strict=True)
        ]
    about = {"size": list(size), "batch": batch, "runs": runs, "threads": threads}
    if as_json:
        click.echo(to_json({**about, "models": facts}))
        return
    frames = "a frame" if batch == 1 else f"{batch} frames a call"
    click.echo(f"{_heading(size, found)}, {frames}, {runs} runs each")
    for entry in facts:
        click.echo(text_of(["", *_lines(entry, facts[0])]))


def _heading(size: tuple[int, int], found: list[Latency]) -> str:
    """Return the frame's size and, where the models run at others, theirs."""
    asked = "x".join(map(str, size))
    ran = {"x".join(map(str, one.ran)): None for one in found if one.ran}
    return asked if list(ran) == [asked] else f"{asked}, run at {' and '.join(ran)}"


# A counter that has counted a frame, and the bytes of memory that it took; None: not known.
_Opened = tuple["EdgeCounter", dict[str, "int | None"]]


def _open(
    stack: ExitStack,
    model: str,
    backend: str,
    threads: int | None,
    size: tuple[int, int],
    warmed: set[str],
) -> _Opened:
    """Open a model and count a frame with it.

    The first model of a backend is opened twice, so that it does not pay for shared libraries.
    """
    from edgecount._memory import free_unused

    counter, memory = _measured(model, backend, threads, size)
    name = counter.backend.name
    if name not in warmed:
        warmed.add(name)
        counter.close()
        del counter
        free_unused()
        counter, memory = _measured(model, backend, threads, size)
    return stack.enter_context(counter), memory


def _measured(model: str, backend: str, threads: int | None, size: tuple[int, int]) -> _Opened:
    import numpy as np

    from edgecount._latency import gpu_bytes
    from edgecount._memory import resident_bytes
    from edgecount.counter import EdgeCounter

    def growth(before: int | None, after: int | None) -> int | None:
        return None if before is None or after is None else max(after - before, 0)

    before, gpu_before = resident_bytes(), gpu_bytes()
    counter = EdgeCounter(model, backend=backend, threads=threads)
    try:
        counter.count(np.zeros((*size, 3), np.uint8))
    except BaseException:
        counter.close()
        raise
    on_gpu = counter.backend.device != "cpu"
    return counter, {
        "memory_bytes": growth(before, resident_bytes()),
        "gpu_memory_bytes": growth(gpu_before, gpu_bytes()) if on_gpu else None,
    }


def _facts(model: str, opened: _Opened, latency: Latency) -> dict[str, Any]:
    counter, memory = opened
    return {
        "model": model,
        "backend": counter.backend.name,
        "device": counter.backend.device,
        "ran": list(latency.ran or ()),
        "latency_ms": latency.quantiles(),
        "frames_per_second": latency.throughput,
        **memory,
    }


def _lines(facts: dict[str, Any], first: dict[str, Any]) -> list[str]:
    taken = "".join(
        f", {facts[key] / 2**20:.0f} MiB{where}"
        for key, where in (("memory_bytes", ""), ("gpu_memory_bytes", " on the GPU"))
        if facts[key] is not None
    )
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
