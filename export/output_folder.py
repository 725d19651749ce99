"""Publish a folder when everything in it is done."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecount.errors import EdgeCountError, OutputError
from edgecount.runtime.backends.openvino import cache as openvino_cache
from edgecount.runtime.backends.tensorrt.kernel_cache import cache_path
from edgecount.runtime.models.engines import is_engine
from edgecount.runtime.models.sidecar import sidecar_path

MARK = "report.json"  # every export has one, and nothing else is replaced
PAGE = "report.html"
_NAMED = 5  # files of the user in a message


def check_target(out: Path, *, overwrite: bool, inputs: Iterable[Path]) -> None:
    """Refuse a resolved folder that is not ours to write, or that holds one of the inputs.

    Raises:
        OutputError: it is there, and is no earlier export, holds other files than an export's, or
            may not be replaced.
    """
    if not out.name or out == Path.cwd():
        raise OutputError(f"out: expected the name of a folder to make, got {out}")
    if not out.exists():
        return
    if not overwrite:
        raise OutputError(f"{out} exists: choose another `out`, or add `overwrite`")
    for path in inputs if out.is_dir() else ():
        if path.resolve().is_relative_to(out):
            raise OutputError(
                f"{path} lies in {out}, which the export would replace: choose another `out`"
            )
    _check_ours(out)


def _check_ours(out: Path) -> None:
    """Refuse to replace a folder that holds anything but an export: it would be lost.

    Raises:
        OutputError: it is none, or there are other files in it; the message names them.
    """
    found = sorted(out.iterdir()) if out.is_dir() else [out]
    if not found:
        return
    ours = _written(out)
    if ours is None:
        raise OutputError(
            f"{out} is no earlier export (it holds no {MARK} of edgecount), so `overwrite` does "
            "not replace it: choose another `out`"
        )
    others = [
        path.name
        for path in found
        if not _is_compiled(path) and (path.name not in ours or _is_folder(path))
    ]
    if others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        raise OutputError(
            f"{out} holds what no export wrote, and `overwrite` would delete it: "
            f"{', '.join(others[:_NAMED])}{more}: move that away, or choose another `out`"
        )


def _is_compiled(path: Path) -> bool:
    """Return whether a path is the folder in which OpenVINO's backend keeps what it compiled."""
    if path.name != openvino_cache.FOLDER or not _is_folder(path):
        return False
    return all(
        file.suffix == openvino_cache.SUFFIX and not _is_folder(file) for file in path.iterdir()
    )


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _written(out: Path) -> set[str] | None:
    """Return the names of what an export wrote into its folder; None: it is no export."""
    if not (out / MARK).is_file():
        return None
    try:
        facts = json.loads((out / MARK).read_bytes())
        made_by, names = facts["made_by"], [str(file["file"]) for file in facts["files"]]
    except (OSError, ValueError, TypeError, LookupError):
        return None
    if not str(made_by).startswith("edgecount "):
        return None
    engines = [Path(name) for name in names if is_engine(Path(name))]
    beside = [file.name for path in engines for file in (sidecar_path(path), cache_path(path))]
    return {MARK, PAGE, *names, *beside}


@contextmanager
def published(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Make a folder beside ``out`` to write into; it takes that name when the block ends well.

    However the block ends otherwise, the folder is deleted, and an earlier one is as it was. Errors
    of edgecount that name a file in it name the path that the file would have got.

    Raises:
        OutputError: the folder cannot be made or renamed.
    """
    # Named before it is made: a signal may come right after that.
    folder = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(0o700)
            (folder / "new").mkdir()
        except OSError as error:
            raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
        yield folder / "new"
        _rename(folder / "new", out, folder / "old", overwrite)
    except EdgeCountError as error:
        error.args = (str(error).replace(str(folder / "new"), str(out)),)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rename(new: Path, out: Path, old: Path, overwrite: bool) -> None:
    try:
        if out.exists():
            if not overwrite:
                raise OutputError(f"{out} was made by something else meanwhile: export again")
            _check_ours(out)  # hours may have gone by
        try:
            if out.exists():
                out.rename(old)
            new.rename(out)
        except BaseException:
            if old.exists() and not out.exists():
                old.rename(out)
            raise
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
