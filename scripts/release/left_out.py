"""Count sets that short trainings have left out: a model's errors on cameras that it never saw.

    python scripts/release/left_out.py RUN... --name edgecount-s --data DATA

Each RUN is the folder of a finished training whose config leaves sets out (`leave_out`, or
``weight: 0``), such as edgecount-s-leave-out-1. Threshold and blend of its network are fitted to
what it holds out of the sets that it was trained on, and every set that it never saw is counted
with them. The counts go to benchmarks/results/left_out/NAME.json, image by image:
`release_model.py --left-out` fits a release's interval to them and puts their errors on its card.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from set_names import never_seen

from edgecount._files import write_whole
from edgecount.errors import ConfigError, EdgeCountError, OutputError
from edgecount.manifest import IntervalSpec
from edgecount.train.checkpoint import config_of, load_network
from edgecount.train.data.assemble import load_held_out
from edgecount.train.data.splits import evenly
from edgecount.train.postprocess.fusion import fit_postprocess, observe_sample, outcome
from edgecount.train.postprocess.interval import CountedImage, fit_interval

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "left_out"
SLACK = 0.3  # see `fit_interval`: the worst set alone would make an interval that says nothing
IMAGES = 100  # of a set: more of the same place tell little more
Counted = dict[str, list[CountedImage]]


def main(arguments: list[str] | None = None) -> None:
    """Parse the options and count; one line says what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a training")
    parser.add_argument("--name", required=True, help="the model's, of which these are short forms")
    parser.add_argument("--data", type=Path, help="in place of the configs' data_root")
    parser.add_argument("--images", type=int, default=IMAGES, help="of each set, evenly chosen")
    parser.add_argument("--threads", type=int, help="of PyTorch; default: one per core")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/left_out/NAME.json")
    exclude = "names of images that are not counted, such as those whose annotation lacks heads"
    parser.add_argument("--exclude", nargs="*", default=[], metavar="NAME", help=exclude)
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        runs = [
            count_run(run, options.data, options.images, exclude=options.exclude)
            for run in options.runs
        ]
        path = options.out or RESULTS / f"{options.name}.json"
        write_left_out(path, options.name, runs)
        print("\n".join(table(read_left_out(path))))
    except EdgeCountError as error:
        sys.exit(f"edgecount: error: {error}")


def count_run(
    run: Path, data: Path | None, images: int = IMAGES, *, exclude: Collection[str] = ()
) -> dict[str, Any]:
    """Count what a training has never seen.

    Args:
        run: its folder.
        data: in place of the config's data_root.
        images: most of each set, evenly chosen.
        exclude: names of images that are not counted.

    Returns:
        ``config``: its steps, sets left out and so on; ``sets``: set to a list of name, people,
        count, and count of the density minus that of the points.

    Raises:
        ConfigError: it has seen every set, or nothing is held out of those that it has seen.
        ModelError, SourceError: the checkpoint or a set cannot be read.
    """
    network, state = load_network(run / "last.pt")
    config = config_of(state)
    if data:
        config = dataclasses.replace(config, data_root=str(data))
    held = load_held_out(config, run, state)
    unseen = {*config.leave_out, *never_seen(config, ())} & set(held)
    seen = [samples for name, samples in held.items() if name not in unseen]
    if not unseen or not seen:
        what = "leaves no set out" if not unseen else "holds nothing out of the sets it has seen"
        raise ConfigError(
            f"{run} {what}: expected a training on some sets, with held-out images of them, that "
            "leaves others out (leave_out, or weight: 0)"
        )
    print(f"== {run}: fitting threshold and blend to the sets that it has seen", flush=True)
    spec = fit_postprocess(network, seen)
    sets = {}
    for name in sorted(unseen):
        samples = evenly([one for one in held[name] if one.name not in exclude], images)
        print(f"== {run}: {name}, {len(samples)} images", flush=True)
        counted = (outcome(observe_sample(network, sample), spec) for sample in samples)
        sets[name] = [
            [sample.name, int(one.true), round(one.count, 3), round(one.difference, 3)]
            for sample, one in zip(samples, counted, strict=True)
        ]
    return {
        "steps": state["step"],
        "initial_weights": Path(config.initial_weights).name,
        "left_out": sorted(unseen),
        "sets": sets,
    }


