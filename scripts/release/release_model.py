"""Release a model from a finished run: measure it, write its .onnx, fill its card.

    python scripts/release/release_model.py RUN/last.pt --name edgecount-s --version 0.2.0 \
        --data DATA

with --licence "the terms of the weights" where no older file is replaced. Sets that the config only
measures (``weight: 0``) are called cameras that the model never saw; --seen NAME takes out one that
an earlier run behind its weights was trained on.

Threshold, blend and interval are fitted anew, so that a run of older code is released with this
code's. With --left-out FILE the interval is fitted to what short trainings count on sets that they
left out (left_out.py), and holds for cameras that no step has seen; the errors on those sets stand
beside the others. In place of a checkpoint, a released .onnx with --config CONFIG is measured anew:
its graph, threshold and blend stay.

What is measured is the exported file, through the counter that users call, on every set
that the run's config holds out. The released file is that very graph with the numbers in its
manifest. Every number goes to docs/cards/NAME/metrics.json beside the pictures, where the package
does not carry it.
"""

import argparse
import dataclasses
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from draft import draft
from hard_scenes import SceneCount, try_scenes, write_pictures
from left_out import Counted, describe_left_out, fit_to_both, read_left_out
from model_card import (
    SECTIONS,
    facts_section,
    failures_section,
    fill,
    find_section,
    mean_coverage,
    measured_section,
)
from set_names import describe, never_seen, people_each

from edgecount import EdgeCounter
from edgecount._files import write_whole
from edgecount.errors import ConfigError, EdgeCountError, OutputError
from edgecount.export.source.load import with_manifest
from edgecount.manifest import IntervalSpec, Manifest
from edgecount.runtime.models.onnx_facts import read_onnx_facts
from edgecount.runtime.models.open import open_model
from edgecount.train.data.sample import Sample
from edgecount.train.evaluate.evaluation import Evaluation, evaluate_counter
from edgecount.train.postprocess.fusion import HARM, SLIGHT
from edgecount.train.postprocess.interval import (
    SETS,
    CountedImage,
    cross_coverage,
    new_set_coverage,
)

ROOT = Path(__file__).resolve().parents[2]
COVERED = (0.85, 0.95)  # of images, by an interval that was fitted to others
COVERED_AT_LEAST = 0.75  # of the images of a set, by an interval that was fitted to other sets
_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
# Every repetition starts with a character that what stands before it cannot end in: no input makes
# the match try one split after the other.
_VERSION = re.compile(r"\d+\.\d+\.\d\w*([.+-]\w+)*", re.ASCII)


