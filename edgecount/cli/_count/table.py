"""The table that `count --csv` writes: a row for each frame."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from edgecount._files import writable
from edgecount._lock import hold
from edgecount._text import utc_text, valid_text
from edgecount.cli._count.measures import Asked, Measured, line_numbers
from edgecount.cli._count.printing import Printer
from edgecount.cli._shell.output import RunOutputError
from edgecount.cli._shell.progress import echo
from edgecount.errors import OutputError
from edgecount.result import CountResult

STDOUT = Path("-")
COLUMNS = (
    *("source", "frame", "time", "width", "height"),
    *("count", "low", "high", "density_count", "peak_count"),
)


class CsvPrinter(Printer):
    """A table of a row per frame on stdout.

    Args:
        regions: names of the regions, each a column `region NAME` of its count.
        asked: what is measured beside the counts, and has columns of its own.
        live: whether there is a column of when a picture was captured.
    """

    def __init__(
        self, regions: Sequence[str] = (), asked: Asked | None = None, *, live: bool = False
    ) -> None:
        self._regions, self._asked, self._live = regions, asked or Asked(), live
        self._write([*COLUMNS, *(f"region {name}" for name in regions), *self._more_columns()])

    def frame(self, result: CountResult, measured: Measured) -> None:
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
                *self._more(result, measured),
            ]
        )

    def _more_columns(self) -> Iterator[str]:
        if self._live:
            yield "captured"
        if self._asked.smooth is not None:
            yield from ("smooth", "smooth low", "smooth high")
        for line in self._asked.lines:
            yield from (f"line {line.name} {key}" for key in ("in", "out", "net"))
        if self._asked.ground is not None:
            names = ["ground", *(f"region {name}" for name in self._regions)]
            yield "ground"
            yield from (f"{name} {key}" for name in names for key in ("per_m2", "level"))

    def _more(self, result: CountResult, measured: Measured) -> Iterator[object]:
        """Yield what `_more_columns` names."""
        if self._live:
            yield None if result.captured is None else utc_text(result.captured)
        if self._asked.smooth is not None:
            smooth = measured.smooth
            ends = (smooth and smooth.interval) or (None, None)
            yield from (_rounded(value) for value in (smooth and smooth.count, *ends))
        for line in self._asked.lines:
            numbers = line_numbers(measured.lines[line.name]) if measured.lines else {}
            yield from (_rounded(numbers.get(key)) for key in ("in", "out", "net"))
        if self._asked.ground is not None:
            yield _rounded(measured.ground.count if measured.ground else None)
            for ground in (measured.ground, *(measured.regions.get(n) for n in self._regions)):
                yield _rounded(ground.per_m2 if ground else None)
                yield ground.level if ground else None

    def _write(self, values: Iterable[object]) -> None:
        line = io.StringIO(newline="")
        csv.writer(line).writerow(values)  # it quotes the characters of its own line ends alone
        self._write_line(valid_text(line.getvalue().removesuffix("\r\n")))

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
        asked: what is measured beside the counts.
        live: whether there is a column of when a picture was captured.

    Raises:
        OutputError: the file exists or cannot be written, another run writes it, or one that was
            killed has left rows.
    """

    def __init__(
        self,
        path: Path,
        regions: Sequence[str],
        overwrite: bool,
        asked: Asked | None = None,
        *,
        live: bool = False,
    ) -> None:
        self._path, path = path, writable(path)
        _refuse_existing(path, overwrite)
        self._real = path
        self._partial = path.with_name(path.name + ".partial")
        self._size = self._rows = 0  # bytes and number of whole rows, the names of columns too
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _open_alone(self._partial, path, overwrite)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from None
        try:
            super().__init__(regions, asked, live=live)
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
                if os.name == "posix":  # under the lock, which ends with the file
                    self._give_name()
            if os.name != "posix":
                self._give_name()
        except OSError as refused:
            if kind is None:
                raise OutputError(f"cannot write {self._path}: {refused.strerror}") from None

    def _give_name(self) -> None:
        if self._rows > 1:
            self._partial.replace(self._real)
            self.written = [self._path]
        else:
            self._partial.unlink()

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


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise OutputError(f"--csv: {path} exists: choose another name, or pass --overwrite")


def _open_alone(path: Path, final: Path, overwrite: bool) -> io.FileIO:
    """Open a file for the rows of this run alone, which get the name ``final``.

    Raises:
        OutputError: another run writes it, or one that was killed has left rows in it.
        OSError: it cannot be opened.
    """
    while True:
        file = path.open("ab", buffering=0)
        try:
            _lock(file, path)
            # The run that had it until now may have given it its last name, or deleted it.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                _refuse_existing(final, overwrite)  # it may have ended just now
                _require_empty(file, path, overwrite)
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _require_empty(file: io.FileIO, path: Path, overwrite: bool) -> None:
    with path.open("rb") as there:
        there.readline()  # the names of the columns
        has_rows = bool(there.readline())
    if has_rows and not overwrite:
        raise OutputError(
            f"--csv: {path} holds the rows of a run that was killed: move it away, or pass "
            "--overwrite"
        )
    file.truncate(0)


def _lock(file: io.FileIO, path: Path) -> None:
    try:
        hold(file.fileno())
    except BlockingIOError:
        raise OutputError(
            f"--csv: another run is writing {path}: choose another name, or wait for its end"
        ) from None


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)
