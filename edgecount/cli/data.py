"""`edgecount data`: annotated images checked, points turned into boxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecount.cli._data.read import read_annotated, read_with_notes
from edgecount.cli._data.suspects import lines_of
from edgecount.cli._eval.open import open_measured
from edgecount.cli._eval.sets import weights_of
from edgecount.cli._shell.extras import needs_train
from edgecount.cli._shell.failures import report_failure
from edgecount.cli._shell.flags import given_flags, with_flags
from edgecount.cli._shell.output import printable, text_of, to_json
from edgecount.cli._shell.progress import Progress
from edgecount.cli._types.options import (
    backend_option,
    damaged_option,
    device_option,
    json_option,
    max_side_option,
    new_file_option,
    number_option,
    pixels_option,
    precision_option,
    reading,
    refuse_existing,
    refuse_unwritable,
)
from edgecount.cli._types.paths import UserPath
from edgecount.cli._types.readers import readers_help, set_options

if TYPE_CHECKING:
    from edgecount import EdgeCounter
    from edgecount.train.data.check import SetStatistics
    from edgecount.train.data.readers import Choice
    from edgecount.train.data.sample import Sample
    from edgecount.train.data.sheet import Found
    from edgecount.train.evaluate.annotation_errors import AnnotationErrors

_SHOWN = 5  # names of odd images in a line
_OF_MODEL = ("backend", "device", "precision", "max_side")  # options of no use without one

_set_argument = click.argument("path", type=UserPath())


@click.group(epilog=readers_help())
def data() -> None:
    """Check annotated images; turn points into boxes."""


@data.command(epilog=readers_help())
@_set_argument
@set_options
@click.option(
    "--model",
    metavar="NAME|FILE|DIR",
    help="Count each image with this model, and list those whose annotation is probably incomplete "
    "or wrong: a bundled model, .onnx file, TensorRT engine, folder written by edgecount export, "
    "checkpoint or run.  [default: count nothing]",
)
@backend_option
@device_option
@precision_option
@max_side_option
@click.option(
    "--sheet",
    type=UserPath(dir_okay=False),
    help="Draw some of the images with their heads into this .png or .jpg file; with --model, "
    "first those that it lists, with its points.",
)
@number_option("--images", "Read at most N of the images, evenly chosen.  [default: all]")
@damaged_option
@pixels_option
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    /,
    path: Path,
    *,
    reader: str,
    unannotated: Choice | None,
    model: str | None,
    sheet: Path | None,
    images: int | None,
    accept_damaged: bool,
    max_pixels: int,
    as_json: bool,
    **engine: Any,
) -> None:
    """Count the annotations in PATH and list what is left out of them and what is odd.

    Every image is read. The exit code is 1 if one cannot be read, or has another size than its
    annotations say, or cannot be counted by --model; whether other oddities are mistakes is for you
    to judge.

    With --model, an image is listed if several heads (three, and 15% of those annotated) are found
    clearly where none is annotated; if fewer are annotated than the count's likely range begins
    with, and some are found elsewhere; or if most are annotated where the model sees nobody,
    although it sees 80% of those of the other images.
    """
    if model is None:
        flags = given_flags(ctx)
        useless = next((flags[name] for name in _OF_MODEL if name in flags), None)
        if useless is not None:
            raise click.UsageError(f"{useless}: expected with --model, which counts the images")
    if sheet:
        _check_sheet(sheet)
    samples, notes = read_with_notes(reader, path, unannotated)
    if sheet:
        _refuse_picture_of(sheet, samples)
    samples = reading(samples, accept_damaged, max_pixels)
    from edgecount.train.data.check import check_samples
    from edgecount.train.data.splits import evenly

    chosen = evenly(samples, images or len(samples))
    with _counter(model, **engine) as counter:  # before: it may not open
        with Progress(len(chosen), "image", "check", shown=not as_json) as progress:
            found = check_samples(samples, progress.step, reading=notes, most=images)
        if not as_json:
            click.echo(text_of(_lines(found)))
        errors = None if counter is None else _find_errors(counter, chosen, shown=not as_json)
    if as_json:
        more = {} if errors is None else {"annotation_errors": errors.to_dict()}
        click.echo(to_json(found.to_dict() | more))
    elif errors is not None:
        click.echo("\n" + text_of(lines_of(errors)))
    if sheet:
        _draw(sheet, samples, _marks(errors))
    if {"unreadable", "wrong_size"} & set(found.odd) or (errors and errors.failed):
        ctx.exit(1)


@data.command(epilog=readers_help())
@_set_argument
@set_options
@click.option(
    "--presets",
    type=UserPath(dir_okay=False),
    help="Boxes of typical heads: a .csv of image,x,y,w,h (centre and sides in pixels; * stands "
    "for all images) or a .json.",
)
@click.option(
    "--neighbours", is_flag=True, help="Size each head by the distance to its neighbours."
)
@new_file_option("boxes.csv", "File to write, which the csv reader reads.")
def boxes(
    path: Path,
    *,
    reader: str,
    unannotated: Choice | None,
    presets: Path | None,
    neighbours: bool,
    out: Path,
    overwrite: bool,
) -> None:
    """Write boxes around the annotated points in PATH.

    With --presets, the width and height of a head lie between those of the two closest preset
    boxes, by its distance to them: give a near, a middle and a far head of each camera.
    """
    if (presets is None) == (not neighbours):
        raise click.UsageError("expected one of --presets FILE and --neighbours")
    refuse_existing(out, overwrite)
    samples = read_annotated(reader, path, unannotated)
    from edgecount.train.data.boxes import load_presets, with_boxes, write_boxes

    boxed = with_boxes(samples, load_presets(presets) if presets else None)
    write_boxes(out, boxed)
    if any(sample.region is not None for sample in samples):
        click.echo(
            "edgecount: warning: only a region of these images is annotated, and a CSV cannot say "
            "so: train on it with the images outside it blacked",
            err=True,
        )
    heads = sum(len(sample.points) for sample in boxed)
    click.echo(printable(f"{out}  {heads} boxes in {len(boxed)} images"))


def _refuse_picture_of(path: Path, samples: list[Sample]) -> None:
    """Raise OutputError if a sheet has the name of a picture of the set, or of its mask."""
    from edgecount.errors import OutputError

    masks = [sample.region for sample in samples if isinstance(sample.region, Path)]
    if path.resolve() in {one.resolve() for one in (*(s.path for s in samples), *masks)}:
        raise OutputError(f"--sheet: {path} is a picture of the set: name another file")


def _check_sheet(path: Path) -> None:
    """Refuse a sheet that cannot be written, before the images are read.

    Raises:
        ConfigError: its suffix is none of a picture.
        OutputError: the file cannot be written.
    """
    from edgecount.errors import ConfigError

    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ConfigError(f"--sheet: expected a .png or .jpg, got {path.name}")
    refuse_unwritable(path, "--sheet")


def _counter(model: str | None, **engine: Any) -> AbstractContextManager[EdgeCounter | None]:
    """Open the model that counts the images, if there is to be one."""
    if model is None:
        return nullcontext()
    with needs_train("to compare annotations with counts"):
        import edgecount.train.evaluate.annotation_errors  # noqa: F401
    return open_measured(str(weights_of(Path(model)) or model), **engine)


def _find_errors(counter: EdgeCounter, samples: list[Sample], *, shown: bool) -> AnnotationErrors:
    """Compare the annotations with counts; tell what fails, but of files that cannot be read.

    Those were listed before, and the first that fails is told with the counts.
    """
    from edgecount.errors import SourceError
    from edgecount.train.evaluate.annotation_errors import find_annotation_errors

    def tell(sample: Sample, error: Exception) -> None:
        if not isinstance(error, SourceError):
            report_failure(str(sample.path), error)

    with Progress(len(samples), "image", f"count {counter.manifest.name}", shown=shown) as progress:
        return find_annotation_errors(counter, samples, progress=progress.step, on_error=tell)


def _marks(errors: AnnotationErrors | None) -> dict[Sample, Found]:
    """Return what the sheet is to show of a model's counts, by the image."""
    from edgecount.train.data.sheet import Found

    return {
        suspect.sample: Found(suspect.count, suspect.points, suspect.is_unannotated)
        for suspect in (errors.suspects if errors else ())
    }


