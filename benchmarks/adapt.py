"""Fine-tuning on 5 to 40 pictures of a camera that the model never saw, beside the earlier recipe.

    EDGECOUNT_DATA=/path/to/data python benchmarks/adapt.py --out adapt.jsonl
    EDGECOUNT_DATA=/path/to/data python benchmarks/adapt.py --out adapt.jsonl --table

Three places whose pictures `edgecount-n` 0.1.0 was not trained on: the two cameras of Beijing-BRT,
trained on one day and measured on others, and a cafe, trained on its first pictures and measured on
the rest. The earlier recipe: all weights, a rate of 1e-3, 200 steps on seven in ten pictures drawn
at random, no rendered scenes; written if the error on the other three in ten fell. The pictures
that measure are the same for all. What is in --out already is not run again.
"""

import argparse
import dataclasses
import itertools
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgecount.train.adapt import adapt
from edgecount.train.adapt.measure import count_all
from edgecount.train.adapt.tune import Pictures, fine_tune, tuning_config
from edgecount.train.data.mixture import MixtureComponent
from edgecount.train.data.readers import read_samples
from edgecount.train.data.sample import Sample
from edgecount.train.data.splits import evenly, hold_out
from edgecount.train.open_trainable import open_trainable
from edgecount.train.postprocess.rescale import check_interval

MODEL = "edgecount-n"
SIZES = (5, 10, 20, 40)
RECIPES = ("now", "earlier")
EARLIER = (10, 20, 40)  # it took ten at least
MEASURED = 30  # pictures, at most
PLACES = {
    "bus platform, camera 1": ("beijing_brt", "1-20170506", "1-20170419"),
    "bus platform, camera 2": ("beijing_brt", "2-20170506", "2-20170419"),
    "cafe from above": ("cafe", "", ""),
}


def main() -> None:
    """Run what is missing, or print the table of what was run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a line of JSON for each run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--recipes", nargs="*", choices=RECIPES, default=RECIPES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="print the table of --out")
    options = parser.parse_args()
    done = read(options.out)
    if options.table:
        print("\n".join(table(done)))
        return
    torch.set_num_threads(options.threads)
    known = {(one["place"], one["images"], one["seed"], one["recipe"]) for one in done}
    runs = {"now": run_now, "earlier": run_earlier}
    combinations = itertools.product(range(options.seeds), options.sizes, PLACES, options.recipes)
    for seed, size, place, recipe in combinations:
        too_few = recipe == "earlier" and size not in EARLIER
        if too_few or (place, size, seed, recipe) in known:
            continue
        given, measured = pictures(place, size, seed)
        start = time.process_time()
        found = runs[recipe](given, measured, seed)
        found["cpu_seconds"] = round(time.process_time() - start)
        row = {"place": place, "images": size, "seed": seed, "recipe": recipe, **found}
        with options.out.open("a") as file:
            file.write(json.dumps(row) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """Read the lines of earlier runs."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def pictures(place: str, size: int, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Draw pictures to adapt to; those that measure are the same for every size and seed."""
    folder, trained, measured = PLACES[place]
    root = Path(os.environ["EDGECOUNT_DATA"]) / "more" / folder
    samples = [sample for sample in read_samples("csv_folder", root) if len(sample.points)]
    if trained:
        pool = [sample for sample in samples if sample.name.startswith(trained)]
        rest = [sample for sample in samples if sample.name.startswith(measured)]
    else:
        pool, rest = samples[:40], samples[40:]
    chosen = np.random.default_rng((seed, size)).permutation(len(pool))[:size]
    return [pool[index] for index in sorted(chosen)], evenly(rest, MEASURED)