def main(arguments: list[str] | None = None) -> None:
    """Parse the options and release; one line says what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = "last.pt or best.pt of a finished run, or a released .onnx to fit and measure anew"
    parser.add_argument("checkpoint", type=Path, help=source)
    config = "with an .onnx: the config, a file or a name, that says what is held out"
    parser.add_argument("--config", type=Path, help=config)
    parser.add_argument("--name", required=True, help="the model's name, and its files'")
    parser.add_argument("--version", required=True, help="such as 0.2.0")
    parser.add_argument("--data", type=Path, help="in place of the config's data_root")
    parser.add_argument("--out", type=Path, default=ROOT / "edgecount" / "models")
    parser.add_argument("--pictures", type=Path, help="default: docs/cards/NAME")
    parser.add_argument("--licence", help="terms of the weights; default: the replaced file's")
    threads = "of PyTorch and ONNX Runtime; default: one per core"
    parser.add_argument("--threads", type=int, help=threads)
    seen = "sets that an earlier run was trained on, though this one only measures them"
    parser.add_argument("--seen", nargs="*", default=[], metavar="SET", help=seen)
    left_out = "counts of trainings that left sets out, which the interval is fitted to"
    parser.add_argument("--left-out", type=Path, metavar="FILE", help=left_out)
    unfinished = "take a run that is not at its end"
    parser.add_argument("--unfinished", action="store_true", help=unfinished)
    try:
        release(parser.parse_args(arguments))
    except EdgeCountError as error:
        sys.exit(f"edgecount: error: {error}")


def release(options: argparse.Namespace) -> None:
    """Measure, then write: nothing is written before everything is measured, and the model last."""
    check_names(options.name, options.version)
    card, target = (options.out / f"{options.name}{suffix}" for suffix in (".md", ".onnx"))
    text = read_card(card)
    left_out = read_left_out(options.left_out) if options.left_out else {}
    licence = licence_of(options.licence, target)
    if options.threads:
        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "model.onnx"
        drafted = draft(options, exported, licence)
        manifest, config, samples = drafted.manifest, drafted.config, drafted.samples
        evaluations = measure(exported, samples, options.threads)
        unseen: dict[str, dict[str, float]] = {}
        if left_out:
            manifest, evaluations = refit(manifest, evaluations, left_out)
            graph = with_manifest(onnx.load(exported), manifest)
            write_whole(exported, graph.SerializeToString())
            unseen = describe_left_out(left_out, counts_of(evaluations))
        flat, trials = try_frames(exported, options.threads)
        summaries = summarise(evaluations, manifest.postprocess.interval, own=not left_out)
        for name in summaries.keys() & unseen.keys():
            summaries[name]["left_out"] = unseen[name]
        metrics = describe(
            {name: compact(summary) for name, summary in summaries.items()},
            {name: people_each(summary) for name, summary in summaries.items()},
            never_seen(config, options.seen) & set(summaries),
        )
        training = {**manifest.training, "metrics": metrics}
        manifest = dataclasses.replace(manifest, training=training)
        write_whole(exported, with_manifest(onnx.load(exported), manifest).SerializeToString())
        facts, model = read_onnx_facts(exported), exported.read_bytes()
    for warning in warnings(summaries):
        say(f"warning: {warning}")
    pictures = options.pictures or ROOT / "docs" / "cards" / options.name
    drawn = write_pictures(trials, pictures)
    write_metrics(pictures / "metrics.json", manifest, summaries, trials)
    sections = {
        "facts": facts_section(manifest, facts),
        "measured": measured_section(summaries, flat, origin(options) + drafted.note, unseen),
        "failures": failures_section(trials, drawn, card, ROOT),
    }
    if text:
        write_whole(card, fill(text, sections).encode())
    write_whole(target, model)
    report_missing(card, text, sections)
    say(f"released {target}, {len(model) / 1e6:.1f} MB")


def check_names(name: str, version: str) -> None:
    """Refuse what would make odd file names.

    Raises:
        ConfigError: a name or a version of another form.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "--name: expected small letters and digits, and single hyphens, dots or underscores "
            f"between them, such as edgecount-s, got {name!r}"
        )
    if not _VERSION.fullmatch(version):
        raise ConfigError(f"--version: expected three numbers such as 0.2.0, got {version!r}")


def read_card(card: Path) -> str:
    """Read the card, before anything is measured because that takes long; empty if there is none.

    Raises:
        ConfigError: the card's markers are broken.
        OutputError: it cannot be read, and so not be filled.
    """
    try:
        text = card.read_text(encoding="utf-8") if card.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"cannot read the card {card}: {error}") from error
    for name in SECTIONS:
        find_section(text, name)
    return text


def licence_of(given: str | None, target: Path) -> str:
    """Return the given terms, or else those of the file that is replaced.

    Raises:
        ConfigError: nobody states any.
        ModelError: the replaced file cannot be read.
    """
    if given is not None and given.strip():
        return given.strip()
    replaced = target.is_file()
    licence = open_model(target).manifest.licence if replaced else ""
    if not licence:
        reason = f"{target} states none" if replaced else f"there is no {target} to take them from"
        raise ConfigError(
            f"--licence: expected the terms of the weights in words, got none, and {reason}; they "
            "follow from the data that the model was trained on"
        )
    return licence


def measure(
    model: Path, samples: Mapping[str, list[Sample]], threads: int | None
) -> dict[str, Evaluation]:
    """Measure every set."""
    evaluations = {}
    with EdgeCounter(model, backend="onnxruntime", threads=threads) as counter:
        for name, images in samples.items():
            say(f"measuring {name}: {len(images)} images")
            evaluations[name] = evaluate_counter(counter, images)
    return evaluations


