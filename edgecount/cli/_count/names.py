"""File names for the overlays."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from edgecount.errors import OutputError
from edgecount.runtime.sources.base import Source

_JPEG = {".jpg", ".jpeg"}


def plan_outputs(sources: Sequence[Source], folder: Path, overwrite: bool) -> list[Path]:
    """Name a file for each source: NAME.overlay.jpg or .png of an image, .mp4 of a video.

    Where two sources share a name the later one gets its folder's name in front, and if that is
    taken too a number at the end. The same sources give the same names in every run.

    Args:
        sources: sources that will be counted.
        folder: folder for the overlays; need not exist.
        overwrite: whether files that exist may be replaced.

    Raises:
        OutputError: an overlay would replace a source, or a file that exists without
            `overwrite`.
    """
    taken: set[str] = set()
    paths = []
    for source in sources:
        name = next(name for name in _names(source) if name.casefold() not in taken)
        taken.add(name.casefold())
        paths.append(folder / name)
    refuse_sources(sources, paths, "--save")
    if not overwrite:
        _refuse_existing(paths, folder)
    return paths


def _names(source: Source) -> Iterator[str]:
    if "://" in source.name:  # without the name and password that a URL may hold
        url = urlsplit(source.name)
        path = PurePath(url.hostname or "stream", url.path.strip("/"))
    else:
        path = PurePath(source.name)
    # A photograph as PNG would be ten times its JPEG; what came lossless stays lossless.
    image = ".jpg" if path.suffix.lower() in _JPEG else ".png"
    suffix = ".mp4" if source.is_video else image
    stem, parent = _clean(path.stem) or "source", _clean(path.parent.name)
    yield f"{stem}.overlay{suffix}"
    if parent:
        stem = f"{parent}-{stem}"
        yield f"{stem}.overlay{suffix}"
    yield from (f"{stem}-{number}.overlay{suffix}" for number in itertools.count(2))


def _clean(text: str) -> str:
    """Make a part of a file name from a path's part, a camera's name or a URL."""
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.")


def refuse_sources(sources: Sequence[Source], paths: Sequence[Path], flag: str) -> None:
    """Check that what an option has written is none of the sources; OutputError if it is."""
    # Not Path.resolve, which refuses a link that leads to itself.
    inputs = {os.path.realpath(source.name) for source in sources}
    hit = next((path for path in paths if os.path.realpath(path) in inputs), None)
    if hit is not None:
        raise OutputError(f"{flag}: {hit} is one of the sources; choose another name")


def refuse_same(table: Path | None, folder: Path | None) -> None:
    """Check that the table and the folder of overlays are not one path; OutputError if they are."""
    if table and folder and os.path.realpath(table) == os.path.realpath(folder):
        raise OutputError(f"--csv and --save: expected two different paths, got {table} twice")


def _refuse_existing(paths: Sequence[Path], folder: Path) -> None:
    existing = [path for path in paths if path.exists()]
    if existing:
        raise OutputError(
            f"--save: {len(existing)} of {len(paths)} overlays exist in {folder} already, the "
            f"first is {existing[0].name}: choose another folder, or pass --overwrite"
        )
