"""Time the crops of a training config, and its steps: does the network wait for its crops?

    EDGECOUNT_DATA=... python benchmarks/training.py edgecount-s-gpu [--device cuda] [--steps 60]

Three rows in crops per second: the loader alone, the network alone on one batch again and again,
and both together as a run has them. `--set` takes what `edgecount train --set` takes, such as
loader=threads.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch

from edgecount.train.config import TrainConfig, find_config, load_config
from edgecount.train.data.assemble import load_data
from edgecount.train.data.mixture import Batch
from edgecount.train.devices import open_fabric
from edgecount.train.engine import train_steps
from edgecount.train.loop import make_parts, start_learner

WARM = 5  # steps: kernels are chosen, threads fill their queue


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("config")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--set", dest="changes", action="append", default=[])
    options = parser.parse_args()
    config = load_config(find_config(Path(options.config)), options.changes)
    fabric = open_fabric(options.device, config.precision)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        data = load_data(config, Path(folder))
        learner, mixture = start_learner(config, make_parts(config), data, fabric, None)
        print(f"{fabric.device}: data ready after {time.perf_counter() - began:.1f} s")
        first = mixture.batch(0)

        def steps(batches: Iterable[Batch]) -> None:
            train_steps(learner, batches, config, lambda _: config.learning_rate * 1e-3)

        def loader(number: int) -> None:
            for _ in mixture.batches(0, number):
                pass

        rows: list[tuple[str, Callable[[int], None]]] = [
            (f"loader ({config.loader})", loader),
            ("network", lambda number: steps(_again(first, number))),
            ("both", lambda number: steps(mixture.batches(0, number))),
        ]
        for name, run in rows:
            print(f"{name:<18} {_rate(run, options.steps, config):8.1f} crops a second", flush=True)


def _again(batch: Batch, number: int) -> Iterator[Batch]:
    for _ in range(number):
        yield batch


def _rate(run: Callable[[int], None], steps: int, config: TrainConfig) -> float:
    run(WARM)
    _wait()
    began = time.perf_counter()
    run(steps)
    _wait()
    return steps * config.batch_size / (time.perf_counter() - began)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