def run_now(given: list[Sample], measured: list[Sample], seed: int) -> dict[str, Any]:
    """Adapt as `edgecount adapt` does."""
    scenes = Path(tempfile.gettempdir()) / f"edgecount-benchmark-scenes-{seed}"
    done = adapt(MODEL, given, seed=seed, scenes=scenes)
    network, manifest, _ = open_trainable(MODEL)
    before = count_all(network, manifest, measured)
    after = count_all(done.network, done.manifest, measured)
    source, fitted = manifest.postprocess.interval, done.manifest.postprocess.interval
    assert source is not None
    assert fitted is not None
    first, second = check_interval(source, before), check_interval(fitted, after)
    return {
        "people": float(np.mean([one.true for one in before])),
        "truth": [error(before), error(after)],
        "said": {key: value for key, value in done.numbers().items() if key != "held_out"},
        "gain": done.errors.gain,
        "interval": [dataclasses.astuple(first), dataclasses.astuple(second)],
        "twice": done.curve.at(2 * len(given)),
    }


def run_earlier(given: list[Sample], measured: list[Sample], seed: int) -> dict[str, Any]:
    """Adapt as edgecount did before."""
    network, manifest, objective = open_trainable(MODEL)
    training, held = hold_out(given, max(round(0.3 * len(given)), 3), seed)
    config = tuning_config(manifest.name, objective, 200, 1e-3)
    config = dataclasses.replace(config, ema=0.98, freeze=(), seed=seed)
    mixture = [MixtureComponent(training, 1.0, (0.8, 1.25))]
    tuned = fine_tune(network, config, Pictures(training, [], []), mixture=mixture)
    said = [error(count_all(one, manifest, held)) for one in (network, tuned)]
    truth = [error(count_all(one, manifest, measured)) for one in (network, tuned)]
    return {"truth": truth, "said": {"before": said[0], "after": said[1]}, "held": len(held)}


def error(counted: Any) -> float:
    """Return the mean absolute error."""
    return float(np.mean([abs(one.count - one.true) for one in counted]))


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a Markdown table, means over the seeds."""
    yield (
        "| place (people) | pictures | runs | error before | after, earlier recipe | after, now | "
        "said by now's folds | written (right, wrong; not, though better) | interval before: "
        "inside, width | after | said | scenes before, after |"
    )
    yield "|" + " --- |" * 12
    for place in PLACES:
        for size in SIZES:
            now, earlier = (
                [r for r in rows if (r["place"], r["images"], r["recipe"]) == (place, size, one)]
                for one in ("now", "earlier")
            )
            if now:
                yield line(place, size, now, earlier)


def line(place: str, size: int, now: list[Any], earlier: list[Any]) -> str:
    """Write a row of the table."""

    def mean(values: Any) -> float:
        return float(np.mean(list(values)))

    written = [r["said"]["after"] < r["said"]["before"] for r in now]
    truly = [r["truth"][1] < r["truth"][0] for r in now]
    pairs = list(zip(written, truly, strict=True))
    outcomes = f"{pairs.count((True, True))}, {pairs.count((True, False))}; "
    outcomes += f"{pairs.count((False, True))}"
    widths = [
        "{:.0%}, {:.1f}".format(*(mean(r["interval"][end][part] for r in now) for part in (0, 1)))
        for end in (0, 1)
    ]
    said = [r["said"]["interval"]["after"] for r in now]
    errors, scenes = (
        [[r["said"][key] for r in now] for key in ("before", "after")],
        [[r["said"]["scenes"][key] for r in now] for key in ("before", "after")],
    )
    cells = [
        f"{place} ({mean(r['people'] for r in now):.0f})",
        f"{size}",
        f"{len(now)}",
        f"{mean(r['truth'][0] for r in now):.2f}",
        f"{mean(r['truth'][1] for r in earlier):.2f}" if earlier else "-",
        f"**{mean(r['truth'][1] for r in now):.2f}**",
        " to ".join(f"{mean(one):.2f}" for one in errors),
        outcomes,
        *widths,
        f"{mean(s['coverage'] for s in said):.0%}, {mean(s['width'] for s in said):.1f}",
        ", ".join(f"{mean(one):.1%}" for one in scenes),
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
