"""`edgecount scenes`: rendered crowds as annotated sets."""

from __future__ import annotations

from pathlib import Path

import click

from edgecount.cli._shell.output import printable, to_json
from edgecount.cli._shell.progress import Progress
from edgecount.cli._types.options import FiniteRange, json_option, number_option
from edgecount.cli._types.paths import UserPath
from edgecount.cli._types.sizes import FrameSizeType

_READERS = {"mot": "mot", "csv": "csv"}


@click.group()
def scenes() -> None:
    """Render crowds with known truth as an annotated set."""


@scenes.command()
@click.argument("folder", type=UserPath(file_okay=False))
@click.option(
    "--layout",
    type=click.Choice(tuple(_READERS)),
    default="mot",
    show_default=True,
    help="mot: MOTChallenge's folders, with boxes and tracks, as CroHD and GTA_Head have them; "
    "csv: one heads.csv with boxes.",
)
@number_option("--train", "Sequences in FOLDER/train.", default=6, least=0)
@number_option("--test", "Sequences in FOLDER/test, of other places.", default=3, least=0)
@number_option("--frames", "Frames of a sequence; 1 gives single pictures.", default=20)
@click.option(
    "--fps",
    type=FiniteRange(0.01, 1000),
    metavar="N",
    default=8.0,
    show_default=True,
    help="Frames per second.",
)
@number_option(
    "--people",
    "People in the densest sequence, at most; the sparsest has a quarter.",
    default=300,
    least=0,
)
@click.option(
    "--size",
    type=FrameSizeType(),
    default="720x1280",
    show_default=True,
    help="Height and width of the frames in pixels.",
)
@number_option(
    "--seed", "Seed of the set: the same number gives the same pictures.", default=0, least=0
)
@json_option
def write(
    folder: Path,
    *,
    layout: str,
    train: int,
    test: int,
    frames: int,
    fps: float,
    people: int,
    size: tuple[int, int],
    seed: int,
    as_json: bool,
) -> None:
    """Render sequences of walking crowds, with head boxes and tracks, into FOLDER.

    Every sequence has a place, a camera, a light and a density of its own. Ctrl-C keeps the
    sequences that are whole: the same command goes on with the others.
    """
    from edgecount.scenes.sequences import SetOptions, write_set

    height, width = size
    options = SetOptions(train, test, frames, fps, people, (width, height), seed)
    with Progress((train + test) * frames, "frame", "scenes", shown=not as_json) as progress:
        found = write_set(folder, options, layout, progress.step)
    if as_json:
        totals = {"sequences": found.sequences, "frames": found.frames, "heads": found.heads}
        click.echo(to_json({"folder": str(folder), "layout": layout, **totals}))
        return
    parts = [str(folder / part) for part, number in (("train", train), ("test", test)) if number]
    click.echo(
        printable(
            f"{folder}  {found.sequences} new sequences, {found.frames} frames, {found.heads} "
            f"heads; read {' and '.join(parts)} with --reader {_READERS[layout]}"
        )
    )
