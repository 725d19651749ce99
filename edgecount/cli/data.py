"""`edgecount data`: annotated images checked, points turned into boxes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecount.cli._data.read import read_annotated, read_with_notes
from edgecount.cli._shell.flags import with_flags
from edgecount.cli._shell.output import printable, text_of, to_json
from edgecount.cli._shell.progress import Progress
from edgecount.cli._types.options import (
    damaged_option,
    json_option,
    new_file_option,
    number_option,
    pixels_option,
    reading,
    refuse_existing,
    refuse_unwritable,
)
from edgecount.cli._types.paths import UserPath
from edgecount.cli._types.readers import readers_help, set_options

if TYPE_CHECKING:
    from edgecount.train.data.check import SetStatistics
    from edgecount.train.data.readers import Choice
    from edgecount.train.data.sample import Sample

_SHOWN = 5  # names of odd images in a line

_set_argument = click.argument("path", type=UserPath())


@click.group(epilog=readers_help())
def data() -> None:
    """Check annotated images; turn points into boxes."""


@data.command(epilog=readers_help())
@_set_argument
@set_options
@click.option(
    "--sheet",
    type=UserPath(dir_okay=False),
    help="Draw some of the images with their heads into this .png or .jpg file.",
)
@number_option("--images", "Read at most N of the images, evenly chosen.  [default: all]")
@damaged_option
@pixels_option
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    path: Path,
    *,
    reader: str,
    unannotated: Choice | None,
    sheet: Path | None,
    images: int | None,
    accept_damaged: bool,
    max_pixels: int,
    as_json: bool,
) -> None:
    """Count the annotations in PATH and list what is left out of them and what is odd.

    Every image is read. The exit code is 1 if one cannot be read, or has another size than its
    annotations say; whether other oddities are mistakes is for you to judge.
    """
    if sheet:
        _check_sheet(sheet)
    samples, notes = read_with_notes(reader, path, unannotated)
    if sheet:
        _refuse_picture_of(sheet, samples)
    samples = reading(samples, accept_damaged, max_pixels)
    from edgecount.train.data.check import check_samples

    number = min(len(samples), images or len(samples))
    with Progress(number, "image", "check", shown=not as_json) as progress:
        found = check_samples(samples, progress.step, reading=notes, most=images)
    click.echo(to_json(found.to_dict()) if as_json else text_of(_lines(found)))
    if sheet:
        _draw(sheet, samples)
    if {"unreadable", "wrong_size"} & set(found.odd):
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


def _draw(path: Path, samples: list[Sample]) -> None:
    from edgecount.cli._count.saving import write_image
    from edgecount.train.data.sheet import draw_sheet

    write_image(path, draw_sheet(samples))


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
