"""Paths on the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


class UserPath(click.Path):
    """A path whose ``~`` is the home folder.

    Shells expand ``--out ~/made``, but bash leaves ``--out=~/made`` as it is, which would make a
    folder of the name ~.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a Path, expanded here once, so that every reader means the same file."""
        # As a text: pathlib refuses the home of a user that there is not.
        return super().convert(os.path.expanduser(value), param, ctx)  # noqa: PTH111
