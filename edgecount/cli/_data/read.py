"""Reading a folder of annotated images as a command was asked to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecount.cli._shell.extras import needs_train
from edgecount.cli._types.readers import AUTO

if TYPE_CHECKING:
    from edgecount.train.data.readers import Choice, Reading
    from edgecount.train.data.sample import Sample


def choose_reader(reader: str, path: Path) -> str:
    """Return the reader that was asked for, or say which one fits and return it.

    Raises:
        ConfigError: it was to be guessed, and none fits or several do.
        SourceError: nothing is there.
    """
    if reader != AUTO:
        return reader
    with needs_train("to read annotated images"):
        from edgecount.train.data.readers import guess_reader
    found = guess_reader(path)
    click.echo(f"edgecount: {path} is read with --reader {found}", err=True)
    return found


def read_annotated(reader: str, path: Path, unannotated: Choice | None) -> list[Sample]:
    """Read the samples of a set; what is left out goes to the log.

    Raises:
        ConfigError, SourceError: see :func:`edgecount.train.data.readers.read_samples`.
    """
    with needs_train("to read annotated images"):
        from edgecount.train.data.readers import read_samples
    return read_samples(choose_reader(reader, path), path, unannotated=unannotated)


def read_with_notes(
    reader: str, path: Path, unannotated: Choice | None
) -> tuple[list[Sample], Reading]:
    """Read the samples of a set, and what else was found in it.

    Raises:
        ConfigError, SourceError: see :func:`edgecount.train.data.readers.read_set`.
    """
    with needs_train("to read annotated images"):
        from edgecount.train.data.readers import read_set
    return read_set(choose_reader(reader, path), path, unannotated=unannotated)