def _draw(path: Path, samples: list[Sample], found: Mapping[Sample, Found]) -> None:
    from edgecount.cli._count.saving import write_image
    from edgecount.train.data.sheet import draw_sheet

    write_image(path, draw_sheet(samples, found=found))


def _lines(found: SetStatistics) -> Iterable[str]:
    people = found.people
    yield (
        f"{found.images} images, {people['total']:.0f} people: {people['min']:.0f} to "
        f"{people['max']:.0f} in an image, median {people['median']:g}, mean {people['mean']:.2f}"
    )
    yield f"boxes in {found.boxes} images" if found.boxes else "points, no boxes"
    sizes = [f"{size} ({number})" for size, number in found.sizes.items()]
    yield f"sizes {_some(sizes)}"
    if found.read < found.images:
        yield f"{found.read} of the {found.images} images were read, evenly chosen"
    for label, values in (
        ("classes counted", found.counted),
        ("left out", found.left_out),
        ("note", found.notes),
    ):
        if values:
            yield f"{label}: " + ", ".join(f"{name} ({n})" for name, n in values.items())
    yield ""
    yield "    people   images"
    most = max(found.histogram.values())
    for label, number in found.histogram.items():
        yield f"{label:>10}{number:9}  {'#' * -(-40 * number // most)}".rstrip()
    if found.odd:
        from edgecount.train.data.check import ODDITIES

        yield ""
        for kind, names in found.odd.items():
            yield f"{kind} ({len(names)}): {ODDITIES[kind]}"
            yield f"    {_some([f'{n} ({with_flags(r)})' if r else n for n, r in names.items()])}"


def _some(words: list[str]) -> str:
    rest = len(words) - _SHOWN
    return ", ".join(words[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
