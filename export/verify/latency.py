"""Measure how fast the files of an export are on this CPU, slow ones in fewer runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from edgecount._latency import measure_latency, summarise
from edgecount.export.progress import Progress
from edgecount.export.verify.engines import open_run

RUNS = 10
WARM_UP = 2
SECONDS = 10.0  # that the runs of one file may take
_MIN_RUNS = 3


class TimedRun(NamedTuple):
    """A file of an export, the backend that runs it, and OpenVINO's precision; else ""."""

    file: str
    backend: str
    precision: str


def measure_files(
    folder: Path,
    timed: Sequence[TimedRun],
    size: tuple[int, int],
    threads: int | None,
    progress: Progress,
) -> dict[TimedRun, dict[str, float]]:
    """Time files of a folder by turns on a frame of this (height, width) in pixels.

    Returns:
        Run to its milliseconds in the network: ``p50``, ``p95``, ``p99`` and ``mean``.
    """
    progress("trying how long a frame takes", 0, 1)
    with ExitStack() as stack:
        counters = [
            stack.enter_context(open_run(folder / run.file, *run[1:], threads=threads))
            for run in timed
        ]
        first = measure_latency(counters, size, runs=1, warmup=0)
        slowest = max(latency.stages["total"][0] for latency in first) / 1000
        # The first run of a slow one is as good as a warm-up; of a fast one it is not.
        runs = max(min(RUNS, int(SECONDS / slowest)), _MIN_RUNS)
        warm_up = WARM_UP if runs == RUNS else 1
        times: list[list[float]] = [[] for _ in timed]
        for done in range(2, warm_up + runs + 1):
            found = measure_latency(counters, size, runs=1, warmup=0)
            if done > warm_up:
                for latency, taken in zip(found, times, strict=True):
                    taken.extend(latency.stages["infer"])
            progress("measuring how fast it is", done, warm_up + runs)
    return {run: summarise(taken) for run, taken in zip(timed, times, strict=True)}
