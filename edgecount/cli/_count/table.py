"""The table that `count --csv` writes: a row for each frame."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from edgecount._files import writable
from edgecount._text import valid_text
from edgecount.cli._count.printing import Printer
from edgecount.cli._shell.output import RunOutputError
from edgecount.cli._shell.progress import echo
from edgecount.errors import OutputError
from edgecount.result import CountResult

STDOUT = Path("-")
COLUMNS = (
    *("source", "frame", "time", "width", "height"),
    *("count", "low", "high", "density_count", "points"),
)


class CsvPrinter(Printer):
    """A table of a row per frame on stdout.

    Args:
        regions: names of the regions, each a column `region NAME` of its count.
    """

    def __init__(self, regions: Sequence[str] = ()) -> None:
        self._regions = regions
        self._write([*COLUMNS, *(f"region {name}" for name in regions)])

    def frame(self, result: CountResult) -> None:
        """Write the row of a frame."""
        low, high = result.interval or (None, None)
        numbers = (result.count, low, high, result.density_count)
        regions = (result.regions[name].count for name in self._regions)
        self._write(
            [
                *(result.source, result.frame, _rounded(result.time), *result.size),
                *(_rounded(number) for number in numbers),
                result.peak_count,
                *(_rounded(count) for count in regions),
            ]
        )

    def _write(self, values: Iterable[object]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(values)
        self._write_line(valid_text(line.getvalue()))

    def _write_line(self, line: str) -> None:
        echo(line)


class CsvFile(CsvPrinter, AbstractContextManager["CsvFile"]):
    """A table in a file, which has its name, and every row that was written, once it is closed.

    Until then it is called NAME.partial and can be looked at: each row is on its way to the disk
    before the next frame is counted. Rows are kept whatever ends the run, and a row that the disk
    had no room for is cut off.

    Args:
        path: the file to write; its folder is made.
        regions: names of the regions.
        overwrite: whether a file of that name may be replaced.

    Raises:
        OutputError: the file exists, or cannot be written.
    """

    def __init__(self, path: Path, regions: Sequence[str], overwrite: bool) -> None:
        self._path, path = path, writable(path)
        if path.exists() and not overwrite:
            raise OutputError(f"--csv: {path} exists: choose another name, or pass --overwrite")
        self._real = path
        self._partial = path.with_name(path.name + ".partial")
        self._size = self._rows = 0  # bytes and number of whole rows, the names of columns too
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("wb", buffering=0)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from None
        try:
            super().__init__(regions)
        except RunOutputError:
            self.__exit__(RunOutputError, None, None)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the file its name; one without a frame is deleted."""
        try:
            with self._file:
                self._file.truncate(self._size)
                os.fsync(self._file.fileno())
            if self._rows > 1:
                self._partial.replace(self._real)
                self.written = [self._path]
            else:
                self._partial.unlink()
        except OSError as refused:
            if kind is None:
                raise OutputError(f"cannot write {self._path}: {refused.strerror}") from None

    def _write_line(self, line: str) -> None:
        data = line.encode() + b"\n"
        try:
            done = 0
            while done < len(data):
                done += self._file.write(data[done:])
        except OSError as error:
            reason = error.strerror
            raise RunOutputError(f"cannot write {self._path}: {reason}") from None
        self._size += len(data)
        self._rows += 1


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)
