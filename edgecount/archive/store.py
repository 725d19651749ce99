"""The files of a shard: rows that were counted are kept, whatever ends the run."""

from __future__ import annotations

import logging
import os
import time
from contextlib import AbstractContextManager, ExitStack, suppress
from io import FileIO
from pathlib import Path
from types import TracebackType

from edgecount._files import write_whole
from edgecount._lock import locked
from edgecount.archive.rows import Row
from edgecount.archive.shards import Shard
from edgecount.archive.tables import PRIVATE, Table, json_line, whole_rows
from edgecount.errors import OutputError

ROWS = 10_000  # of a file: some minutes of counting, and enough for Parquet to be quick
_SYNC = 10.0  # s between two times that rows are sent to the disk itself

_KEPT = "what was counted before is kept, and the same command goes on from there"

_log = logging.getLogger(__name__)


class Store(AbstractContextManager["Store"]):
    """The rows of a shard, in files that are complete and named `shard-I-of-N-NUMBER`.

    Each row is written at once to a journal, a file of JSON lines that no reader of the table sees.
    When it has grown to the size of a file, or the run ends, its rows become one. A row is thus in
    a file or in the journal, and what a killed process left in the journal is taken up by the next.

    Args:
        folder: folder of the table.
        shard: the shard, which one process at a time may write.
        table: format of the files.
        rows_per_file: most rows of a file.

    Attributes:
        done: names of the images that have a row.

    Raises:
        OutputError: another process writes the shard, or files cannot be read or written.
    """

    def __init__(
        self, folder: Path, shard: Shard, table: Table, *, rows_per_file: int = ROWS
    ) -> None:
        self._folder, self._shard, self._table = folder, shard, table
        self._rows_per_file = rows_per_file
        self._journal_path = folder / PRIVATE / f"{shard.file_name}.journal"
        self._rows: list[Row] = []  # of the journal
        self._size, self._synced = 0, time.monotonic()  # bytes of whole lines; when on the disk
        self.done: set[str] = set()
        with ExitStack() as stack:
            self._stack = stack
            stack.enter_context(self._lock())
            self._tidy()
            self._next = self._find_done()
            self._journal = self._open_journal()
            self._recover()
            self._stack = stack.pop_all()

    def add(self, row: Row) -> None:
        """Keep a row; when it returns, no end of the process can lose it.

        Raises:
            OutputError: there is no room for it. All rows before it are kept.
        """
        self._append(json_line(row))
        self._rows.append(row)
        if len(self._rows) >= self._rows_per_file:
            self._write_file()

    def forget_errors(self) -> int:
        """Delete the rows of images that could not be counted; returns their number.

        Raises:
            OutputError: a file cannot be read or written.
        """
        forgotten: list[str] = []
        for path in self._files():
            failed = [name for name, counted in self._table.outcomes(path) if not counted]
            if not failed:
                continue
            kept = [row for row in self._table.read(path) if row["error"] is None]
            if kept:
                self._table.write(path, kept)
            else:
                _delete(path)
            forgotten += failed
        kept = [row for row in self._rows if row["error"] is None]
        forgotten += [row["source"] for row in self._rows if row["error"] is not None]
        self._rewrite(kept)
        self.done -= set(forgotten)
        return len(forgotten)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Make a file of the journal's rows; a shard without a row gets a file without rows."""
        with self._stack:
            if kind is not None and not issubclass(kind, Exception):
                return  # whoever interrupts once more is not to wait
            if isinstance(error, OutputError):
                return  # what has no room for a row has none for a file
            try:
                if self._rows or (kind is None and not self._files()):
                    self._write_file()
            except OutputError as second:
                if kind is None:
                    raise
                _log.debug("%s", second)  # the first error is the one to tell

    def _open_journal(self) -> FileIO:
        try:
            # Unbuffered: a row is with the system when it is written.
            file = self._journal_path.open("ab", buffering=0)
        except OSError as error:
            raise _refused(self._journal_path, error) from None
        return self._stack.enter_context(file)

    def _lock(self) -> AbstractContextManager[None]:
        private = self._folder / PRIVATE
        try:
            private.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _refused(private, error) from None
        return locked(
            private / f"{self._shard.file_name}.lock",
            busy=f"is counting shard {self._shard} into {self._folder}: wait for it, or end it",
            second=f"let no two processes count shard {self._shard} into it at once",
        )

    def _tidy(self) -> None:
        """Delete what a killed process had not written to its end."""
        for path in (self._folder / PRIVATE).glob(f"{self._shard.file_name}[-.]*.partial"):
            _delete(path)

    def _files(self) -> list[Path]:
        """Return the shard's files of the table, in order."""
        suffix, pattern = self._table.suffix, f"{self._shard.file_name}-*"
        return sorted(path for path in self._folder.glob(pattern) if path.suffix == suffix)

    def _find_done(self) -> int:
        """Take up the names in the files; returns the number of the next file."""
        files = self._files()
        for path in files:
            self.done.update(name for name, _ in self._table.outcomes(path))
        numbers = [path.stem.rpartition("-")[2] for path in files]
        return 1 + max((int(number) for number in numbers if number.isdecimal()), default=0)

    def _recover(self) -> None:
        """Take up the journal's rows, and cut off what was not written to its end."""
        try:
            with self._journal_path.open("rb") as lines:
                rows, self._size = whole_rows(lines)
            if self._size < self._journal_path.stat().st_size:
                _log.info("%s: a line that was cut short is left out", self._journal_path)
                self._journal.truncate(self._size)
        except OSError as error:
            raise _refused(self._journal_path, error) from None
        # A process that ended between its last two steps left the rows in a file as well.
        new = [row for row in rows if row["source"] not in self.done]
        self._rows = rows
        if len(new) < len(rows):
            self._rewrite(new)
        self.done.update(row["source"] for row in new)

    def _append(self, line: bytes) -> None:
        try:
            done = 0
            while done < len(line):
                done += self._journal.write(line[done:])
            if time.monotonic() - self._synced > _SYNC:
                # A network's disk may find only now that it is full.
                os.fsync(self._journal.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            with suppress(OSError):
                self._journal.truncate(self._size)
            raise _refused(self._journal_path, error) from None
        self._size += len(line)

    def _write_file(self) -> None:
        """Make a file of the journal's rows, and then empty the journal."""
        number = f"{self._next:05d}"
        name = f"{self._shard.file_name}-{number}{self._table.suffix}"
        try:
            self._table.write(self._folder / name, self._rows)
        except OutputError as error:
            raise OutputError(f"{error}; {_KEPT}") from error
        _sync_folder(self._folder)  # before the rows are given up elsewhere
        self._next += 1
        self._rewrite([])

    def _rewrite(self, rows: list[Row]) -> None:
        """Replace the journal's rows."""
        if len(rows) == len(self._rows):
            return
        try:
            if rows:
                write_whole(self._journal_path, b"".join(map(json_line, rows)))
                self._journal.close()
                self._journal = self._open_journal()
            else:
                self._journal.truncate(0)
        except OSError as error:
            raise _refused(self._journal_path, error) from None
        self._rows, self._size = rows, sum(len(json_line(row)) for row in rows)


def _refused(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {path}: {error.strerror or error}; {_KEPT}")


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot delete {path}: {error.strerror}") from None


def _sync_folder(folder: Path) -> None:
    """Let a file's new name reach the disk."""
    with suppress(OSError):  # some file systems know nothing like it
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
