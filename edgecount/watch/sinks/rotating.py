"""Files of lines that are whole, and rotated by size."""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgecount._files import writable
from edgecount.errors import ConfigError, OutputError

_log = logging.getLogger(__name__)

_MARK = b"\xef\xbb\xbf"  # that spreadsheets put before UTF-8
_TAIL = 65536  # bytes that are read at once to find the last line's end


class RotatingFile:
    r"""A file to which whole lines are appended, and which is put aside when it is full.

    ``counts.jsonl`` becomes ``counts.1.jsonl``, that one ``counts.2.jsonl``, and so on. What a
    kill, a power cut or a full disk left of a line is cut off before the next one is written. A
    file that somebody else moves or deletes is begun anew. One that others have saved in a form
    that cannot be continued, with ``\r`` alone at the ends of lines, is put aside.

    Args:
        path: the file; its folder is made.
        size: bytes that it grows to at most, unless one line is longer.
        keep: full files that are kept beside it; older ones are deleted.
        header: first line of each file, with its ``\n``; a file that begins with another one is put
            aside when it is opened. A byte order mark before it, and ``\r\n``, do not matter.
        start: what all files of this kind begin with, also those of older versions: any other file
            is somebody else's, and is refused as it is.
        is_whole: tells whether a last line that has no end, as some programs save it, is one of
            ours and complete; it is then ended, and not cut off. None: no such line is.

    Raises:
        ConfigError: a number makes no sense.
    """

    def __init__(
        self,
        path: str | Path,
        size: float,
        keep: int,
        header: bytes = b"",
        start: bytes = b"",
        is_whole: Callable[[bytes], bool] | None = None,
    ) -> None:
        if not size >= 1:
            raise ConfigError(f"size_mb: expected more than 0, got {size / 1e6:g}")
        if keep < 0:
            raise ConfigError(f"keep: expected a number of files, 0 or more, got {keep}")
        self._given = Path(path)
        self._path = self._given
        self._most, self._keep, self._header, self._start = size, keep, header, start
        self._is_whole = is_whole
        self._file = -1
        self._size = 0

    def open(self) -> None:
        """Open the file, mend its last line, and see to it that nobody else writes it.

        Raises:
            OutputError: it cannot be opened, is of another kind, or another process writes it.
        """
        self.close()
        self._path = writable(self._given)
        with self._told():
            make_folder(self._path.parent)
            self._begin()

    def write(self, lines: bytes) -> None:
        r"""Append whole lines, all of them or, if that fails, none.

        Args:
            lines: text that ends in ``\n``.

        Raises:
            OutputError: they cannot be written.
        """
        with self._told():
            if not self._is_ours():
                self._begin()
            # Somebody else may have emptied it in place, as logrotate's copytruncate does.
            self._size = min(self._size, os.fstat(self._file).st_size)
            if self._size > len(self._header) and self._size + len(lines) > self._most:
                self._rotate(self._keep)
            self._append(lines if self._size else self._header + lines)

    def close(self) -> None:
        """Close the file, after what was written is on the disk."""
        file, self._file = self._file, -1
        if file >= 0:
            try:
                with suppress(OSError):  # it was written; a full disk was told by the write
                    os.fsync(file)
            finally:
                os.close(file)

    def _begin(self) -> None:
        self.close()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                f"cannot write {self._path}: another process writes it; give each its own file"
            ) from None
        except OSError:
            pass  # a file system without locks
        self._require_own()
        end = _after_last(self._file, b"\n")
        if _after_last(self._file, b"\r", end) > end:
            self._put_aside("its line ends are CR alone")
        elif self._header and end and not self._has_header():
            self._put_aside("it has other columns")
        else:
            self._mend(end)

    def _require_own(self) -> None:
        got = os.pread(self._file, len(_MARK) + len(self._start), 0)
        if not begins_with(self._start, got):
            self.close()
            raise OutputError(f"cannot write {self._path}: {wrong_kind(self._header)}")

    def _mend(self, end: int) -> None:
        """End the last line if it is whole, else cut off what there is of it.

        Args:
            end: where it begins.
        """
        self._size = os.fstat(self._file).st_size
        rest = os.pread(self._file, self._size - end, end).removeprefix(b"" if end else _MARK)
        if rest and self._is_whole is not None and self._is_whole(rest):
            self._append(b"\n")
        else:
            self._size = end
            os.ftruncate(self._file, end)

    def _append(self, data: bytes) -> None:
        """Write all or nothing: one call, so that a kill or a reader meets no half line."""
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            with suppress(OSError):  # or it is cut off when the file is opened again
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)

    def _put_aside(self, why: str) -> None:
        """Put a file aside that is not full; it is kept even if full ones are not."""
        self._rotate(max(self._keep, 1))
        aside = self._numbered(1)
        _log.warning("%s cannot be continued: %s; it is now %s", self._path, why, aside)

    def _rotate(self, keep: int) -> None:
        """Put the file aside and begin a new one; a kill in between leaves a gap in the numbers."""
        for number in sorted(self._aside(), reverse=True):
            if number >= keep:
                self._numbered(number).unlink(missing_ok=True)
            else:
                self._numbered(number).replace(self._numbered(number + 1))
        if keep:
            self._path.replace(self._numbered(1))
        else:
            self._path.unlink(missing_ok=True)
        self._begin()

    def _aside(self) -> Iterator[int]:
        """Yield the numbers of the files that were put aside."""
        stem, suffix = re.escape(self._path.stem), re.escape(self._path.suffix)
        pattern = re.compile(rf"{stem}\.([1-9][0-9]{{0,5}}){suffix}")
        for path in self._path.parent.iterdir():
            if match := pattern.fullmatch(path.name):
                yield int(match[1])

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.stem}.{number}{self._path.suffix}")

    def _is_ours(self) -> bool:
        """Return whether the path still leads to the file that is open."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._file))

    def _has_header(self) -> bool:
        first = os.pread(self._file, len(_MARK) + len(self._header) + 1, 0).removeprefix(_MARK)
        return first.replace(b"\r\n", b"\n").startswith(self._header)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"cannot write {self._path}: {reason}") from error


def begins_with(start: bytes, got: bytes) -> bool:
    """Return whether a file's first bytes are those of its kind, as far as they were written.

    Args:
        start: what files of the kind begin with, after a byte order mark if there is one.
        got: the first bytes of the file, as many and three more, or all that it has; zeros are what
            a power cut leaves of a first line.
    """
    found = got.removeprefix(_MARK)[: len(start)]
    return found == start[: len(found)] or not got.strip(b"\0")


def wrong_kind(header: bytes) -> str:
    """Return what is wrong with a file that does not begin as its kind does, and what to do.

    Args:
        header: first line of files of the kind; empty if they have none.
    """
    line = header.decode().strip()
    lost = f"; if it is a table that has lost its first line, put {line} there again"
    return f"it is a file of another kind: name another one{lost if line else ''}"


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; OSError if it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(None, f"{folder} is no folder") from None


def _after_last(file: int, mark: bytes, start: int = 0) -> int:
    """Return where the last mark of one byte from `start` on ends; `start` if there is none."""
    end = os.fstat(file).st_size
    while end > start:
        place = max(start, end - _TAIL)
        found = os.pread(file, end - place, place).rfind(mark)
        if found >= 0:
            return place + found + 1
        end = place
    return start