def write_left_out(path: Path, name: str, runs: Sequence[Mapping[str, Any]]) -> None:
    """Write the runs' counts, a line for each image."""
    lines = [json.dumps({"model": name}, indent=None)[:-1] + ', "runs": [']
    for run in runs:
        head = json.dumps({key: value for key, value in run.items() if key != "sets"})[:-1]
        sets = [
            f"  {json.dumps(place)}: [\n   "
            + ",\n   ".join(json.dumps(image) for image in images)
            + "\n  ]"
            for place, images in run["sets"].items()
        ]
        last = "" if run is runs[-1] else ","
        lines.append(f' {head}, "sets": {{\n' + ",\n".join(sets) + f"\n }}}}{last}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, ("\n".join(lines) + "\n]}\n").encode())


def read_left_out(path: Path) -> Counted:
    """Read the counts of sets that were left out; a set of several runs has the images of each.

    Raises:
        OutputError: the file cannot be read, or was not written by this script.
    """
    found: Counted = {}
    try:
        for run in json.loads(path.read_text(encoding="utf-8"))["runs"]:
            for name, images in run["sets"].items():
                found.setdefault(name, []).extend(
                    CountedImage(float(count), float(difference), float(true))
                    for _, true, count, difference in images
                )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"cannot read {path}: {error}: write it with left_out.py") from error
    return found


def fit_to_both(left_out: Counted, known: Counted, coverage: float = 0.9) -> IntervalSpec | None:
    """Fit the interval of cameras that a model may know or not.

    Args:
        left_out: counts of sets by trainings that never saw them.
        known: counts of held-out images by the model itself; with the former's they are one set.
        coverage: share of the images, in (0, 1).

    Returns:
        None where there are too few images.
    """
    names = left_out.keys() | known.keys()
    groups = [[*known.get(name, ()), *left_out.get(name, ())] for name in sorted(names)]
    return fit_interval(groups, coverage, SLACK)


def describe_left_out(
    left_out: Counted, known: Counted, coverage: float = 0.9
) -> dict[str, dict[str, float]]:
    """Return each set's errors, and coverage and width of the interval of all other sets.

    Args:
        left_out: counts of sets by trainings that never saw them.
        known: counts of held-out images by the model itself.
        coverage: that the interval is fitted to.

    Returns:
        Set to ``images``, ``people`` (in the mean picture), ``mae``, ``bias``, ``coverage`` and
        ``width``, a share of the people.

    Raises:
        ConfigError: the other sets have too few images for an interval.
    """
    rows = {}
    for name, images in left_out.items():
        others = ({k: v for k, v in sets.items() if k != name} for sets in (left_out, known))
        spec = fit_to_both(*others, coverage=coverage)
        if spec is None:
            raise ConfigError(f"{name}: expected more images of the other sets, for an interval")
        ends = [spec.around(one.count, one.difference) for one in images]
        people = float(np.mean([one.true for one in images]))
        inside = [low <= one.true <= high for one, (low, high) in zip(images, ends, strict=True)]
        errors = np.array([one.count - one.true for one in images])
        rows[name] = {
            "images": len(images),
            "people": people,
            "mae": float(np.abs(errors).mean()),
            "bias": float(errors.mean()),
            "coverage": float(np.mean(inside)),
            "width": float(np.mean([high - low for low, high in ends])) / max(people, 1.0),
        }
    return rows


def table(counted: Counted) -> list[str]:
    """Return lines for people: the sets' errors, and the interval that is fitted to them."""
    rows = describe_left_out(counted, {})
    lines = [
        f"{'left out':20}{'images':>8}{'people':>9}{'MAE':>8}{'bias':>9}{'inside':>8}{'width':>8}"
    ]
    for name, row in rows.items():
        lines.append(
            f"{name:20}{row['images']:8.0f}{row['people']:9.1f}{row['mae']:8.1f}"
            f"{row['bias']:+9.1f}{row['coverage']:8.0%}{row['width']:8.0%}"
        )
    lines.append(f"interval: {fit_to_both(counted, {})}")
    return lines


if __name__ == "__main__":
    main()
