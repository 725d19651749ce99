"""Files that are written whole or not at all, and files that are safe to open."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgecount.errors import EdgeCountError, ModelError, OutputError

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def require_regular(path: Path, error: type[EdgeCountError] = ModelError) -> None:
    """Refuse what opening or reading may wait for without end: FIFOs, sockets and devices.

    A file that is missing is left to whoever opens it, as is a folder.

    Raises:
        EdgeCountError: of the class ``error``: the path leads to one of these.
    """
    try:
        kind = _KINDS.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):  # a name that no file can have is a ValueError
        return
    if kind:
        raise error(f"{path} is {kind}: expected a regular file")


@contextmanager
def replacing(path: Path, *, folder: Path | None = None, keep: bool = False) -> Iterator[Path]:
    """Give a temporary file that takes the name of ``path`` when the block ends.

    An older file stays whole until the new one is complete and on the disk; if the block raises,
    the temporary file is deleted and the older file is left alone.

    Args:
        path: the file to write; its folder is made if it is missing. Of a link, what it leads to.
        folder: where the temporary file is, on the same disk; None: beside the file.
        keep: leave a file alone that has the name by then, of whichever process.

    Yields:
        The path to write to.

    Raises:
        OutputError: the file cannot be written.
    """
    path = writable(path)
    # A name of its own: other processes may write the same file, such as a cache.
    temporary = (folder or path.parent) / f"{path.name}.{os.urandom(4).hex()}.partial"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            # Without it a power cut after the rename may leave an empty file under the name.
            os.fsync(file.fileno())
        _give_name(temporary, path, keep=keep)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _give_name(temporary: Path, path: Path, *, keep: bool) -> None:
    if keep:
        try:
            # A link fails where the name is taken, which renaming would replace.
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            if path.exists():
                return
        else:
            return
    temporary.replace(path)


def writable(path: Path) -> Path:
    """Return the file that a path names, behind links.

    Raises:
        OutputError: it is there and no file: a device or a folder must not be replaced by one.
    """
    try:
        # Not what it leads to: behind /dev/stdout there may be what has no other name.
        require_regular(path, OutputError)
    except OutputError as error:
        raise OutputError(f"cannot write {path}: {error}") from None
    real = Path(os.path.realpath(path))
    if os.path.isdir(real):  # noqa: PTH112 (pathlib raises where a name is too long)
        raise OutputError(f"cannot write {path}: it is a folder, expected a regular file")
    return real


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before the work whose result it is to hold.

    A temporary file beside it is tried. Nothing of it stays, nor of folders that were made for it.

    Raises:
        OutputError: the file cannot be written.
    """
    path = writable(path)
    trial = path.with_name(f"{path.name}.{os.urandom(4).hex()}.partial")
    made: list[Path] = []
    folder = path.parent
    try:
        made = [one for one in path.parents if not one.exists()]
        folder = path.parents[len(made)]
        if not folder.is_dir():
            raise OutputError(f"cannot write {path}: {folder} is no folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: nothing can be made in {folder} ({error.strerror or error})"
        ) from error
    finally:
        for one in made:
            with suppress(OSError):  # it was not made, or another process uses it by now
                one.rmdir()


def write_whole(path: Path, data: bytes) -> None:
    """Write bytes to a file, which keeps its old content until the new one is complete.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)
