"""The findings of `edgecount bench`, as facts and as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgecount.cli._shell.flags import with_flags

if TYPE_CHECKING:
    from edgecount._latency import Latency
    from edgecount.cli._bench.combinations import Opened, Refused

_LEAST = 1.0  # people: differences from fewer are shares of this


def facts_of(
    opened: Opened, latency: Latency, first: Latency, at_once: float | None
) -> dict[str, Any]:
    """Return what is known of a combination.

    Args:
        opened: the combination.
        latency: its times.
        first: those of the first combination, whose count it is compared with.
        at_once: frames per second with several of them in the engine; None: not measured.
    """
    backend = opened.counter.backend
    difference = None
    if latency.count is not None and first.count is not None:
        difference = (latency.count - first.count) / max(first.count, _LEAST)
    return {
        "model": opened.asked.model,
        "backend": backend.name,
        "device": backend.device,
        "precision": backend.precision,
        "ran": list(latency.ran or ()),
        "count": latency.count,
        "difference": difference,
        "latency_ms": latency.quantiles(),
        "frames_per_second": latency.throughput,
        "frames_per_second_at_once": at_once,
        **opened.memory,
    }


def text_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return each combination's times, and a table of all where there are several."""
    lines = []
    for row in rows:
        lines += ["", *_block(row, rows[0])]
    if len(rows) > 1:
        lines += ["", *_table(rows)]
    return lines


def _block(row: dict[str, Any], first: dict[str, Any]) -> list[str]:
    from edgecount._latency import STAGES

    taken = "".join(
        f", {row[key] / 2**20:.0f} MiB{where}"
        for key, where in (("memory_bytes", ""), ("gpu_memory_bytes", " on the GPU"))
        if row[key] is not None
    )
    lines = [
        (
            f"{row['model']}  on {row['backend']} ({row['device']}) in {row['precision']}, "
            f"{row['frames_per_second']:.1f} frames/s{taken}"
        ),
        f"  {'':12}{'p50':>9}{'p95':>9}{'p99':>9}{'mean':>9}",
    ]
    for stage in STAGES:
        times = row["latency_ms"].get(stage)
        if times:
            numbers = "".join(f"{times[key]:9.2f}" for key in ("p50", "p95", "p99", "mean"))
            lines.append(f"  {stage:12}{numbers}")
    if row is not first:
        lines.append(f"  {_ratio(row, first):.2f} x as fast as {_name(first)}")
    return lines


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return one line a combination: what it counted, and how fast it is beside the first."""
    names = [_name(row) for row in rows]
    wide = max(map(len, names))
    counted = any(row["count"] is not None for row in rows)
    several = any(row["frames_per_second_at_once"] for row in rows)
    head = f"{'':{wide}}"
    head += f"{'count':>10}{'differs':>9}" if counted else ""
    head += f"{'p50 ms':>9}{'p95 ms':>9}{'frames/s':>10}"
    lines = [head + (f"{'at once':>9}" if several else "") + f"{'ratio':>9}"]
    for name, row in zip(names, rows, strict=True):
        total, line = row["latency_ms"]["total"], f"{name:{wide}}"
        if counted:
            line += f"{row['count']:10.1f}"
            differs = round(row["difference"], 4) + 0.0  # not -0.00%
            line += f"{differs:+9.2%}" if row is not rows[0] else f"{'-':>9}"
        line += f"{total['p50']:9.2f}{total['p95']:9.2f}{row['frames_per_second']:10.1f}"
        if several:
            line += f"{row['frames_per_second_at_once']:9.1f}"
        lines.append(f"{line}{_ratio(row, rows[0]):7.2f} x")
    return lines


def refused_lines(refused: Sequence[Refused]) -> list[str]:
    """Return a line for each combination that does not run, with the reason."""
    return [
        f"{model} on {backend}{'' if precision == 'auto' else f' in {precision}'} does not run: "
        f"{with_flags(reason)}"
        for (model, backend, precision), reason in refused
    ]


def _name(row: dict[str, Any]) -> str:
    return f"{row['model']} on {row['backend']} in {row['precision']}"


def _ratio(row: dict[str, Any], first: dict[str, Any]) -> float:
    """Return how many times as fast as the first one frame is counted."""
    before: float = first["latency_ms"]["total"]["p50"]
    return before / float(row["latency_ms"]["total"]["p50"])
