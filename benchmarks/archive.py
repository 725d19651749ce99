"""Measure what shards cost: images per second and core of several processes and of one.

    python benchmarks/archive.py --images 96 --rounds 3

Rendered pictures are counted into a table, by turns in each way, as `edgecount count --out` does.
A process is measured from its second image on, because an archive takes hours and a start seconds.
Images per second of CPU time are given as well: on a shared machine they vary less.
`--ray` adds `edgecount.ray.count_images` on a cluster of this machine, whose actors are measured
from their second task on.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from edgecount import EdgeCounter
from edgecount.archive.images import open_images
from edgecount.archive.run import ShardRun, Work
from edgecount.archive.shards import Shard
from edgecount.archive.store import Store
from edgecount.archive.tables import default_format, open_table
from edgecount.runtime.models.machine import this_cpu
from edgecount.scenes import render_scene

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = 8  # different pictures; the others are copies


@dataclass(frozen=True)
class Pace:
    """Images per second and core of one run.

    Attributes:
        wall: by the clock.
        cpu: by the CPU time of all processes.
    """

    wall: float
    cpu: float


def make_archive(folder: Path, images: int, size: tuple[int, int]) -> None:
    """Render pictures of 30 to 240 people, and copy them to so many images."""
    kinds = [
        cv2.imencode(".jpg", render_scene(30 * (i + 1), size=size, seed=i).image)[1].tobytes()
        for i in range(KINDS)
    ]
    folder.mkdir()
    for i in range(images):
        (folder / f"{i:05}.jpg").write_bytes(kinds[i % KINDS])


def count_in(shards: int, threads: int, archive: Path, out: Path, model: str) -> Pace:
    """Count the archive in shards at once, each with so many threads."""
    words = [sys.executable, __file__, "--threads", threads, "--model", model, "--out", out]
    processes = [
        subprocess.Popen(
            [*map(str, words), "--shard", f"{i}/{shards}", str(archive)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(1, shards + 1)
    ]
    found = [json.loads(process.communicate()[0]) for process in processes]
    assert all(process.returncode == 0 for process in processes)
    return pace_of(found, shards * threads)


def count_shard(shard: Shard, threads: int, archive: Path, out: Path, model: str) -> None:
    """Count a shard in this process, and print how long it took."""
    images = open_images(str(archive))
    names = [name for name in images.names() if shard.holds(name)]
    with (
        EdgeCounter(model, threads=threads) as counter,
        Store(out, shard, open_table(default_format())) as store,
    ):
        run = ShardRun(counter, store)
        run.count(Work(images, names[:1]))
        wall, cpu = time.perf_counter(), time.process_time()
        progress = run.count(Work(images, names[1:]))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"images": progress.counted, "wall": wall, "cpu": cpu}))


def count_with_ray(cores: int, archive: Path, out: Path, model: str) -> Pace:
    """Count the archive with an actor of one thread for each core."""
    # Not at the top: the other ways need no Ray.
    import ray  # noqa: PLC0415

    import edgecount.ray._dataset as dataset  # noqa: PLC0415

    times = out.with_suffix(".times")

    class TimedCounter(dataset.Counter):
        """A counter that writes down when it has counted how many, and with how much CPU time."""

        def __call__(self, batch: dict[str, Any]) -> pa.Table:
            rows = super().__call__(batch)
            line = [os.getpid(), rows.num_rows, time.monotonic(), time.process_time()]
            with times.open("a") as file:
                file.write(json.dumps(line) + "\n")
            return rows

    dataset.Counter = TimedCounter
    ray.init(
        "local",  # not a cluster that happens to run here
        num_cpus=cores,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    dataset.count_images(archive, model).write_parquet(str(out))
    ray.shutdown()
    ends: dict[int, list[Any]] = {}
    for line in times.read_text().splitlines():
        pid, *end = json.loads(line)
        ends.setdefault(pid, []).append(end)
    found = []
    for (_, *start), *others in ends.values():
        *_, (_, *end) = others
        wall, cpu = (b - a for a, b in zip(start, end, strict=True))
        found.append({"images": sum(images for images, *_ in others), "wall": wall, "cpu": cpu})
    return pace_of(found, cores)


def pace_of(found: Sequence[dict[str, float]], threads: int) -> Pace:
    """Return the pace of processes from what each of them has measured of itself."""
    # Each at its own pace: the last one goes on alone when the others are done.
    wall = sum(one["images"] / one["wall"] for one in found)
    cpu = sum(one["images"] for one in found) / sum(one["cpu"] for one in found)
    return Pace(wall / threads, cpu)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", nargs="?", type=Path, help="with --shard: what a process counts")
    parser.add_argument("--shard", type=Shard.parse, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--size", default="640x480", help="of the pictures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="edgecount-s")
    parser.add_argument("--ray", action="store_true", help="also with Ray, on this machine")
    options = parser.parse_args()
    if options.shard is not None:
        count_shard(options.shard, options.threads, options.archive, options.out, options.model)
        return
    width, height = map(int, options.size.split("x"))
    cores = len(os.sched_getaffinity(0))
    ways: dict[str, Callable[[Path, Path], Pace]] = {
        "1 process, 1 thread": lambda a, o: count_in(1, 1, a, o, options.model),
        f"1 process, {cores} threads": lambda a, o: count_in(1, cores, a, o, options.model),
        f"{cores} shards at once, 1 thread each": lambda a, o: count_in(
            cores, 1, a, o, options.model
        ),
    }
    if options.ray:
        ways[f"Ray, {cores} actors"] = lambda a, o: count_with_ray(cores, a, o, options.model)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "photos"
        make_archive(archive, options.images, (width, height))
        found = run_by_turns(ways, archive, Path(folder), options.rounds)
    print(
        f"{time.strftime('%Y-%m-%d')}, {cores} CPUs, {processor()}, Python {sys.version.split()[0]}"
    )
    print(
        f"{options.images} JPEGs of {options.size}, {options.model}, medians of {options.rounds}\n"
    )
    print_table(found)


def run_by_turns(
    ways: dict[str, Callable[[Path, Path], Pace]], archive: Path, folder: Path, rounds: int
) -> dict[str, list[Pace]]:
    """Return the paces of each way."""
    found: dict[str, list[Pace]] = {name: [] for name in ways}
    for number in range(rounds):
        for place, (name, way) in enumerate(ways.items()):
            found[name].append(way(archive, folder / f"out-{number}-{place}"))
            print(f"round {number + 1}: {name}: {found[name][-1]}", file=sys.stderr)
    return found


def print_table(found: dict[str, Sequence[Pace]]) -> None:
    """Print medians, and their ratios within a round to the first way."""
    first = next(iter(found.values()))
    print("| way | images a second and core | beside the first | images per CPU second | beside |")
    print("|---|---|---|---|---|")
    for name, paces in found.items():
        cells = [name]
        for kind in ("wall", "cpu"):
            numbers = [getattr(pace, kind) for pace in paces]
            bases = [getattr(pace, kind) for pace in first]
            ratio = statistics.median(a / b for a, b in zip(numbers, bases, strict=True))
            cells += [f"{statistics.median(numbers):.2f}", f"{ratio:.0%}"]
        print(f"| {' | '.join(cells)} |")


def processor() -> str:
    """Return the processor's name, and whether it multiplies 8-bit numbers by instructions."""
    cpu = this_cpu()
    return f"{cpu.name} ({cpu.machine}, {'with' if cpu.int8 else 'without'} INT8 instructions)"


if __name__ == "__main__":
    main()