def try_frames(model: Path, threads: int | None) -> tuple[float, list[SceneCount]]:
    """Count frames of one colour, whose most people are returned, and the hard scenes."""
    with EdgeCounter(model, backend="onnxruntime", threads=threads) as counter:
        sizes = ((480, 640), (1080, 1920))
        frames = (np.full((*size, 3), shade, np.uint8) for size in sizes for shade in (0, 128, 255))
        flat = max(counter.count(frame).count for frame in frames)
        say("rendering and counting hard scenes")
        return flat, try_scenes(counter)


def refit(
    manifest: Manifest, evaluations: Mapping[str, Evaluation], left_out: Counted
) -> tuple[Manifest, dict[str, Evaluation]]:
    """Fit the interval to what was counted with and without training on the sets.

    Returns:
        The manifest, and the evaluations as a counter with this interval gives them.

    Raises:
        ConfigError: there are too few images.
    """
    say("fitting the interval to sets that it knows and sets left out")
    spec = fit_to_both(left_out, counts_of(evaluations))
    if spec is None:
        raise ConfigError("--left-out: expected more images, for an interval")
    post = dataclasses.replace(manifest.postprocess, interval=spec)
    around = {
        name: [
            dataclasses.replace(image, interval=spec.around(image.count, image.difference))
            for image in found.images
        ]
        for name, found in evaluations.items()
    }
    return dataclasses.replace(manifest, postprocess=post), {
        name: dataclasses.replace(found, images=around[name]) for name, found in evaluations.items()
    }


def counts_of(evaluations: Mapping[str, Evaluation]) -> Counted:
    """Return the counts of each set's images, as intervals are fitted to them."""
    return {
        name: [CountedImage(image.count, image.difference, image.true) for image in found.images]
        for name, found in evaluations.items()
    }


def summarise(
    evaluations: Mapping[str, Evaluation], interval: IntervalSpec | None, *, own: bool = True
) -> dict[str, dict[str, Any]]:
    """Return the sets' summaries, and what a release promises besides.

    Args:
        evaluations: set to what was measured.
        interval: the model's.
        own: whether the interval was fitted to these very images.

    Returns:
        Set to :meth:`edgecount.train.evaluate.evaluation.Evaluation.summary`, with ``blend`` where
        there are two counts (see :func:`over_better_alone`), and where the interval is of these
        images and they are enough, ``interval``'s ``cross_coverage`` and, with sets enough,
        ``new_set_coverage`` and ``new_set_width``.
    """
    summaries = {name: evaluation.summary() for name, evaluation in evaluations.items()}
    for summary in summaries.values():
        if (ratio := over_better_alone(summary)) is not None:
            summary["blend"] = ratio
    if interval and own:
        counted = list(counts_of(evaluations).values())
        try:
            shares = cross_coverage(counted, interval.coverage)
        except ConfigError as error:  # too few images to leave some out
            say(f"no cross-fitted coverage: {error}")
            return summaries
        for summary, share in zip(summaries.values(), shares, strict=True):
            summary["interval"]["cross_coverage"] = share
        if len(counted) > SETS:
            left_out = new_set_coverage(counted, interval.coverage)
            for summary, (share, width) in zip(summaries.values(), left_out, strict=True):
                summary["interval"] |= {"new_set_coverage": share, "new_set_width": width}
    return summaries


def over_better_alone(summary: Mapping[str, Any]) -> float | None:
    """Return the blend's MAE over that of density or points alone, the better; None without."""
    if "density_count" not in summary or "peak_count" not in summary:
        return None
    better = min(summary[key]["mae"] for key in ("density_count", "peak_count"))
    ratio: float = summary["count"]["mae"] / max(better, SLIGHT)
    return ratio


