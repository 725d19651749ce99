"""A folder that gets its name when everything in it is done."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecount.errors import OutputError

MARK = "report.json"  # every export has one, and nothing else is replaced


def check_target(out: Path, *, overwrite: bool, inputs: Iterable[Path]) -> None:
    """Refuse a folder that is not ours to write, before the long work.

    Args:
        out: the folder to make, resolved.
        overwrite: an earlier export may be replaced.
        inputs: what the export reads; none of it may lie in the folder.

    Raises:
        OutputError: it is there, and is no earlier export or may not be replaced.
    """
    if not out.name or out == Path.cwd():
        raise OutputError(f"--out: expected the name of a folder to make, got {out}")
    if not out.exists():
        return
    if not overwrite:
        raise OutputError(f"{out} exists: choose another --out, or add --overwrite")
    if not out.is_dir() or (any(out.iterdir()) and not (out / MARK).is_file()):
        raise OutputError(
            f"{out} is no earlier export (it holds no {MARK}), so --overwrite does not replace it: "
            "choose another --out"
        )
    for path in inputs:
        if path.resolve().is_relative_to(out):
            raise OutputError(
                f"{path} lies in {out}, which the export would replace: choose another --out"
            )


@contextmanager
def staged(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder beside ``out`` to write into; it takes the name when the block ends well.

    Whatever ends the block otherwise, it is gone, and an earlier folder is as it was.

    Raises:
        OutputError: the folder cannot be made or renamed.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        (folder / "new").mkdir()
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
    try:
        yield folder / "new"
        _rename(folder / "new", out, folder / "old", overwrite)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rename(new: Path, out: Path, old: Path, overwrite: bool) -> None:
    try:
        if out.exists():
            if not overwrite:
                raise OutputError(f"{out} was made by something else meanwhile: export again")
            out.rename(old)
        try:
            new.rename(out)
        except BaseException:
            if old.exists():
                old.rename(out)
            raise
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
