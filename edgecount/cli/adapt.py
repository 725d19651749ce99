"""`edgecount adapt`: a model fine-tuned to one's own camera."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecount.cli._data.read import read_annotated
from edgecount.cli._shell.extras import needs_train
from edgecount.cli._shell.output import printable, to_json
from edgecount.cli._shell.progress import Progress
from edgecount.cli._types.options import (
    damaged_option,
    folder_option,
    json_option,
    new_file_option,
    number_option,
    pixels_option,
    reading,
    refuse_existing,
    threads_option,
)
from edgecount.cli._types.paths import UserPath
from edgecount.cli._types.readers import readers_help, set_options

if TYPE_CHECKING:
    from edgecount.train.adapt import Adaptation, Intervals
    from edgecount.train.data.readers import Choice

STEPS = 360  # again as in train.adapt, which help must not import
TOLERATED = 0.5  # people per megapixel where nobody is


@click.command(epilog=readers_help())
@click.argument("model")
@click.argument("data", type=UserPath())
@set_options
@new_file_option("adapted.onnx", "ONNX file to write.")
@folder_option(
    "--negatives", help="More pictures of the camera, without people; they need no annotation."
)
@number_option("--steps", "Training steps, of all trainings together.", default=STEPS)
@click.option(
    "--holdout",
    type=float,
    metavar="SHARE",
    help="Keep this share of the pictures, 0 to 1, from all training to measure the model.  "
    "[default: each quarter is kept from one training]",
)
@click.option(
    "--learning-rate", type=float, default=3e-4, show_default=True, help="Highest learning rate."
)
@number_option("--seed", "Seed of the training.", default=0, least=0)
@threads_option
@damaged_option
@pixels_option
@json_option
def adapt(
    *,
    model: str,
    data: Path,
    reader: str,
    unannotated: Choice | None,
    out: Path,
    overwrite: bool,
    negatives: Path | None,
    steps: int,
    holdout: float | None,
    learning_rate: float,
    seed: int,
    threads: int | None,
    accept_damaged: bool,
    max_pixels: int,
    as_json: bool,
) -> None:
    """Fine-tune MODEL on the 5 to 50 annotated pictures in DATA.

    MODEL is a bundled name, an .onnx file of edgecount export, or a checkpoint (.pt) of edgecount
    train. Each quarter of the pictures is kept from one training and measures it: the file is
    written only if the model counts these better than before. The report says what more pictures
    would bring, how wide the interval is, and what the model still knows of other places.
    """
    from edgecount.errors import EdgeCountError

    refuse_existing(out, overwrite)
    with needs_train("to adapt models"):
        import torch

        from edgecount.export.source.from_torch import check_onnx
        from edgecount.train.adapt import adapt as run
    check_onnx()
    if threads:
        torch.set_num_threads(threads)
    samples, empty = read_annotated(reader, data, unannotated), []
    if negatives is not None:
        empty = read_annotated("empty", negatives, None)
    with Progress(steps, "step", "adapt", shown=not as_json) as bar:
        done = run(
            model,
            reading(samples, accept_damaged, max_pixels),
            negatives=reading(empty, accept_damaged, max_pixels),
            steps=steps,
            holdout=holdout,
            learning_rate=learning_rate,
            seed=seed,
            progress=bar.step,
        )
    file: Path | None = None
    try:
        if done.better:
            file = write(done, out)
    finally:  # whatever keeps the file from being written: the numbers took the whole training
        tell(done, file, as_json)
    if file is None:
        raise EdgeCountError(not_written(done))
    if not as_json:
        size = f"{file.stat().st_size / 1e6:.1f} MB"
        click.echo(printable(f"{file}  {done.manifest.name}  {size}"))


def write(done: Adaptation, out: Path) -> Path:
    """Write the adapted model and return its file.

    Raises:
        OutputError: the file cannot be written; the message says where the model is kept instead.
    """
    from edgecount.errors import OutputError
    from edgecount.export.source.from_torch import export_onnx

    try:
        export_onnx(done.network, done.manifest, out)
    except OutputError as error:  # such as a disk that filled up during the training
        try:
            kept = Path(tempfile.gettempdir()) / f"{out.stem}-{os.urandom(4).hex()}.onnx"
            export_onnx(done.network, done.manifest, kept)
        except (OSError, OutputError) as again:
            raise OutputError(f"{error}; {again}") from error
        raise OutputError(f"{error}; the model is kept as {kept}: move it") from error
    return out


def tell(done: Adaptation, file: Path | None, as_json: bool) -> None:
    """Print the report and the warnings; ``file`` is None where nothing was written."""
    if as_json:
        click.echo(to_json({"file": str(file) if file else None, **done.numbers()}))
    else:
        for line in report(done):
            click.echo(line)
    for warning in warnings(done):
        click.echo(f"edgecount: warning: {warning}", err=True)


def report(done: Adaptation) -> Iterator[str]:
    """Yield the lines of the report."""
    errors, number = done.errors, len(done.held_out)
    yield (
        f"mean error on {number} pictures that training left out: {errors.before:.2f} before, "
        f"{errors.after:.2f} after, a difference of {errors.after - errors.before:+.2f} "
        f"(standard error {errors.noise:.2f})"
    )
    yield more_pictures(done)
    if done.intervals:
        yield interval_line(done.intervals, len(done.held_out))
    else:
        yield "interval: the model has none, before and after"
    if done.empty:
        yield (
            f"pictures without people ({done.empty.images}): {done.empty.before:.2f} people per "
            f"megapixel before, {done.empty.after:.2f} after"
        )
    scenes = done.abilities
    yield (
        f"rendered scenes of other places ({scenes.scenes}): {scenes.before:.1%} of the people "
        f"miscounted before, {scenes.after:.1%} after"
    )
    if done.refitted:
        yield "threshold and blend are fitted anew: the pictures show that it helps"


def more_pictures(done: Adaptation) -> str:
    """Say how the error fell with the number of pictures, and what more of them would bring."""
    curve = done.curve
    known = ", ".join(f"{error:.2f} with {images:.0f}" for images, error in (curve.few, curve.most))
    line = f"pictures trained on: error {done.before:.2f} with none, {known}; "
    if not curve.rises:
        low, high = curve.at(2 * done.trained)[1:]
        return (
            f"{line}{done.trained} more may bring nothing (expect {low:.2f} to {high:.2f}): of "
            "more use are other hours and crowds"
        )
    expected, low, high = curve.at(2 * done.trained)
    gain = f"about {expected:.2f} ({low:.2f} to {high:.2f})"
    return f"{line}{done.trained} more would bring it to {gain}"


def interval_line(found: Intervals, pictures: int) -> str:
    """Say coverage and width before and after, beside each other."""
    before, after = found.before, found.after
    line = (
        f"{found.asked:.0%} interval: {before.coverage:.0%} of these pictures inside and "
        f"{before.width:.1f} people wide before, {after.coverage:.0%} and {after.width:.1f} after"
    )
    if not found.kept:
        return line
    return f"{line}; {pictures} pictures are too few to fit it: it is the model's own, or wider"


def warnings(done: Adaptation) -> Iterator[str]:
    """Yield what a user should know before the model is used."""
    scenes, empty = done.abilities, done.empty
    if done.close:
        number = len(done.held_out)
        share = f"{done.close} of the {number}" if done.close < number else f"all {number}"
        yield (
            f"by the times in their names {share} pictures that training left out were taken "
            "within minutes of pictures that it saw: the error is that of pictures like those "
            "trained on, and other hours may be counted worse. Add pictures of other hours"
        )
    if done.better and done.errors.verdict == "open":
        yield (
            "the gain may be chance: it is less than its standard error. More pictures would "
            "tell, or those of another day by edgecount eval"
        )
    if scenes.lost:
        yield (
            "the model lost abilities: on rendered scenes of other places its error rose from "
            f"{scenes.before:.1%} to {scenes.after:.1%} of the people. Use it on this camera "
            "alone, or lower --learning-rate or --steps"
        )
    if empty and empty.after > max(empty.before, TOLERATED):
        yield (
            f"it sees {empty.after:.2f} people per megapixel where nobody is, {empty.before:.2f} "
            "before: add pictures without people (--negatives)"
        )


def not_written(done: Adaptation) -> str:
    """Say why no file was written, and what to do."""
    errors = done.errors
    change = (
        f"on {len(done.held_out)} pictures that training left out the mean error went from "
        f"{errors.before:.2f} to {errors.after:.2f}"
    )
    if errors.verdict == "open":
        return (
            f"not written: {change}, which may be chance (standard error of the difference "
            f"{errors.noise:.2f}). Add pictures, of the hours and crowds that are counted worst"
        )
    return (
        f"not written: {change}. Check the annotations with edgecount data check, add pictures, or "
        "lower --learning-rate"
    )