def warnings(summaries: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """List the promises to users that a set's numbers break."""
    low, high = COVERED
    shares = [share for share in map(left_out_coverage, summaries.values()) if share is not None]
    if shares and not low <= (mean := float(np.mean(shares))) <= high:
        yield f"sets left out of the fit: coverage {mean:.1%}, expected {low:.0%} to {high:.0%}"
    for name, summary in summaries.items():
        share = summary.get("interval", {}).get("cross_coverage")
        left_out = left_out_coverage(summary)
        # Of an interval for new sets more than 95% of the images of its own sets are inside.
        if left_out is None and share is not None and not low <= share <= high:
            yield f"{name}: cross-fitted coverage {share:.1%}, expected {low:.0%} to {high:.0%}"
        if left_out is not None and left_out < COVERED_AT_LEAST:
            yield (
                f"{name}: coverage {left_out:.1%} when left out of the fit, expected "
                f"{COVERED_AT_LEAST:.0%} or more"
            )
        if summary.get("blend", 0.0) > HARM:
            yield (
                f"{name}: the blend's MAE is {summary['blend']:.3f} times that of the better of "
                f"density and points alone, expected at most {HARM:g}"
            )


def left_out_coverage(summary: Mapping[str, Any]) -> float | None:
    """Return the share of a set's truths inside the interval of all other sets, if it was tried."""
    if "left_out" in summary:
        return float(summary["left_out"]["coverage"])
    share: float | None = summary.get("interval", {}).get("new_set_coverage")
    return share


def compact(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the few numbers of a set that travel in the manifest, with more digits than shown."""
    count = summary["count"]
    numbers: dict[str, Any] = {"images": round(count["images"])}
    numbers |= {key: round(count[key], 4) for key in ("mae", "rmse", "bias")}
    if "points" in summary and people_each(summary):
        numbers["f1"] = round(summary["points"]["f1"], 4)
    interval = summary.get("interval", {})
    found = [left_out_coverage(summary), interval.get("cross_coverage"), interval.get("coverage")]
    if "left_out" in summary:
        keys = ("people", "mae", "bias")
        numbers |= {f"left_out_{key}": round(summary["left_out"][key], 4) for key in keys}
    for share in found:
        if share is not None:
            numbers.setdefault("coverage", round(share, 4))
    return numbers


def write_metrics(
    path: Path, manifest: Manifest, summaries: Mapping[str, Any], trials: list[SceneCount]
) -> None:
    """Write every number of this release, to compare the next one with."""
    numbers: dict[str, Any] = {"version": manifest.version, "sets": summaries}
    if overall := mean_coverage(summaries):
        numbers["interval"] = overall
    numbers["hard_scenes"] = {
        trial.scene.name: {"true": trial.scene.people, "count": trial.result.count}
        for trial in trials
    }
    # Four decimals are more than the numbers are worth.
    rounded = json.loads(json.dumps(numbers), parse_float=lambda text: round(float(text), 4))
    write_whole(path, (json.dumps(rounded, indent=1) + "\n").encode())


def origin(options: argparse.Namespace) -> str:
    """Tell when and how the numbers were made; no path of this machine."""
    date = datetime.now(timezone.utc).date().isoformat()
    source: Path = options.checkpoint
    given = source.name if source.suffix == ".onnx" else f"RUN/{source.name}"
    words = ["python scripts/release/release_model.py", given]
    words += [f"--config {options.config.stem}"] if options.config else []
    words += [f"--left-out {options.left_out.name}"] if options.left_out else []
    words.append(f"--name {options.name} --version {options.version}")
    return f"Measured on {date} by `{' '.join(words)}`, on the exported file."


def report_missing(card: Path, text: str, sections: Mapping[str, str]) -> None:
    """Print what found no place in the card, ready to be pasted."""
    missing = [name for name in sections if find_section(text, name) is None]
    if missing:
        say(f"{card} has no markers <!-- NAME: begin --> for {', '.join(missing)}:")
    for name in missing:
        print(f"\n<!-- {name}: begin -->\n{sections[name]}\n<!-- {name}: end -->")


def say(message: str) -> None:
    """Tell what is about to happen."""
    print(f"== {message}", flush=True)


if __name__ == "__main__":
    main()
