"""Measure a model beyond its MAE: counts of empty pictures, steadiness, intervals.

    python benchmarks/behaviour.py [--model MODEL]... [--data DIR] [--parts nothing,video]
        [--images 20] [--out FILE.json]

MODEL is whatever EdgeCounter takes, or a checkpoint (.pt). The parts:

    nothing   people per megapixel counted in pictures without people
    scale     counts of the same pictures at half to twice their size
    video     changes of the count from frame to frame, beside those of the true count
    interval  share of images whose true count lies in the model's interval

DIR holds the sets of `SETS` in `behaviour_frames.py`; only their held-out images (train/splits/)
are read, and a set that is missing is skipped. Rendered scenes stand in where they can.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from behaviour_frames import Image, Material, clip, frames_of_nothing, read_sets
from numpy.typing import NDArray

from edgecount import EdgeCounter
from edgecount.models import DEFAULT_MODEL
from edgecount.train.evaluate.evaluation import evaluate_counter
from edgecount.train.open_checkpoint import open_checkpoint
from edgecount.train.postprocess.interval import CountedImage, cross_coverage

GOAL = 0.5  # people per megapixel of nothing
FACTORS = (0.5, 0.71, 1.0, 1.41, 2.0)
OF_SCALE = ("shanghaitech_a", "shanghaitech_b")


def measure_nothing(counter: EdgeCounter, material: Material) -> dict[str, Any]:
    """Measure the people per megapixel that are counted in empty pictures, by their kind."""
    found: dict[str, list[tuple[float, str]]] = {}
    for kind, name, image in frames_of_nothing(material):
        people = counter.count(image).count / (image.shape[0] * image.shape[1] / 1e6)
        found.setdefault(kind, []).append((people, name))
    return {
        kind: {
            "frames": len(frames),
            "mean": float(np.mean([people for people, _ in frames])),
            "worst": max(frames)[0],
            "worst_frame": max(frames)[1],
            "over_goal": sum(people >= GOAL for people, _ in frames),
        }
        for kind, frames in found.items()
    }


def measure_scale(counter: EdgeCounter, material: Material) -> dict[str, Any]:
    """Count the same pictures at several sizes, by set and factor."""
    report = {}
    for name in (name for name in OF_SCALE if name in material.sets):
        samples = material.some(name)
        rows = [
            [counter.count(resized(sample.image(), factor)).count for factor in FACTORS]
            for sample in samples
        ]
        true = np.array([len(sample.points) for sample in samples], np.float64)
        report[name] = {"images": len(samples), "factors": steadiness(np.array(rows), true)}
    return report


def steadiness(counts: NDArray[np.float64], true: NDArray[np.float64]) -> dict[str, Any]:
    """Summarise how counts (images, factors) change with the factor of the size.

    Returns:
        By factor, `ratio` of the sums to that at 1x, `change`, the median of an image's
        |count / count at 1x - 1|, and `mae`. Images counted 0 at 1x take no part in `change`.
    """
    whole = counts[:, FACTORS.index(1.0)]
    seen = whole > 0
    return {
        f"{factor:g}": {
            "ratio": float(values.sum() / max(whole.sum(), 1e-9)),
            "change": float(np.median(np.abs(values[seen] / whole[seen] - 1))) if any(seen) else 0,
            "mae": float(np.abs(values - true).mean()),
        }
        for factor, values in zip(FACTORS, counts.T, strict=True)
    }


def resized(image: Image, factor: float) -> Image:
    """Return the picture at `factor` times its size."""
    if factor == 1:
        return image
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=how), np.uint8)


def measure_video(counter: EdgeCounter, material: Material) -> dict[str, Any]:
    """Measure how much counts change from one frame to the next, by sequence."""
    sequences = {}
    if "mall" in material.sets:
        sequences["mall"] = ((frame.image(), frame.points) for frame in material.sets["mall"])
    sequences["rendered clip"] = ((frame.image, frame.points) for frame in clip())
    report = {}
    for name, frames in sequences.items():
        counted = [(counter.count(image).count, len(points)) for image, points in frames]
        report[name] = jumps(*zip(*counted, strict=True))
    return report


def jumps(counts: Sequence[float], true: Sequence[int]) -> dict[str, float]:
    """Return standard deviations of the change from frame to frame, in people.

    Returns:
        Those of the `model`'s count and of the `truth`; their difference, `minus_truth`, and that
        of the variances, `in_quadrature` (at least 0); and that of the error (`of_error`), count
        minus truth, which a model that misses real changes cannot make small.
    """
    model, truth = float(np.std(np.diff(counts))), float(np.std(np.diff(true)))
    return {
        "frames": len(counts),
        "model": model,
        "truth": truth,
        "minus_truth": model - truth,
        "in_quadrature": math.sqrt(max(model**2 - truth**2, 0.0)),
        "of_error": float(np.std(np.diff(np.subtract(counts, true)))),
    }


def measure_interval(counter: EdgeCounter, material: Material) -> dict[str, Any]:
    """Measure the coverage of the model's interval and of cross-fitted ones, by set.

    Cross-fitted: to the other held-out images.
    """
    if not material.sets:
        return {}
    spec = counter.manifest.postprocess.interval
    measured = {name: evaluate_counter(counter, images) for name, images in material.sets.items()}
    groups = [
        [CountedImage(image.count, image.difference, image.true) for image in found.images]
        for found in measured.values()
    ]
    cross = cross_coverage(groups, spec.coverage if spec else 0.9)
    return {
        name: {
            "images": len(found.images),
            **found.summary().get("interval", {"coverage": None, "width": None}),
            "cross_fitted": fitted,
        }
        for (name, found), fitted in zip(measured.items(), cross, strict=True)
    }


def nothing_rows(found: dict[str, Any]) -> Iterator[Sequence[object]]:
    """Yield the rows of the table of `measure_nothing`, the head first."""
    yield "people per megapixel of", "frames", "mean", "worst", "the worst", f"{GOAL} or more"
    for kind, of in found.items():
        numbers = of["frames"], f"{of['mean']:.2f}", f"{of['worst']:.2f}"
        yield kind, *numbers, of["worst_frame"], of["over_goal"]


def scale_rows(found: dict[str, Any]) -> Iterator[Sequence[object]]:
    """Yield the rows of the table of `measure_scale`, the head first."""
    yield "set", "images", "size", "sum / sum at 1x", "median change", "MAE"
    for name, of in found.items():
        for factor, values in of["factors"].items():
            numbers = f"{values['ratio']:.3f}", f"{values['change']:.3f}", f"{values['mae']:.1f}"
            yield name, of["images"], f"{factor}x", *numbers


def video_rows(found: dict[str, Any]) -> Iterator[Sequence[object]]:
    """Yield the rows of the table of `measure_video`, the head first."""
    keys = ("model", "truth", "minus_truth", "in_quadrature", "of_error")
    yield "std of the change per frame", "frames", *(key.replace("_", " ") for key in keys)
    for name, of in found.items():
        yield name, of["frames"], *(f"{of[key]:.2f}" for key in keys)


def interval_rows(found: dict[str, Any]) -> Iterator[Sequence[object]]:
    """Yield the rows of the table of `measure_interval`, the head first."""
    yield "truth inside the interval", "images", "model's own", "width / count", "cross-fitted"
    for name, of in found.items():
        own = "none" if of["coverage"] is None else f"{of['coverage']:.1%}"
        width = "none" if of["width"] is None else f"{of['width']:.2f}"
        yield name, of["images"], own, width, f"{of['cross_fitted']:.1%}"


def markdown(rows: Iterator[Sequence[object]]) -> str:
    """Return a Markdown table of rows, the head first."""
    head, *body = [[str(cell) for cell in row] for row in rows]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *body]
    return "\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


# What measures each part, what makes the rows of its table, and options of EdgeCounter.
PARTS: dict[str, tuple[Callable[..., dict[str, Any]], Callable[..., Any], dict[str, Any]]] = {
    "nothing": (measure_nothing, nothing_rows, {}),
    # With a limit pictures at twice their size would be shrunk back.
    "scale": (measure_scale, scale_rows, {"max_side": None}),
    "video": (measure_video, video_rows, {}),
    "interval": (measure_interval, interval_rows, {}),
}


def main() -> None:
    """Measure every model, print the tables, and write the numbers."""
    options = parse_options()
    cv2.setNumThreads(options.threads or -1)
    material = Material(read_sets(options.data), options.images)
    results: dict[str, dict[str, Any]] = {}
    for model in options.models or [DEFAULT_MODEL]:
        print(f"\n## {model}", flush=True)
        results[model] = {}
        for name in options.parts:
            measure, rows, more = PARTS[name]
            with open_counter(model, options.threads, **more) as counter:
                found = results[model][name] = measure(counter, material)
            none = f"\n{name}: no set to measure it on"
            print(markdown(rows(found)) if found else none, flush=True)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n")


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", action="append", dest="models", metavar="MODEL")
    data = os.environ.get("EDGECOUNT_DATA")
    parser.add_argument("--data", type=Path, default=data, help="default: $EDGECOUNT_DATA")
    parts = ",".join(PARTS)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=parts, help=parts)
    parser.add_argument("--images", type=int, default=20, help="of a set, to blur and to resize")
    parser.add_argument("--threads", type=int, help="of ONNX Runtime and OpenCV")
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    for name in options.parts:
        if name not in PARTS:
            parser.error(f"argument --parts: expected some of {parts}, got {name!r}")
    return options


def open_counter(model: str, threads: int | None, **options: Any) -> EdgeCounter:
    """Open a model or a checkpoint."""
    if Path(model).suffix == ".pt":
        return open_checkpoint(Path(model), **options)
    return EdgeCounter(model, threads=threads, **options)


if __name__ == "__main__":
    main()
